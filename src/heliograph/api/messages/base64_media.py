"""Base64 of a request body, decoded into the media folder a chunk at a time.

Promise: the decoded file is never in memory as a whole, and its size is checked while it is decoded. A refusal leaves
nothing of it. When `store_file` returns, the bytes are on disk, so that the message may be accepted.
The base64 text is a view into the request body, not a copy, unless it holds line breaks or escapes.
"""

import asyncio
import binascii

import msgspec

from heliograph.api.messages.send_body import MediaBody
from heliograph.domain.errors import Invalid, invalid
from heliograph.domain.messages.content import Content, Kind, Media
from heliograph.domain.messages.media_type import ANY, disagreement, is_mimetype
from heliograph.ports.media import Incoming, MediaStore

CHUNK = 256 * 1024  # of base64; a multiple of 4
_SPACES = b" \t\r\n"
_HEADER_LIMIT = 512


async def store_file(store: MediaStore, content: Content, body: MediaBody, *, most: int | None) -> Content:
    """Stores the file, and returns the content with it. `most`: the provider's limit in bytes. Raises Invalid."""
    assert content.media is not None
    media = await asyncio.to_thread(_store, store, content.type, content.media, body.filedata, most)
    return msgspec.structs.replace(content, media=media)


def estimated_size(body: MediaBody) -> int:
    """Returns an upper bound of the file's size without decoding it."""
    return len(memoryview(body.filedata)) * 3 // 4


def _store(store: MediaStore, kind: Kind, media: Media, raw: msgspec.Raw, most: int | None) -> Media:
    text, announced = _base64_text(raw)
    incoming = store.incoming()
    try:
        _decode(text, incoming, most)
        detected = incoming.looks_like()
        mimetype = media.mimetype if media.mimetype != ANY or announced is None else announced
        if wrong := disagreement(kind, mimetype, detected):
            raise invalid(wrong.field, f"media.{wrong.field}: {wrong.message}", mimetype)
    except BaseException:
        incoming.drop()
        raise
    stored = incoming.keep()
    return Media(
        mimetype=(detected or ANY) if mimetype == ANY else mimetype,
        filename=media.filename,
        size=stored.size,
        sha256=stored.sha256,
    )


def _base64_text(raw: msgspec.Raw) -> tuple[memoryview, str | None]:
    """Returns the bare base64, and the type that a data URI announces."""
    view = memoryview(raw)
    if bytes(view[:1]) != b'"':
        raise invalid("filedata", "media.filedata must be a string of base64")
    view = view[1:-1]
    if _has_any(view, b"\\ "):
        text = msgspec.json.decode(raw, type=str)
        try:
            view = memoryview(text.encode("ascii").translate(None, _SPACES))
        except UnicodeEncodeError:
            raise _broken() from None
    if bytes(view[:5]).lower() != b"data:":
        return view, None
    head, comma, _ = bytes(view[:_HEADER_LIMIT]).partition(b",")
    if not comma or not head.lower().endswith(b";base64"):
        raise invalid("filedata", "media.filedata as a data URI must be data:<mimetype>;base64,<data>")
    announced = head[5:-7].decode("latin-1")
    return view[len(head) + 1 :], announced if is_mimetype(announced) else None


def _has_any(view: memoryview, wanted: bytes) -> bool:
    """Searches a chunk at a time, so that nothing large is copied."""
    for start in range(0, len(view), CHUNK):
        piece = bytes(view[start : start + CHUNK])
        if any(piece.find(byte) >= 0 for byte in wanted):
            return True
    return False


def _decode(text: memoryview, incoming: Incoming, most: int | None) -> None:
    if len(text) % 4:
        raise _broken()
    size = 0
    for start in range(0, len(text), CHUNK):
        try:
            chunk = binascii.a2b_base64(text[start : start + CHUNK], strict_mode=True)
        except binascii.Error:
            raise _broken() from None
        if len(chunk) % 3 and start + CHUNK < len(text):
            raise _broken()  # padding before the end
        size += len(chunk)
        if most is not None and size > most:
            raise invalid(
                "filedata", f"media.filedata is too large: this phone sends at most {most} bytes of this type"
            )
        incoming.write(chunk)
    if not size:
        raise invalid("filedata", "media.filedata is empty")


def _broken() -> Invalid:
    return invalid("filedata", "media.filedata is not valid base64")
