"""JSON with the spelling of JavaScript's JSON.stringify.

Promise: `JSON.stringify(JSON.parse(body)) === body`, so that a receiver may hash either. Therefore keys that are array
indices come first in rising order, numbers that JavaScript spells differently become integers or strings, and lone
surrogates become U+FFFD.
"""

from typing import Any

import msgspec

_SAFE = 2**53 - 1
_MIN_PLAIN = 1e-5  # below it JavaScript and this encoder choose different exponents
_INDEX_END = 2**32 - 1

_encoder = msgspec.json.Encoder()


def encode_body(value: object) -> bytes:
    """Encodes dict, list, tuple, str, int, float, bool and None as compact UTF-8. Raises TypeError for others."""
    return _encoder.encode(_plain(value))


def _plain(value: object) -> Any:
    match value:
        case None | bool():
            return value
        case str():
            return value if value.isascii() else _text(value)
        case int():
            return value if -_SAFE <= value <= _SAFE else str(value)
        case float():
            return _number(value)
        case dict():
            return _object(value)
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            raise TypeError(f"{type(value).__name__} has no place in a webhook body")


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _number(value: float) -> int | float | str | None:
    if value != value or value in (float("inf"), float("-inf")):
        return None
    if value.is_integer():
        return int(value) if abs(value) <= _SAFE else str(int(value))
    return value if _MIN_PLAIN <= abs(value) < _SAFE else repr(value)


def _is_index(key: str) -> bool:
    return key.isascii() and key.isdigit() and (key == "0" or key[0] != "0") and int(key) < _INDEX_END


def _object(value: dict[Any, object]) -> dict[str, Any]:
    out = {_text(key) if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()}
    indices = sorted((key for key in out if key[:1].isdigit() and _is_index(key)), key=int)
    if not indices:
        return out
    first = {key: out[key] for key in indices}
    return first | {key: item for key, item in out.items() if key not in first}
