"""Tests of the whole program: it starts fast, is documented, and has every command that it shows."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from heliograph.cli.exit_codes import Exit
from heliograph.cli.main import COMMANDS
from heliograph.settings import setting_rows
from tests.cli.conftest import Said

Run = Callable[..., Said]


def program(*args: str, folder: Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("HELIOGRAPH_", "COV"))}
    return subprocess.run(
        [sys.executable, "-m", "heliograph.cli.main", *args], capture_output=True, text=True, env=clean, cwd=folder
    )


def test_starting_the_program_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from heliograph.cli.main import run; run(['--help']); import heliograph.cli.commands.send;"
        "print([m for m in ('rich', 'aiohttp', 'litestar', 'asyncpg', 'structlog', 'msgspec', 'asyncio')"
        " if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr.strip() == "[]"
    assert "Exit codes:" in done.stdout


def test_the_program_starts_in_a_blink(tmp_path: Path) -> None:
    def processor_time_s(*args: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *args], capture_output=True, cwd=tmp_path)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    ours = min(processor_time_s("-m", "heliograph.cli.main", "--help") for _ in range(7))
    bare = min(processor_time_s("-c", "pass") for _ in range(7))
    assert ours < max(0.15, bare * 8)  # on a busy machine both take longer


def test_every_exit_code_is_listed_by_help_and_on_its_page(heliograph: Run) -> None:
    said = heliograph("--help").out
    page = (Path(__file__).parents[2] / "docs" / "reference" / "command-line.md").read_text()
    for code in Exit:
        assert f"{int(code):>5}  " in said
        assert f"| {int(code)} |" in page


def test_every_command_that_is_here_explains_itself(heliograph: Run) -> None:
    listed = [line.split()[0] for line in heliograph("--help").out.splitlines() if line.startswith("  ")]
    here = [name for name in COMMANDS if name in listed]
    assert {"send", "jobs", "why", "phones", "keys", "orgs", "doctor", "serve", "demo"} <= set(here)
    for name in here:
        said = heliograph(name, "--help")
        assert said.code == 0
        assert said.out.startswith("Usage: heliograph")


def test_the_help_of_serve_lists_every_setting(heliograph: Run) -> None:
    said = heliograph("serve", "--help").out
    for row in setting_rows():
        assert row.name in said


def test_a_mistyped_command_is_answered_with_the_likely_one(heliograph: Run) -> None:
    assert "Did you mean `phones`?" in heliograph("phnes").err


def test_a_reader_that_stops_reading_is_no_error(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("HELIOGRAPH_")}
    command = f"{sys.executable} -m heliograph.cli.main serve --help | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=clean, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "args",
    [
        ("serve", "--port", "eighty"),
        ("serve", "--roles", "boss"),
        ("serve", "--database-url", "mysql://x"),
    ],
)
def test_a_start_that_cannot_work_is_one_line_and_exit_1(args: tuple[str, ...], tmp_path: Path) -> None:
    done = program(*args, folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "from the command line" in done.stderr
