"""Files that are sent: each kept once, under the name of its own bytes.

Promise: when `keep` returns, the bytes are on disk and stay the same until they are pruned.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredMedia:
    """`sha256` (hex) names the file; `mimetype` is what its first bytes show, None if they show nothing known."""

    sha256: str
    size: int
    mimetype: str | None


class Incoming(Protocol):
    """A file that is being written: `write` chunks, then `keep` or `drop`. Blocking: not on the event loop."""

    def write(self, chunk: bytes) -> None: ...

    def looks_like(self) -> str | None:
        """The type that the first bytes show; may be asked before `keep`."""
        ...

    def keep(self) -> StoredMedia: ...

    def drop(self) -> None: ...


class MediaStore(Protocol):
    def incoming(self) -> Incoming: ...

    def path(self, sha256: str) -> Path:
        """Gives the path of the bytes, also where none are stored yet."""
        ...

    def prune(self, before_s: float, in_use: Callable[[str], bool], *, limit: int) -> int:
        """Removes up to `limit` files last used before `before_s` (epoch seconds) that nobody needs. Blocking."""
        ...
