"""Tests of `heliograph migrate --from --to`: the whole installation is copied, or nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Said

Run = Callable[..., Said]


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heliograph: Run) -> str:
    """A SQLite file with two organisations."""
    url = f"sqlite:///{tmp_path / 'old.db'}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HELIOGRAPH_DATABASE_URL", url)
    for name in ("First", "Second"):
        assert heliograph("orgs", "add", name).code == 0
    return url


def test_an_installation_moves_to_postgresql_and_says_what_moved(
    installation: str, postgres_url: str, heliograph: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = heliograph("keys", "list", "--json").out
    moved = heliograph("migrate", "--from", installation, "--to", postgres_url, "--json")
    assert moved.code == 0, moved.err
    rows = {table["table"]: table["rows"] for table in json.loads(moved.out)}
    assert (rows["orgs"], rows["api_keys"]) == (2, 2)
    monkeypatch.setenv("HELIOGRAPH_DATABASE_URL", postgres_url)
    assert [row["name"] for row in json.loads(heliograph("orgs", "list", "--json").out)] == ["First", "Second"]
    assert heliograph("keys", "list", "--json").out == keys
    assert heliograph("orgs", "add", "Third").code == 0
    again = heliograph("migrate", "--from", installation, "--to", postgres_url)
    assert again.code == 1, "a destination that holds something is refused"
    assert len(json.loads(heliograph("orgs", "list", "--json").out)) == 3


@pytest.mark.parametrize(
    "args",
    [
        ("--from", "sqlite:///x.db"),
        ("--to", "postgresql://h/d"),
        ("--from", "postgresql://h/d", "--to", "sqlite:///x.db"),
    ],
)
def test_half_a_move_is_usage(args: tuple[str, ...], heliograph: Run) -> None:
    assert heliograph("migrate", *args).code == 2


def test_a_move_from_nowhere_or_to_nowhere_is_one_line(installation: str, tmp_path: Path, heliograph: Run) -> None:
    missing = f"sqlite:///{tmp_path / 'none.db'}"
    for source, target in ((missing, "postgresql://h/d"), (installation, "postgresql://nobody@127.0.0.1:1/none")):
        said = heliograph("migrate", "--from", source, "--to", target)
        assert said.code == 1
        assert len(said.err.splitlines()) == 1
