"""Tests of the media folder: each file is stored once, whole, under the hash of its bytes."""

import hashlib
import os
from pathlib import Path

import pytest

from heliograph.domain.errors import Unavailable
from heliograph.media.folder import INCOMING, MediaFolder

PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 40


def keep(folder: MediaFolder, *chunks: bytes) -> str:
    incoming = folder.incoming()
    for chunk in chunks:
        incoming.write(chunk)
    return incoming.keep().sha256


def leftovers(root: Path) -> list[Path]:
    return list((root / INCOMING).iterdir())


def test_a_file_lies_whole_under_the_hash_of_its_bytes(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "media")
    incoming = folder.incoming()
    incoming.write(PNG[:5])
    incoming.write(PNG[5:])
    stored = incoming.keep()
    assert (stored.sha256, stored.size, stored.mimetype) == (hashlib.sha256(PNG).hexdigest(), len(PNG), "image/png")
    assert folder.path(stored.sha256).read_bytes() == PNG
    assert leftovers(tmp_path / "media") == []


def test_the_same_bytes_are_stored_once(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path)
    first = keep(folder, PNG)
    os.utime(folder.path(first), (1, 1))
    before = folder.path(first).stat().st_ino
    assert keep(folder, PNG) == first
    assert folder.path(first).stat().st_ino == before
    assert folder.path(first).stat().st_mtime > 1, "using it again must keep it from being pruned"
    assert leftovers(tmp_path) == []


def test_a_dropped_file_leaves_nothing(tmp_path: Path) -> None:
    incoming = MediaFolder(tmp_path).incoming()
    incoming.write(PNG)
    incoming.drop()
    assert leftovers(tmp_path) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_half_a_file_under_its_name_is_written_anew(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path)
    name = keep(folder, PNG)
    folder.path(name).write_bytes(PNG[:3])
    assert keep(folder, PNG) == name
    assert folder.path(name).read_bytes() == PNG


def test_the_bytes_are_synced_before_the_name_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(number: int) -> None:
        seen.append("sync")
        real_fsync(number)

    def replace(old: Path, new: Path) -> Path:
        seen.append("name")
        return real_replace(old, new)

    folder = MediaFolder(tmp_path)
    incoming = folder.incoming()
    incoming.write(PNG)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    incoming.keep()
    assert seen[0] == "sync", "the file first"
    assert seen.index("name") < len(seen) - 1, "and the folder after its name is there"


def test_pruning_removes_what_is_old_and_unused_in_bounded_steps(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path)
    names = [keep(folder, b"file %d" % n) for n in range(5)]
    leftover = folder.incoming()
    leftover.write(b"the process died here")
    for path in [*map(folder.path, names), *leftovers(tmp_path)]:
        os.utime(path, (1000, 1000))
    young = keep(folder, b"young")
    assert folder.prune(2000, lambda name: name == names[0], limit=3) == 3
    assert folder.prune(2000, lambda name: name == names[0], limit=100) == 2
    assert folder.prune(2000, lambda name: name == names[0], limit=100) == 0
    assert folder.path(names[0]).exists()
    assert folder.path(young).exists()
    leftover.drop()


def test_a_disk_that_cannot_be_written_makes_the_store_unavailable(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("a file where the folder should be")
    with pytest.raises(Unavailable) as refused:
        MediaFolder(tmp_path / "media").incoming()
    assert refused.value.retry_after_s == 5


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "/" * 64])
def test_a_name_that_is_no_hash_is_never_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="64 hex"):
        MediaFolder(tmp_path).path(name)
