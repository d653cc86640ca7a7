"""Recipients of a broadcast, decoded from a large body in steps, none of which blocks the event loop or other threads.

`slowly` runs the steps in a thread, and pauses between them. An array is decoded a piece at a time, cut where one
element ends and the next begins. A wrong cut (the same characters within a text) leaves a piece that is no JSON. Then
the rest of the array is decoded at once, which also words the error if there is one.
"""

import asyncio
import re
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from heliograph.api.http.body import decode
from heliograph.domain.broadcasts.csv_recipients import (
    MAX_RECIPIENTS,
    SLICE,
    Recipient,
    Spellings,
    Use,
    parse_csv_in_steps,
    recipient,
)
from heliograph.domain.errors import Invalid, invalid
from heliograph.domain.messages.chat import is_group, parse_chat_id
from heliograph.domain.messages.template import TemplateCheck, parse_values
from heliograph.ports.clock import Clock

T = TypeVar("T")
PAUSE_S = 0.001
PIECE_BYTES = 16_384  # of an array, decoded in one call
_PLACE = re.compile(r"^\[\d+\]\.?(: )?")
_SPACE = b" \t\r\n"
Steps = Generator[None, None, T]
See = Callable[[str, Mapping[str, str]], None]
Chat = str | int  # a number may come without quotes


class VariablesBody(msgspec.Struct, gc=False):
    chat_id: Chat
    values: dict[str, str | int | float]


@dataclass(frozen=True, slots=True)
class RecipientList:
    """The recipients, each once. `repeated`: how many came again. `respelled`: chats that came in two spellings.

    `other`: a group if the first recipient is a person, or the other way round; None if all are alike.
    """

    recipients: list[Recipient]
    repeated: int
    respelled: tuple[str, ...]
    other: str | None


_chats = msgspec.json.Decoder(list[Chat])
_variables = msgspec.json.Decoder(list[VariablesBody])


async def slowly(steps: Steps[T], clock: Clock) -> T:
    """Runs all steps, and returns or raises what they do."""
    while not isinstance(done := await asyncio.to_thread(_step, steps), _Done):
        await clock.sleep(PAUSE_S)
    value: T = done.value
    return value


@dataclass(frozen=True, slots=True)
class _Done:
    value: Any


def _step(steps: Steps[Any]) -> _Done | None:
    try:
        next(steps)
    except StopIteration as end:
        return _Done(end.value)
    return None


def recipients_in_body(
    chat_ids: msgspec.Raw, variables: msgspec.Raw, see: See, check: TemplateCheck | None = None
) -> Steps[RecipientList]:
    """Reads each recipient once, with its values. `see` is called for each; `check` knows how the text spells names."""
    given: dict[str, dict[str, str]] = {}
    read: dict[Chat, str] = {}  # as written → canonical, so that most are parsed once
    for one in _each(variables, _variables, b"}", b"{", "variables"):
        if one is None:
            yield
            continue
        chat_id = read[one.chat_id] = parse_chat_id(one.chat_id, "variables")
        values = parse_values(one.values)
        values = values if check is None else check.spelled(values)
        given[chat_id] = given[chat_id] | values if chat_id in given else values
    found: list[Recipient] = []
    spellings = Spellings()
    count = 0
    for text in _each(chat_ids, _chats, b'"', b'"', "chat_ids"):
        if text is None:
            yield
            continue
        count += 1
        if count > MAX_RECIPIENTS:
            raise invalid("chat_ids", f"chat_ids may name at most {MAX_RECIPIENTS:,} chats")
        # removed as they are used, as freeing a hundred thousand at once takes long
        chat_id = read.pop(text, "") or parse_chat_id(text, "chat_ids")
        if not spellings.is_repeated(chat_id, str(text)):
            values = given.pop(chat_id, {})
            see(chat_id, values)
            found.append(recipient(chat_id, values))
    if not found:
        raise invalid("chat_ids", "chat_ids must name at least one chat")
    yield
    return _recipient_list(found, spellings.repeated, tuple(spellings.respelled))


def from_csv(text: str, use: Use) -> Steps[RecipientList]:
    parsed = yield from parse_csv_in_steps(text, use=use)
    return _recipient_list(parsed.rows, parsed.repeated, parsed.respelled)


def _recipient_list(rows: list[Recipient], repeated: int, respelled: tuple[str, ...]) -> RecipientList:
    group = is_group(rows[0].chat_id)
    other = next((one.chat_id for one in rows if is_group(one.chat_id) != group), None)
    return RecipientList(rows, repeated, respelled, other)


def release(rows: list[Recipient]) -> Steps[None]:
    """Frees the rows in steps, as dropping the whole list is one long call."""
    while rows:
        del rows[-SLICE:]
        yield


def is_null(array: msgspec.Raw) -> bool:
    return len(memoryview(array)) < 100 and bytes(array).strip(_SPACE) == b"null"


def _each(
    array: msgspec.Raw, decoder: msgspec.json.Decoder[list[Any]], end: bytes, begin: bytes, field: str
) -> Iterator[Any]:
    """Yields the elements, and None between pieces. `end`, `begin`: how an element ends and the next begins."""
    if is_null(array):
        return
    text = bytes(array).strip(_SPACE)
    if not text.startswith(b"["):
        _decoded(decoder, text, field)
    at, last = 1, len(text) - 1
    while at < last:
        upto = _cut(text, at, last, end, begin)
        try:
            elements = decoder.decode(b"[%b]" % text[at:upto])
        except (msgspec.DecodeError, UnicodeDecodeError):
            elements, upto = _decoded(decoder, b"[" + text[at:], field), last
        yield from elements
        yield None
        at = upto + 1


def _decoded(decoder: msgspec.json.Decoder[list[Any]], text: bytes, field: str) -> list[Any]:
    try:
        return decode(decoder, text)
    except Invalid as error:
        # the position within a piece means nothing to the caller
        raise invalid(field, f"{field}: {_PLACE.sub('', error.message)}") from None


def _cut(text: bytes, at: int, last: int, end: bytes, begin: bytes) -> int:
    """Returns the end of a piece that starts at `at`: a comma between two elements, or the end of the array."""
    size = PIECE_BYTES
    while at + size < last:
        comma = at + size
        while (comma := text.rfind(b",", at, comma)) != -1:
            before, after = text[max(comma - 16, at) : comma], text[comma + 1 : comma + 17]
            if before.rstrip(_SPACE).endswith(end) and after.lstrip(_SPACE).startswith(begin):
                return comma
        size *= 2
    return last
