"""Reads the settings: flags over environment over `.env` over the TOML file over defaults.

Promise: either a checked `Settings`, or `CannotStart` with one line that names the setting and where it came from.
Names that begin with HELIOGRAPH_TEST_ belong to tests: never read, never refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from heliograph.domain.errors import CannotStart
from heliograph.settings.table import PREFIX, SettingRow, Settings, setting_rows

TEST_PREFIX = PREFIX + "TEST_"
ENV_FILE = ".env"
TOML_FILE = "heliograph.toml"


def load_settings(
    environ: Mapping[str, str], flags: Mapping[str, str | None] | None = None, *, folder: Path | None = None
) -> Settings:
    """Loads the settings. `flags`: field name → text, None = not given. `folder`: of `.env` and `heliograph.toml`."""
    place = folder or Path()
    rows = {row.name: row for row in setting_rows()}
    chosen = environ.get(PREFIX + "CONFIG")
    toml = Path(chosen).expanduser() if chosen else place / TOML_FILE
    layers: list[tuple[str, Mapping[str, str]]] = [
        (str(toml), _toml_file(toml, required=bool(chosen))),
        (str(place / ENV_FILE), _env_file(place / ENV_FILE)),
        ("the environment", environ),
        ("the command line", {PREFIX + k.upper(): v for k, v in (flags or {}).items() if v is not None}),
    ]
    values: dict[str, Any] = {}
    for source, layer in layers:
        for name, raw in layer.items():
            if name.startswith(PREFIX) and not name.startswith(TEST_PREFIX):
                row = rows.get(name)
                if row is None:
                    raise CannotStart(_unknown(name, source, rows))
                _take(values, row, raw, source)
    return Settings(**values)


def _take(values: dict[str, Any], row: SettingRow, raw: str, source: str) -> None:
    if raw == "" and row.field != "simulator_phone":  # FOO= in a compose file means "not set"
        values.pop(row.field, None)
        return
    try:
        values[row.field] = row.parser(raw.strip())
    except ValueError as problem:
        shown = "" if row.secret else f", not {raw[:80]!r}"
        raise CannotStart(f"{row.name} must be {problem}{shown} (from {source}).") from None


def _unknown(name: str, source: str, rows: Mapping[str, SettingRow]) -> str:
    from difflib import get_close_matches  # imports for 5 ms, so only after an error

    near = get_close_matches(name, rows, n=1, cutoff=0.7)
    hint = f" Did you mean {near[0]}?" if near else " `heliograph serve --help` lists all names."
    return f"{name} is no setting of Heliograph (from {source}).{hint}"


def _env_file(path: Path) -> dict[str, str]:
    """Reads `NAME=value` lines with `export`, quotes and `# comments`. Names of other programs are ignored."""
    found: dict[str, str] = {}
    for number, line in enumerate(_lines(path), start=1):
        text = line.strip().removeprefix("export ").lstrip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals:
            raise CannotStart(f"{path}, line {number}: expected NAME=value.")
        found[name.strip()] = _unquoted(value.strip())
    return found


def _unquoted(value: str) -> str:
    quote = value[:1]
    if quote in ("'", '"') and (end := value.find(quote, 1)) > 0:
        return value[1:end]
    return value.partition(" #")[0].rstrip()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as problem:
        raise CannotStart(f"{path} cannot be read: {problem}.") from None


def _toml_file(path: Path, *, required: bool) -> dict[str, str]:
    if not path.is_file():
        if required:
            raise CannotStart(f"{PREFIX}CONFIG names {path}, which is not there.")
        return {}
    import tomllib

    try:
        content = tomllib.loads("\n".join(_lines(path)))
    except tomllib.TOMLDecodeError as problem:
        raise CannotStart(f"{path} is not TOML: {problem}.") from None
    return {name: _toml_text(path, name, value) for name, value in content.items()}


def _toml_text(path: Path, name: str, value: object) -> str:
    if not name.startswith(PREFIX):
        raise CannotStart(f"{path}: {name} is no setting; names are written in full, such as {PREFIX}PORT.")
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list):
        return ",".join(str(one) for one in value)
    if isinstance(value, str | int | float):
        return str(value)
    raise CannotStart(f"{path}: {name} must be a text, a number, true, false or a list.")
