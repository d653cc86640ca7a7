"""Request bodies: read up to the limit and decoded into a type, with errors that name the field.

Promise: a body over the limit is refused before it is parsed, whether its length was announced or not. A compressed
body is never unpacked. Text that a database cannot store (NUL, lone surrogates) is refused here.
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
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
SLICE = 65_536
MAX_FIELD = 100  # characters of a field name that an error shows
MAX_LENGTH_DIGITS = 20
MAX_NUMBER = 308  # digits of a number
_DEEP = f"The JSON is nested deeper than {MAX_DEPTH} levels"


class ClientGone(Exception):
    """The caller hung up before its body was complete."""


async def read_body(receive: Receive, length: bytes | None, limit: int) -> bytes | bytearray:
    """Reads the whole body. Raises PayloadTooLarge as soon as it is known to exceed `limit`."""
    # `int` itself refuses very long numbers with an internal error
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
    """Raises UnsupportedMediaType for anything but plain JSON. An empty body needs no content type."""
    if content_encoding is not None and content_encoding.strip().lower() not in (b"", b"identity"):
        raise UnsupportedMediaType("Content-Encoding is not supported: send the body uncompressed")
    if not body or content_type is None:
        return
    kind = content_type.partition(b";")[0].strip().lower()
    if kind not in (b"", b"application/json", b"text/json") and not kind.endswith(b"+json"):
        raise UnsupportedMediaType("The body must be JSON: send Content-Type: application/json")


def decode(decoder: msgspec.json.Decoder[T], body: bytes | bytearray) -> T:
    """Decodes a body. Raises BadRequest if it is not JSON, Invalid if it is not of the type."""
    try:
        value = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _wrong_type(str(error), body) from None
    except RecursionError:
        raise BadRequest(_DEEP) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _not_json(error, body) from None
    if not body.isascii():
        _refuse_other_encodings(body)  # the decoder does not check the encoding of fields that it skips
    if _may_be_deep(body) and _depth(body) > MAX_DEPTH:
        raise BadRequest(_DEEP)
    if b"\\u0000" in body:
        _look_for_unstorable(body)
    return value


def _slices(body: bytes | bytearray) -> Iterator[bytes]:
    """Cuts a body into pieces, none of which ends within an escape, so that no call holds other threads up for long."""
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
    """Returns the nesting depth of valid JSON."""
    # fast for a large body: each step is one call over a piece. Escapes go first, then all but brackets and quotes,
    # then strings, whose brackets do not count; at last every pass removes the innermost level
    outside = []
    inside = 0  # 1 within a string
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
    """Turns msgspec's `Expected `str`, got `int` - at `$.media.url`` into an error of the field `url`.

    msgspec stops at the first wrong type, so the rest may not be JSON at all.
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
    try:  # the standard parser accepts lone surrogates, so the field that holds one can be named
        _look_for_unstorable(body)
    except (Invalid, BadRequest) as refusal:
        return refusal
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
        for element in value:
            _refuse_unstorable(element, field)
    elif isinstance(value, dict):
        for name, member in value.items():
            _refuse_unstorable(name, field)
            _refuse_unstorable(member, name if len(name) <= MAX_FIELD else field)
