"""The folder of media files, each under the SHA-256 of its bytes: `ab/abcdef…`.

Promise: a file under its name is complete and synced, as it is written elsewhere, synced and renamed. A crash may leave
a file in `.incoming`, which `prune` removes.
Known weakness: a file that is pruned at the very moment in which it is given again is lost to that message. `keep`
marks it as used first, so the moment is short, and the file must have been unused for the whole retention time.
"""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from heliograph.domain.errors import Unavailable
from heliograph.domain.messages.media_type import HEAD_BYTES, sniff
from heliograph.ports.media import StoredMedia

INCOMING = ".incoming"


class MediaFolder:
    """ports.media.MediaStore on a file system. It blocks, so call it from a thread."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def incoming(self) -> "IncomingFile":
        with _disk():
            self._root.parent.mkdir(parents=True, exist_ok=True)
            _folder(self._root)
            _folder(self._root / INCOMING)
            return IncomingFile(self._root)

    def path(self, sha256: str) -> Path:
        return place(self._root, sha256)

    def prune(self, before_s: float, in_use: Callable[[str], bool], *, limit: int) -> int:
        removed = 0
        for path in self._files():
            if removed >= limit:
                break
            with contextlib.suppress(FileNotFoundError):  # another process may prune too
                if path.stat().st_mtime < before_s and (path.parent.name == INCOMING or not in_use(path.name)):
                    path.unlink()
                    removed += 1
        return removed

    def _files(self) -> Iterator[Path]:
        if not self._root.is_dir():
            return
        for folder in sorted(self._root.iterdir()):
            if folder.is_dir() and (folder.name == INCOMING or len(folder.name) == 2):
                yield from folder.iterdir()


class IncomingFile:
    """ports.media.Incoming: a new file, hashed while it is written."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._hash = hashlib.sha256()
        self._head = b""
        self._size = 0
        number, name = tempfile.mkstemp(dir=root / INCOMING)
        self._path = Path(name)
        self._file = os.fdopen(number, "wb", buffering=0)

    def write(self, chunk: bytes) -> None:
        if len(self._head) < HEAD_BYTES:
            self._head += chunk[: HEAD_BYTES - len(self._head)]
        self._hash.update(chunk)
        self._size += len(chunk)
        with _disk():
            rest = memoryview(chunk)
            while rest:
                rest = rest[self._file.write(rest) :]

    def looks_like(self) -> str | None:
        return sniff(self._head)

    def keep(self) -> StoredMedia:
        sha256 = self._hash.hexdigest()
        target = place(self._root, sha256)
        with _disk():
            if _still_there(target, self._size):
                self.drop()
                _sync(target.parent)  # its writer may not have synced the folder yet
            else:
                os.fsync(self._file.fileno())
                self._file.close()
                _folder(target.parent)
                self._path.replace(target)
                _sync(target.parent)
        return StoredMedia(sha256=sha256, size=self._size, mimetype=self.looks_like())

    def drop(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


def place(root: Path, sha256: str) -> Path:
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise ValueError("a media file is named by 64 hex digits")
    return root / sha256[:2] / sha256


def _still_there(target: Path, size: int) -> bool:
    """Marks the file as used now, so that it is not pruned before its job is committed."""
    try:
        os.utime(target)
        return target.stat().st_size == size
    except FileNotFoundError:
        return False


def _folder(path: Path) -> None:
    if not path.is_dir():
        path.mkdir(exist_ok=True)
        _sync(path.parent)


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    """Turns errors of a full or missing disk into Unavailable, so that the request may be sent again."""
    try:
        yield
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Unavailable(f"The media file could not be stored: {why}.", retry_after_s=5) from error
