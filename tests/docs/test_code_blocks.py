"""The requests in the pages are sent as they stand there, to a real server, and must be answered as the pages tell."""

import json
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from heliograph.cli.prove.processes import Program, free_port, running

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
KEY = "0123456789abcdef"
SHOWN = "http://127.0.0.1:8080"


def requests_of(page: Path) -> list[str]:
    """Every curl command in the page's code blocks, as one line; quoted text may hold line breaks."""
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    lines = [""]
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        if lines[-1].count("'") % 2:
            lines[-1] += " " + line.strip()
        else:
            lines.append(line.strip())
    return [line for line in lines if line.startswith("curl ") and SHOWN in line]


CASES = [(page, line) for page in PAGES for line in requests_of(page)]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Program]:
    port = free_port()
    settings = {"DATABASE_URL": "sqlite:///docs.db", "API_KEY": KEY}
    program = Program("gateway", ["-m", "heliograph.cli.main", "serve", "--port", str(port)], port, settings, tmp_path)
    async with aiohttp.ClientSession() as http, running([program], http):
        yield program


def test_a_request_that_follows_a_start_waits_until_the_server_listens() -> None:
    """As pasted, the request is made while the server is still starting."""
    for page in PAGES:
        for block in re.findall(r"^```[a-z]*\n(.*?)^```", page.read_text(), flags=re.DOTALL | re.MULTILINE):
            started = re.search(r"(make|heliograph) serve.* &$", block, flags=re.MULTILINE)
            for line in block[started.end() :].splitlines() if started else ():
                if line.startswith("curl "):
                    assert "--retry-connrefused" in line and re.search(r"--retry \d\d ", line), f"{page}: {line}"


def test_the_pages_show_how_to_send() -> None:
    assert {page.name for page, line in CASES if "/v1/message/send" in line} >= {"README.md"}


@pytest.mark.parametrize(("page", "line"), CASES, ids=lambda value: value.name if isinstance(value, Path) else "")
async def test_a_request_of_a_page_is_answered(page: Path, line: str, server: Program) -> None:
    words = shlex.split(line.replace("$HELIOGRAPH_API_KEY", KEY).replace(SHOWN, server.url))
    headers, body, method, url = {}, None, None, ""
    rest = iter(words[1:])
    for word in rest:
        match word:
            case "-H":
                name, _, value = next(rest).partition(":")
                headers[name] = value.strip()
            case "-d":
                body = next(rest)
            case "-X":
                method = next(rest)
            case "-s" | "-sS" | "-N" | "--retry-connrefused":
                continue
            case "--retry" | "--retry-delay":
                next(rest)
            case _:
                url = word
    async with (
        aiohttp.ClientSession() as http,
        http.request(method or ("POST" if body else "GET"), url, data=body, headers=headers) as answer,
    ):
        text = await answer.text()
    assert answer.status == 200, text
    if url.endswith("/v1/message/send"):
        assert json.loads(text).keys() >= {"queue_id", "queue_position", "unique_id", "hint"}
