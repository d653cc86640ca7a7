"""The paper against the tree: links lead somewhere, commands exist, settings are told in one way, house rules hold."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from heliograph.settings.page import settings_page
from heliograph.settings.table import setting_rows

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SOURCES = sorted((ROOT / "src" / "heliograph").rglob("*.py"))
LONGEST = 300
VAGUE = {"utils", "common", "helpers", "base", "manager", "models", "types"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_to_a_file_that_is_there(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    targets = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    broken = [link for link in targets if link and "://" not in link and not (page.parent / link).exists()]
    assert broken == []


def test_every_decision_is_listed_once_and_numbered_without_holes() -> None:
    index = (ROOT / "docs/adr/README.md").read_text()
    decisions = sorted(path.name for path in (ROOT / "docs/adr").glob("[0-9]*.md"))
    assert re.findall(r"\(([0-9]{4}-[a-z0-9-]+\.md)\)", index) == decisions
    assert [int(name[:4]) for name in decisions] == list(range(1, len(decisions) + 1))
    for name in decisions:
        text = (ROOT / "docs/adr" / name).read_text()
        assert all(
            f"**{part}.**" in text for part in ("Context", "Decision", "Consequence", "What would change our mind")
        )


def test_every_make_target_that_the_pages_name_exists_and_explains_itself() -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {target for page in PAGES for target in re.findall(r"`?\bmake ([a-z]+)\b", _code(page.read_text()))}
    assert named <= targets
    # not as a child of the make that runs these tests: it would greet
    alone = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    listed = subprocess.run(
        ["make"], cwd=ROOT, env=alone, capture_output=True, text=True, timeout=30, check=True
    ).stdout
    assert {line.split()[1] for line in listed.splitlines()} == targets
    assert {"setup", "demo", "serve", "test", "check", "bench", "faults", "lock", "clean"} <= targets


def test_every_command_that_the_pages_name_exists() -> None:
    from heliograph.cli.main import COMMANDS

    named = {
        name for page in PAGES for name in re.findall(r"\bheliograph ([a-z]+(?:-[a-z]+)*)\b", _code(page.read_text()))
    }
    assert named <= set(COMMANDS)


def _code(text: str) -> str:
    """What stands in code blocks and between backticks."""
    return "\n".join([*re.findall(r"```.*?```", text, flags=re.DOTALL), *re.findall(r"`[^`\n]+`", text)])


def test_the_settings_page_is_the_one_that_the_program_writes() -> None:
    assert (ROOT / "docs/reference/settings.md").read_text() == settings_page()


def test_the_help_of_serve_names_every_setting() -> None:
    command = [sys.executable, "-m", "heliograph.cli.main", "serve", "--help"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    assert set(re.findall(r"HELIOGRAPH_[A-Z_]+", told)) >= {row.name for row in setting_rows()}


def test_every_setting_that_the_pages_name_exists() -> None:
    known = {row.name for row in setting_rows()}
    named = {name for page in PAGES for name in re.findall(r"HELIOGRAPH_[A-Z_]*[A-Z]", page.read_text())}
    assert {name for name in named if not name.startswith("HELIOGRAPH_TEST")} <= known


def test_every_file_that_a_page_names_is_there() -> None:
    roots = (ROOT, ROOT / "src" / "heliograph")
    named = {
        (page.name, path)
        for page in PAGES
        for path in re.findall(r"`([a-z_]+(?:/[a-z_0-9]+)+(?:\.py|\.sql|/)?)`", page.read_text())
        if path.endswith((".py", ".sql")) or path.split("/")[0] in ("docs", "src", "tests")
    }
    modules = {
        (page.name, name.replace(".", "/") + ".py")
        for page in PAGES
        for name in re.findall(r"python -m ((?:tests|heliograph)[a-z_.]+)", page.read_text())
    }
    assert len(named) > 10 and len(modules) > 3
    gone = {(page, path) for page, path in named if not any((root / path).exists() for root in roots)}
    gone |= {(page, path) for page, path in modules if not any((root / path).exists() for root in (ROOT, ROOT / "src"))}
    assert gone == set()


def test_the_picture_is_one_and_shows_the_rooms() -> None:
    pictures = [
        re.findall(r"^```mermaid\n(.*?)^```", (ROOT / name).read_text(), flags=re.DOTALL | re.MULTILINE)
        for name in ("README.md", "CONTRIBUTING.md")
    ]
    assert pictures[0] == pictures[1] and len(pictures[0]) == 1
    rooms = {path.name for path in (ROOT / "src/heliograph").iterdir() if (path / "__init__.py").exists()}
    shown = set(re.findall(r"^ *([a-z]+)(?:\[|$)", pictures[0][0], flags=re.MULTILINE)) | {"app"}
    assert rooms - shown <= {"domain", "ports", "settings", "telemetry", "vault", "simulator"}
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    assert {room for room in rooms if f"`{room}/`" not in contributing} <= {"app"}


@pytest.mark.parametrize("source", SOURCES, ids=name_of)
def test_a_file_is_one_noun_or_verb_of_bounded_length(source: Path) -> None:
    assert source.stem not in VAGUE
    written = [line for line in source.read_text().splitlines() if line.strip()]
    assert len(written) <= LONGEST


def test_sql_stands_in_sql_files() -> None:
    statement = re.compile(r"[\"'](SELECT .+ FROM|INSERT INTO|UPDATE .+ SET|DELETE FROM) ", re.IGNORECASE)
    found = [name_of(path) for path in SOURCES for line in path.read_text().splitlines() if statement.search(line)]
    allowed = {  # the table of migrations itself, and the copying of whole tables by name
        f"src/heliograph/store/database/{name}.py" for name in ("sqlite", "postgresql_setup", "copy_to_postgresql")
    }
    assert set(found) <= allowed


def test_lock_files_carry_hashes_and_no_addresses() -> None:
    locks = sorted(ROOT.glob("requirements*.lock"))
    assert len(locks) == 3
    for lock in locks:
        text = lock.read_text()
        assert "://" not in text
        assert "index-url" not in text
        pinned = re.findall(r"^[a-z0-9][a-z0-9._-]*(?:\[[^]]+\])?==\S+.*$", text, flags=re.MULTILINE)
        assert pinned
        assert all(line.endswith("\\") for line in pinned), "a package without a hash"
