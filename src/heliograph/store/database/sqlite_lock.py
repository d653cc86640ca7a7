"""Checks before a database file is opened: a lock file gives it to one process, and a full disk is named.

Promise: one process at a time, whichever symbolic link names the file; a kill leaves nothing to clean up.
Known weakness: a file with several names (hard links) is refused at the start, but not if a name is added later. SQLite
keeps its log beside the name by which the file was opened: after a kill, another name would miss the last commits.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import sqlite3
from pathlib import Path

from heliograph.domain.errors import CannotStart

_NO_ROOM_BYTES = 65_536


def real_path(path: str) -> str:
    """Follows symbolic links to the file itself."""
    return path if path == ":memory:" else os.path.realpath(path)


def check_names(path: str) -> None:
    """Raises CannotStart for a file with a second name."""
    try:
        names = os.stat(path).st_nlink
    except OSError:
        return  # not there yet, or nothing to open: SQLite says so
    if names > 1 and not os.path.isdir(path):
        raise CannotStart(
            f"The database {path} has {names} names (hard links), and its log lies beside only one of them: "
            "keep the name that was used so far and remove the others; a symbolic link is fine."
        )


def take_lock(path: str) -> int:
    """Gives the open lock file; closing it releases the database. Raises CannotStart."""
    if path == ":memory:":
        raise CannotStart("An in-memory database would lose messages: name a file.")
    folder = Path(path).parent
    if not folder.is_dir():
        raise CannotStart(f"The folder {folder} of the database does not exist.")
    name = f"{path}.lock"
    try:
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritten(name, error) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise CannotStart(
            f"The database {path} belongs to another heliograph process (pid {holder}): "
            "stop it first, or use PostgreSQL for several processes."
        ) from None
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
    except OSError as error:
        os.close(handle)
        raise _unwritten(name, error) from None
    return handle


def disk_full(path: str) -> CannotStart:
    return CannotStart(
        f"The disk is full: {path} cannot be written. Make room in {Path(path).parent}, then start again."
    )


def is_full(path: str, error: sqlite3.Error) -> bool:
    """Tells whether the disk is full. SQLite says so, unless the log's index has no room: then it says "I/O error"."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code != sqlite3.SQLITE_IOERR:
        return code == sqlite3.SQLITE_FULL
    with contextlib.suppress(OSError):
        return shutil.disk_usage(Path(path).parent).free < _NO_ROOM_BYTES
    return False


def _unwritten(name: str, error: OSError) -> CannotStart:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(name)
    return CannotStart(f"The lock file {name} cannot be written: {error.strerror}.")
