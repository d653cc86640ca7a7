"""Media type of a file by its first bytes, and its agreement with the sender's claim.

Nothing is ever decoded: a table of signatures is all. Weakness: text, CSV and other files without a signature are taken
on trust as documents; containers (ZIP, Office, MP4) are known by their wrapping only.
"""

import re
from dataclasses import dataclass

from heliograph.domain.messages.content import Kind

HEAD_BYTES = 32
ANY = "application/octet-stream"

_MIME = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*( *;[ -~]*)?", re.IGNORECASE)
_OFFICE = ("application/", "image/vnd.", "model/")

# what the bytes show → other names that senders rightly give to the same bytes
_ALSO: dict[str, frozenset[str]] = {
    "image/jpeg": frozenset({"image/jpg", "image/pjpeg"}),
    "image/png": frozenset({"image/apng", "image/x-png"}),
    "image/gif": frozenset(),
    "image/webp": frozenset(),
    "image/heic": frozenset({"image/heif"}),
    "image/avif": frozenset(),
    "image/bmp": frozenset({"image/x-ms-bmp"}),
    "image/tiff": frozenset(),
    "video/mp4": frozenset({"audio/mp4", "audio/x-m4a", "audio/m4a", "audio/aac", "video/quicktime", "video/x-m4v"}),
    "audio/mp4": frozenset({"audio/x-m4a", "audio/m4a", "audio/aac", "video/mp4"}),
    "video/3gpp": frozenset({"audio/3gpp", "video/3gpp2", "audio/3gpp2", "video/mp4"}),
    "video/quicktime": frozenset({"video/mp4"}),
    "video/webm": frozenset({"audio/webm", "video/x-matroska", "audio/x-matroska"}),
    "video/x-msvideo": frozenset({"video/avi", "video/msvideo"}),
    "audio/ogg": frozenset({"application/ogg", "audio/opus", "video/ogg"}),
    "audio/mpeg": frozenset({"audio/mp3", "audio/x-mp3", "audio/mpeg3"}),
    "audio/aac": frozenset({"audio/x-aac", "audio/aacp", "audio/mpeg"}),
    "audio/amr": frozenset({"audio/amr-wb", "audio/3gpp"}),
    "audio/wav": frozenset({"audio/x-wav", "audio/wave", "audio/vnd.wave"}),
    "audio/flac": frozenset({"audio/x-flac"}),
    "application/pdf": frozenset({"application/x-pdf"}),
    "application/zip": frozenset(),  # and every Office or package format, see `agrees`
    "application/x-ole-storage": frozenset(),
    "application/gzip": frozenset({"application/x-gzip", "application/x-tgz", "application/x-tar"}),
    "application/vnd.rar": frozenset({"application/x-rar-compressed", "application/x-rar"}),
    "application/x-7z-compressed": frozenset(),
}

_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"#!AMR", "audio/amr"),
    (b"fLaC", "audio/flac"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"\x1f\x8b", "application/gzip"),
    (b"Rar!\x1a\x07", "application/vnd.rar"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_BRANDS = {
    b"M4A": "audio/mp4",
    b"M4B": "audio/mp4",
    b"qt ": "video/quicktime",
    b"3gp": "video/3gpp",
    b"3g2": "video/3gpp",
}
_BRANDS |= {b"hei": "image/heic", b"hev": "image/heic", b"mif": "image/heic", b"avi": "image/avif"}

_FAMILY = {
    Kind.IMAGE: "image/",
    Kind.STICKER: "image/",
    Kind.VIDEO: "video/",
    Kind.AUDIO: "audio/",
    Kind.VOICE: "audio/",
}


def sniff(head: bytes) -> str | None:
    """The type that the first bytes show (`HEAD_BYTES` are enough); None if they show none we know."""
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:11], "video/mp4")
    for start, shown in _STARTS:
        if head.startswith(start):
            return shown
    return _mpeg_frame(head)


def _mpeg_frame(head: bytes) -> str | None:
    """MP3 and AAC without a tag begin with a frame: eleven set bits, then fields that may not have every value."""
    if len(head) < 3 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return "audio/aac"
    layer, bitrate, rate = head[1] & 0x06, head[2] >> 4, head[2] >> 2 & 0x03
    return "audio/mpeg" if layer and bitrate != 0xF and rate != 0x3 else None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Why a file may not be sent as it was announced; `field` is the wire's name of what is wrong."""

    field: str
    message: str


def is_mimetype(text: str) -> bool:
    return len(text) <= 255 and _MIME.fullmatch(text) is not None


def plain(mimetype: str) -> str:
    """Without parameters: `audio/ogg; codecs=opus` → `audio/ogg`."""
    return mimetype.partition(";")[0].strip().lower()


def disagreement(kind: Kind, declared: str, shown: str | None) -> Disagreement | None:
    """None if bytes that show `shown` may go out as `kind` with the type `declared`."""
    said = plain(declared)
    family = _FAMILY.get(kind)
    if family is None:  # a document may be anything, but not something else than it says
        if said == ANY or agrees(said, shown):
            return None
        return Disagreement("mimetype", f"the file is not {said}, but {shown or 'something else'}")
    if shown is None or not _in_family(shown, family):
        return Disagreement("filedata", f"the file's content is not a type of {family.rstrip('/')} that WhatsApp knows")
    if said != ANY and not said.startswith(family):
        return Disagreement("mimetype", f"mimetype must begin with {family} for media of type {kind}")
    if said != ANY and not agrees(said, shown):
        return Disagreement("mimetype", f"the file is not {said}, but {shown}")
    return None


def agrees(said: str, shown: str | None) -> bool:
    if shown is None:
        return not _recognisable(said)
    if said == shown or said in _ALSO[shown]:
        return True
    return (
        shown in ("application/zip", "application/x-ole-storage")
        and said.startswith(_OFFICE)
        and not _recognisable(said)
    )


def _recognisable(said: str) -> bool:
    """A file of this type would have shown itself."""
    return said in _ALSO or any(said in names for names in _ALSO.values())


def _in_family(shown: str, family: str) -> bool:
    return shown.startswith(family) or any(name.startswith(family) for name in _ALSO[shown])
