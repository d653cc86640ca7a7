"""Filling of a small disk."""

import contextlib
import os
from pathlib import Path


def fill(disk: Path) -> Path:
    """Writes a file that takes all the free space; remove it to get the space back."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65_536, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\1" * size) == size:
                    os.fsync(file.fileno())
    return filler
