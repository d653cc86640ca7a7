"""A body in chunks: where it may end, and how much may come beside its data.

Promise: chunk sizes, extensions and trailers are bounded, however they come; a trailer is never a header.
"""

from heliograph.app.http.limits import HttpLimits
from heliograph.app.http.refusals import HeadTooLarge
from heliograph.app.http.strict import check_trailer

_END = b"\r\n\r\n"
_SLICE_BYTES = 65_536


class Chunks:
    """The bounds of one body."""

    __slots__ = ("_fields", "_limits", "_quiet", "_tail")

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._tail = b""  # the last bytes that were read
        self._quiet = 0  # bytes of chunk sizes or trailers since the body last grew
        self._fields = 0

    def end(self, data: bytes, at: int) -> int:
        """Gives how far to read from `at`: to an empty line, which may end the body and may have begun earlier."""
        seam = (self._tail + data[at : at + 3]).find(_END) if self._tail else -1
        found = at + seam - len(self._tail) if seam >= 0 else data.find(_END, at)
        end = min(len(data) if seam < 0 and found < 0 else found + 4, at + _SLICE_BYTES)
        self._tail = (self._tail + data[max(at, end - 3) : end])[-3:]
        return end

    def count(self, size: int, *, grew: bool) -> HeadTooLarge | None:
        """After `size` bytes were read; `grew`: some of them were of the body."""
        self._quiet = 0 if grew else self._quiet + size
        if self._quiet <= self._limits.head_bytes:
            return None
        return HeadTooLarge(f"Trailers may have at most {self._limits.head_bytes} bytes")

    def trailer(self, name: bytes) -> None:
        """Raises a Refusal for one too many, or one that acts as a header."""
        self._fields += 1
        if self._fields > self._limits.fields:
            raise HeadTooLarge(f"A body may have at most {self._limits.fields} trailers")
        check_trailer(name)
