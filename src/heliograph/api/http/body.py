"""Bodies: read up to the limit, decoded against a type, with an error that names the field.

Promise: a body over the limit is refused before it is parsed, whether its length was announced or not; a compressed one
is never unpacked. Nothing that a database cannot store (NUL, lone surrogates) comes further than here.
"""

import json
import math
import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import msgspec

from heliograph.domain.errors import BadRequest, Invalid, PayloadTooLarge, UnsupportedMediaType, invalid

T = TypeVar("T")
Receive = Callable[[], Awaitable[Any]]

_PLACE = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
_MISSING = re.compile(r"missing required field `(?P<field>[^`]+)`")
_UNKNOWN = re.compile(r"unknown field `(?P<field>.*)`", re.DOTALL)
MAX_DEPTH = 32
_NO_BRACKETS = bytes(one for one in range(256) if one not in b'[]{}"')
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
SLICE = 65_536
MAX_FIELD = 100  # longer keys are not shown back
MAX_LENGTH_DIGITS = 20
MAX_NUMBER = 308  # digits: what any number may have
_DEEP = f"The JSON is nested deeper than {MAX_DEPTH} levels"


class ClientGone(Exception):
    """The caller hung up before its body was complete: there is nobody to answer."""


async def read_body(receive: Receive, length: bytes | None, limit: int) -> bytes | bytearray:
    """The whole body; PayloadTooLarge as soon as it is known to exceed `limit`."""
    # `int` itself refuses very long numbers, with a defect's error
    if length is not None and (not length.isdigit() or len(length) > MAX_LENGTH_DIGITS or int(length) > limit):
        raise _too_large(limit)
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    first: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(first) > limit:
            raise _too_large(limit)
        return first
    body = bytearray(first)
    while message.get("more_body", False):
        if len(body) > limit:
            raise _too_large(limit)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
    if len(body) > limit:
        raise _too_large(limit)
    return body


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body may have at most {limit} bytes; give larger media by url")


def check_encoding(content_type: bytes | None, content_encoding: bytes | None, body: bytes | bytearray) -> None:
    """Only plain JSON is taken. A call without a body needs no content type."""
    if content_encoding is not None and content_encoding.strip().lower() not in (b"", b"identity"):
        raise UnsupportedMediaType("Content-Encoding is not supported: send the body uncompressed")
    if not body or content_type is None:
        return
    said = content_type.partition(b";")[0].strip().lower()
    if said not in (b"", b"application/json", b"text/json") and not said.endswith(b"+json"):
        raise UnsupportedMediaType("The body must be JSON: send Content-Type: application/json")


def decode(decoder: msgspec.json.Decoder[T], body: bytes | bytearray) -> T:
    """Raises BadRequest if it is not JSON, Invalid if it is not of the type."""
    try:
        value = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _wrong_type(str(error), body) from None
    except RecursionError:
        raise BadRequest(_DEEP) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_json(error, body) from None
    if not body.isascii():
        _refuse_other_encodings(body)  # what is skipped, because nobody asks for it, was not looked at
    if _may_be_deep(body) and _depth(body) > MAX_DEPTH:
        raise BadRequest(_DEEP)
    if b"\\u0000" in body:
        _look_for_unstorable(body)
    return value


def _slices(body: bytes | bytearray) -> Iterator[bytes]:
    """In pieces, none of which ends in the middle of an escape: each call on one holds up other threads for no time."""
    at = 0
    while at < len(body):
        end = at + SLICE
        while body[end - 1 : end] == b"\\":
            end += 1
        yield bytes(body[at:end])
        at = end


def _may_be_deep(body: bytes | bytearray) -> bool:
    opened = 0
    for part in _slices(body):
        opened += part.count(b"[") + part.count(b"{")
        if opened > MAX_DEPTH:
            return True
    return False


def _depth(body: bytes | bytearray) -> int:
    """How deep valid JSON is nested. What is kept must be readable again from any depth of the program's own calls."""
    # quick for a large body too: each step is one call over a piece. Escapes go, then all but brackets and quotes, then
    # strings, whose brackets do not count; at last every pass takes off the innermost level
    outside = []
    inside = 0  # are we within a string?
    for part in _slices(body):
        bare = part.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_ONE_KIND, _NO_BRACKETS)
        pieces = bare.replace(b'""', b"").split(b'"')
        outside.append(b"".join(pieces[inside::2]))
        inside ^= (len(pieces) - 1) % 2
    left = b"".join(outside)
    depth = 0
    while left:
        left = left.replace(b"[]", b"")
        depth += 1
        if depth > 2 * MAX_DEPTH:
            break
    return depth


def _wrong_type(text: str, body: bytes | bytearray) -> Invalid | BadRequest:
    """msgspec's `Expected `str`, got `int` - at `$.media.url`` as a message for the field `url`.

    It stops at the first wrong type, so what comes after that may not be JSON at all.
    """
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _not_json(error, body)
    except RecursionError:
        return BadRequest(_DEEP)
    place = _PLACE.search(text)
    path = place["path"].lstrip(".") if place else ""
    text = _PLACE.sub("", text)
    if missing := _MISSING.search(text):
        return invalid(missing["field"], f"{missing['field']} is missing")
    if unknown := _UNKNOWN.search(text):
        field = unknown["field"][:MAX_FIELD]
        return invalid(field, f"{field} is not known here")
    names = [name for name in re.split(r"\.|\[.*?\]", path) if name]
    message = text.replace("`", "")
    return invalid(names[-1], f"{path}: {message}") if names else Invalid(f"Invalid body. {message}")


def _not_json(error: Exception, body: bytes | bytearray) -> BadRequest | Invalid:
    if not body:
        return BadRequest("The body is empty: JSON is needed")
    if isinstance(error, UnicodeDecodeError):
        return BadRequest("The body is not UTF-8")
    try:  # the standard parser takes lone surrogates, so it can tell where they stand
        _look_for_unstorable(body)
    except (Invalid, BadRequest) as found:
        return found
    return BadRequest(f"The body is not JSON: {error}")


def _refuse_other_encodings(body: bytes | bytearray) -> None:
    try:
        body.decode()
    except UnicodeDecodeError:
        raise BadRequest("The body is not UTF-8") from None


def _look_for_unstorable(body: bytes | bytearray) -> None:
    try:
        _refuse_unstorable(json.loads(body, parse_int=_whole, parse_constant=_no_number))
    except RecursionError:
        raise BadRequest(_DEEP) from None
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {error}") from None


def _whole(text: str) -> float:
    return int(text) if len(text) <= MAX_NUMBER else math.inf


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _refuse_unstorable(value: Any, field: str = "body") -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise invalid(field, f"{field} holds a NUL character, which cannot be stored")
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise invalid(field, f"{field} holds half of a surrogate pair, which is no character")
    elif isinstance(value, float):
        if math.isinf(value):
            raise invalid(field, f"{field} holds a number that is too large")
    elif isinstance(value, list):
        for one in value:
            _refuse_unstorable(one, field)
    elif isinstance(value, dict):
        for name, one in value.items():
            _refuse_unstorable(name, field)
            _refuse_unstorable(one, name if len(name) <= MAX_FIELD else field)
