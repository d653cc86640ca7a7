"""Tests of base64 media: it is decoded in chunks, so memory does not grow with the file."""

import base64
import hashlib
import tracemalloc
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.api.messages.base64_media import CHUNK, store_file
from heliograph.api.messages.send_body import MediaBody, SendBody, content_of
from heliograph.domain.errors import Invalid
from heliograph.media.folder import MediaFolder

MIB = 1024 * 1024


def body_of(filedata: str) -> SendBody:
    text = msgspec.json.encode({"chat_id": "919537851844", "media": {"type": "document", "filedata": filedata}})
    return msgspec.json.decode(text, type=SendBody)


def media_of(body: SendBody) -> MediaBody:
    assert body.media is not None
    return body.media


async def test_a_file_of_24_mib_is_decoded_with_little_memory(tmp_path: Path) -> None:
    data = b"%PDF-1.7\n" + b"\x00\x01\x02" * (8 * MIB)
    body = body_of(base64.b64encode(data).decode())
    content = content_of(body)
    folder = MediaFolder(tmp_path)
    tracemalloc.start()
    try:
        taken = await store_file(folder, content, media_of(body), most=None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB
    assert taken.media is not None
    assert (taken.media.size, taken.media.mimetype) == (len(data), "application/pdf")
    assert folder.path(taken.media.sha256 or "").read_bytes() == data


@given(data=st.binary(min_size=1, max_size=300))
async def test_the_stored_bytes_are_those_that_were_encoded(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    body = body_of(base64.b64encode(data).decode())
    folder = MediaFolder(tmp_path_factory.mktemp("media"))
    taken = await store_file(folder, content_of(body), media_of(body), most=None)
    assert taken.media is not None
    assert taken.media.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("at", [0, CHUNK - 4, CHUNK, CHUNK + 3, 2 * CHUNK - 1])
async def test_one_wrong_character_anywhere_refuses_the_whole_file(tmp_path: Path, at: int) -> None:
    text = base64.b64encode(b"\x00" * CHUNK * 2).decode()
    body = body_of(text[:at] + "*" + text[at + 1 :])
    with pytest.raises(Invalid, match="not valid base64"):
        await store_file(MediaFolder(tmp_path), content_of(body), media_of(body), most=None)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


async def test_padding_at_the_end_of_a_chunk_does_not_hide_what_follows(tmp_path: Path) -> None:
    text = base64.b64encode(b"\x00" * (CHUNK // 4 * 3 - 1)).decode() + "AAAA"
    assert text[CHUNK - 1] == "="
    body = body_of(text)
    with pytest.raises(Invalid, match="not valid base64"):
        await store_file(MediaFolder(tmp_path), content_of(body), media_of(body), most=None)


async def test_a_file_is_counted_while_it_is_decoded(tmp_path: Path) -> None:
    body = body_of(base64.b64encode(b"\x00" * 3000).decode())
    with pytest.raises(Invalid, match="at most 2999 bytes"):
        await store_file(MediaFolder(tmp_path), content_of(body), media_of(body), most=2999)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert (await store_file(MediaFolder(tmp_path), content_of(body), media_of(body), most=3000)).media is not None
