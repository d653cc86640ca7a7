"""Tests of media types: the first bytes decide, and must agree with the declared type."""

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.messages.content import Kind
from heliograph.domain.messages.media_type import disagreement, is_mimetype, sniff

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00"
M4A = b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00"
OGG = b"OggS\x00\x02" + b"\x00" * 20
MP3 = b"\xff\xfb\x90\x44" + b"\x00" * 20
PDF = b"%PDF-1.7\n%\xe2\xe3"
DOCX = b"PK\x03\x04\x14\x00\x06\x00"
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 "
TEXT = b"name,number\nAda,1\n"
WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


@pytest.mark.parametrize(
    ("head", "shown"),
    [
        (PNG, "image/png"), (JPEG, "image/jpeg"), (b"GIF89a..", "image/gif"), (WEBP, "image/webp"),
        (MP4, "video/mp4"), (M4A, "audio/mp4"), (b"\x00\x00\x00\x14ftyp3gp4", "video/3gpp"),
        (b"\x00\x00\x00\x14ftypqt  ", "video/quicktime"), (b"\x00\x00\x00\x14ftypheic", "image/heic"),
        (OGG, "audio/ogg"), (MP3, "audio/mpeg"), (b"ID3\x04\x00", "audio/mpeg"), (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"#!AMR\n", "audio/amr"), (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio/wav"), (PDF, "application/pdf"),
        (DOCX, "application/zip"), (zlib.compress(b"x"), None), (TEXT, None), (b"", None), (b"\xff", None),
    ],
)  # fmt: skip
def test_a_file_type_is_known_by_its_first_bytes(head: bytes, shown: str | None) -> None:
    assert sniff(head) == shown


@pytest.mark.parametrize(
    ("kind", "said", "head"),
    [
        (Kind.IMAGE, "image/png", PNG), (Kind.IMAGE, "image/jpg", JPEG), (Kind.IMAGE, "IMAGE/JPEG", JPEG),
        (Kind.STICKER, "image/webp", WEBP), (Kind.VIDEO, "video/mp4", MP4), (Kind.AUDIO, "audio/mp4", M4A),
        (Kind.AUDIO, "audio/mp4", MP4), (Kind.AUDIO, "audio/mp3", MP3), (Kind.VOICE, "audio/ogg; codecs=opus", OGG),
        (Kind.DOCUMENT, "application/pdf", PDF), (Kind.DOCUMENT, WORD, DOCX), (Kind.DOCUMENT, "text/csv", TEXT),
        (Kind.DOCUMENT, "image/png", PNG), (Kind.DOCUMENT, "application/octet-stream", b"\x00\x01"),
        (Kind.IMAGE, "application/octet-stream", PNG),
    ],
)  # fmt: skip
def test_a_file_that_is_what_it_says_passes(kind: Kind, said: str, head: bytes) -> None:
    assert disagreement(kind, said, sniff(head)) is None


@pytest.mark.parametrize(
    ("kind", "said", "head", "field"),
    [
        (Kind.IMAGE, "image/png", JPEG, "mimetype"), (Kind.IMAGE, "image/png", TEXT, "filedata"),
        (Kind.IMAGE, "image/png", PDF, "filedata"), (Kind.IMAGE, "application/pdf", PNG, "mimetype"),
        (Kind.VIDEO, "video/mp4", PNG, "filedata"), (Kind.AUDIO, "audio/mpeg", OGG, "mimetype"),
        (Kind.DOCUMENT, "application/pdf", TEXT, "mimetype"), (Kind.DOCUMENT, "application/pdf", DOCX, "mimetype"),
        (Kind.DOCUMENT, "text/plain", JPEG, "mimetype"), (Kind.DOCUMENT, "image/png", DOCX, "mimetype"),
    ],
)  # fmt: skip
def test_a_file_that_is_something_else_is_named(kind: Kind, said: str, head: bytes, field: str) -> None:
    found = disagreement(kind, said, sniff(head))
    assert found is not None
    assert found.field == field


@given(st.binary(max_size=64), st.sampled_from(Kind), st.sampled_from(["image/png", "text/plain", "audio/ogg", "x/y"]))
def test_any_bytes_get_an_answer(head: bytes, kind: Kind, said: str) -> None:
    found = disagreement(kind, said, sniff(head))
    assert found is None or found.message


@pytest.mark.parametrize("text", ["image/png", "audio/ogg; codecs=opus", "application/vnd.ms-excel", "IMAGE/PNG"])
def test_a_mimetype_is_two_words_and_parameters(text: str) -> None:
    assert is_mimetype(text)


@pytest.mark.parametrize(
    "text", ["", "png", "image/", "/png", "image/png\n", "a b/c", "image/png;\x00", "x/" + "y" * 300]
)
def test_other_texts_are_no_mimetype(text: str) -> None:
    assert not is_mimetype(text)


def test_base64_of_a_file_is_not_the_file() -> None:
    assert sniff(base64.b64encode(PNG)) is None
