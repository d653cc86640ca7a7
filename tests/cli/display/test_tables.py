"""Tests of tables on terminals of every width: a name is shown whole or left out, and a pipe gets everything."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from rich.console import Console

from heliograph.cli.display import tables
from heliograph.cli.display.output import escape, mark
from tests.cli.conftest import QUEUE_ID, Said, Script, status_of

Run = Callable[..., Said]
PHONES = [
    {
        "phone_id": f"phone-abcdefghijklmno{n}", "org_phone": f"1202555012{n}@c.us", "phone_name": None,
        "phone_state": "connected", "provider": "simulator",
        "queue_status": {"message": {"active": 1, "failed": 0, "completed": 7, "pending": 1200 + n}},
    }
    for n in range(6)
]  # fmt: skip
KEYS = ("Name", "Begins", "Organisation", "Made", "Last used", "State")
KEY_ROWS = [
    ["the shop", "hg_live_0123456", "A company with a long name and some more", "2026-04-01 14:23", "–", "valid"],
    ["[old] one", "hg_live_abcdefg", "Other", "2026-04-01 14:23", "–", mark("revoked 2026-04-02 10:00", "red")],
]
KEY_FREE, KEY_SPARE = {"Name": 40, "Organisation": 40}, ("Made", "Organisation", "Last used")


def drawn(
    columns: Sequence[str], rows: list[list[str]], width: int, free: Mapping[str, int], spare: Sequence[str]
) -> list[str]:
    form = tables.fit(columns, rows, width, free=free, spare=spare)
    out = io.StringIO()
    kept = [columns.index(name) for name in form]
    grid = tables.rich_table(form, [[row[at] for at in kept] for row in rows], free=free)
    Console(file=out, width=width, color_system=None).print(grid)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert all(len(line) <= width for line in lines)
    return lines


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_key_can_be_named_by_what_a_terminal_shows_of_it(width: int) -> None:
    rows = [[escape(cell) if at == 0 else cell for at, cell in enumerate(row)] for row in KEY_ROWS]
    shown = "\n".join(drawn(KEYS, rows, width, KEY_FREE, KEY_SPARE))
    for part in ("the shop", "[old] one", "hg_live_0123456", "hg_live_abcdefg", "valid", "revoked 2026-04-02 10:00"):
        assert part in shown
    assert ("A company" in shown) is (width >= 80)
    assert ("2026-04-01 14:23" in shown) is (width >= 120)


def test_where_nothing_fits_all_of_it_is_still_there() -> None:
    shown = "\n".join(drawn(KEYS, KEY_ROWS[:1], 24, KEY_FREE, KEY_SPARE))
    assert "…" not in shown and "hg_live_01234" in shown and " 56 " in shown


@pytest.mark.parametrize("width", [60, 80, 120])
def test_each_phone_of_a_list_is_another_on_a_terminal(
    server: Script, heliograph: Run, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    server.on("GET /v1/phones/all", PHONES)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(width))
    shown = heliograph("phones", "list").out
    for n in range(6):
        assert f"+1 202-555-012{n}" in shown
        assert f"1,20{n}" in shown
        assert (f"phone-abcdefghijklmno{n}" in shown) is (width >= 80)


def test_a_pipe_gets_the_whole_reason_and_message(server: Script, heliograph: Run) -> None:
    said, text = "Waits: " + "many words " * 30 + "end.", "A long text " * 30 + "end"
    job: dict[str, Any] = status_of("queued", said, attempts=0)
    job["message"]["body"] = text
    server.on("POST /v1/message/queues", [job])
    out = heliograph("jobs").out
    assert said in out and text in out and out.rstrip().endswith(QUEUE_ID)
