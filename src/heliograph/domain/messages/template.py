"""Text with `{{name}}` in it, filled for one recipient.

Promise: a value is put in as it is (what looks like a variable inside a value stays text), and a text that `Check` let
pass can be filled without failing.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from heliograph.domain.errors import Invalid, invalid

_ANY = re.compile(r"\{\{(.{0,200}?)\}\}", re.DOTALL)
_NAME = re.compile(r"[^\W\d](?:[\w .\-]{0,62}[\w])?")


def variables(text: str, field: str = "message") -> tuple[str, ...]:
    """The names used, in order, each once. Raises Invalid for braces around what is no name.

    >>> variables("Hello {{name}}, your {{ order no }} is ready, {{name}}")
    ('name', 'order no')
    """
    names: dict[str, None] = {}
    for match in _ANY.finditer(text):
        name = match[1].strip()
        if not _NAME.fullmatch(name):
            shown = match[0] if len(match[0]) <= 40 else match[0][:37] + "…"
            raise invalid(field, f"{field} holds {shown}: a variable is a name between braces, such as {{{{name}}}}")
        names[name] = None
    return tuple(names)


def missing(names: Sequence[str], values: Mapping[str, str], *, allow_blank: bool = False) -> list[str]:
    """Lists those of `names` that have no value. A blank text is a value only where that is allowed."""
    if allow_blank:
        return [name for name in names if name not in values]
    return [name for name in names if not values.get(name, "").strip()]


def fill(text: str, values: Mapping[str, str]) -> str:
    """Raises KeyError for a variable without a value: check first."""
    return _ANY.sub(lambda match: values[match[1].strip()], text) if "{{" in text else text


class TemplateCheck:
    """Every recipient has every variable, and nobody's text is longer than `most`. Sees one recipient after another."""

    def __init__(self, text: str, *, most: int, field: str = "variables", allow_blank: bool = False) -> None:
        self.names = variables(text)
        self._most = most
        self._allow_blank = allow_blank
        self._folded = {name.casefold(): name for name in self.names}
        self._field = field
        self._uses = dict.fromkeys(self.names, 0)
        for match in _ANY.finditer(text):
            self._uses[match[1].strip()] += 1
        self._plain = len(_ANY.sub("", text))
        self._seen = 0
        self._lacking: dict[str, str] = {}
        self._count = 0
        self._long: str | None = None

    def spelled(self, values: dict[str, str]) -> dict[str, str]:
        """The values under the names as the text spells them, whatever their case."""
        if all(name in values for name in self.names):
            return values
        named = {self._folded.get(key.casefold(), key): value for key, value in values.items() if key not in self.names}
        return named | {key: value for key, value in values.items() if key in self.names}

    def see(self, chat_id: str, values: Mapping[str, str]) -> None:
        self._seen += 1
        if names_out := missing(self.names, values, allow_blank=self._allow_blank):
            self._count += 1
            for name in names_out:
                self._lacking.setdefault(name, chat_id)
        elif self._long is None:
            length = self._plain + sum(len(values[name]) * times for name, times in self._uses.items())
            if length > self._most:
                self._long = chat_id

    def end(self) -> None:
        """Raises Invalid naming what lacks, and who lacks it first."""
        if self._lacking:
            first, chat_id = next(iter(self._lacking.items()))
            listed = ", ".join(f"{{{{{name}}}}}" for name in self._lacking)
            text = f"No value for {listed}: {self._count} of {self._seen} recipients lack one, the first is {chat_id}"
            fields: dict[str, dict[str, str | None]]
            fields = {self._field: {"message": f"{first} is missing for {chat_id}", "value": None}}
            fields |= {name: {"message": f"{name} is missing", "value": who} for name, who in self._lacking.items()}
            raise Invalid(text, fields=fields)
        if self._long is not None:
            raise invalid("message", f"The text for {self._long} is longer than {self._most:,} characters")


@lru_cache(maxsize=1_024)
def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def parse_values(given: object, field: str = "variables") -> dict[str, str]:
    """A JSON object of texts and numbers. Raises Invalid."""
    if not isinstance(given, Mapping):
        raise invalid(field, f"{field}: values must be an object of names and texts")
    out: dict[str, str] = {}
    for key, value in given.items():
        if not isinstance(key, str) or not _is_name(key.strip()):
            raise invalid(field, f"{field}: {str(key)[:40]!r} is no name for a variable")
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise invalid(field, f"{field}: the value of {key} must be a text or a number")
        out[key.strip()] = value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)
    return out
