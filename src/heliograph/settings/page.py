"""The settings for people: the reference page, and the end of `heliograph serve --help`."""

import sys
import textwrap

from heliograph.settings.table import setting_rows

_HEAD = """# Settings

This page is made from the program's own table (`python -m heliograph.settings.page`); a test holds the two together.

A setting may come from five places. The first one that speaks wins:

1. the command line (`heliograph serve --port 9000`),
2. the environment,
3. a file `.env` in the working folder,
4. a TOML file with the same names: `heliograph.toml` in the working folder, or the file named by `HELIOGRAPH_CONFIG`,
5. the default.

A name that begins with `HELIOGRAPH_` and is not in this table stops the program with one line that says so: a typing
mistake must not become a default. Names that begin with `HELIOGRAPH_TEST_` belong to tests; the program never reads
them.

| name | type | default | meaning |
|---|---|---|---|
"""


def settings_page() -> str:
    lines = (f"| `{row.name}` | {row.kind} | {_code(row.default)} | {row.meaning} |" for row in setting_rows())
    return _HEAD + "\n".join(lines) + "\n"


def _code(default: str) -> str:
    return default if default == "none" or " " in default else f"`{default}`"


def settings_help(width: int = 100) -> str:
    blocks = []
    for row in setting_rows():
        meaning = row.meaning.replace("`", "")
        body = textwrap.fill(meaning, width, initial_indent="      ", subsequent_indent="      ")
        blocks.append(f"  {row.name}  ({row.kind}; default {row.default})\n{body}")
    return "\n".join(blocks)


if __name__ == "__main__":
    sys.stdout.write(settings_page())
