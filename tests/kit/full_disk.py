"""A disk without room, and with room again."""

import contextlib
import os
from pathlib import Path


def fill(disk: Path) -> Path:
    """What takes all the room that was left; unlink it to give it back."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65_536, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\1" * size) == size:
                    os.fsync(file.fileno())
    return filler
