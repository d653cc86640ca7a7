"""The named statements of `journal.sql`."""

import re
from collections.abc import Mapping
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load_statements() -> Mapping[str, str]:
    _, *parts = _NAME.split(files(__package__).joinpath("journal.sql").read_text("utf-8"))
    return dict(zip(parts[::2], (text.strip() for text in parts[1::2]), strict=True))
