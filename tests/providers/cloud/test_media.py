"""Tests of media: reused uploads, links, and a link with a false type."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from heliograph.domain.jobs.outcome import Accepted, NotSent, Rejected
from heliograph.domain.messages.content import Content, Kind, Media
from heliograph.providers.cloud.media_uploads import LIFETIME_US
from heliograph.simulator.graph import Rules
from tests.kit.until import until
from tests.providers.cloud.session import CLOCK, Cloud, cloud_session, request

PERSON = "447700900000"


def file(tmp_path: Path, data: bytes = b"\x89PNG not really") -> tuple[Path, str]:
    digest = hashlib.sha256(data).hexdigest()
    path = tmp_path / digest
    path.write_bytes(data)
    return path, digest


def picture(sha256: str | None, kind: Kind = Kind.IMAGE, mimetype: str = "image/png", **more: Any) -> Content:
    return Content(type=kind, body=more.pop("body", ""), media=Media(mimetype=mimetype, sha256=sha256, **more))


@pytest.mark.parametrize(
    ("kind", "mimetype", "wire", "part"),
    [
        (Kind.IMAGE, "image/jpeg", "image", {"caption": "Look"}),
        (Kind.VIDEO, "video/mp4", "video", {"caption": "Look"}),
        (Kind.DOCUMENT, "application/pdf", "document", {"caption": "Look", "filename": "a.pdf"}),
        (Kind.AUDIO, "audio/mpeg", "audio", {}),
        (Kind.VOICE, "audio/ogg; codecs=opus", "audio", {"voice": True}),
        (Kind.STICKER, "image/webp", "sticker", {}),
    ],
)
async def test_each_kind_with_a_file_is_uploaded_and_named(
    kind: Kind, mimetype: str, wire: str, part: dict[str, Any], tmp_path: Path
) -> None:
    path, digest = file(tmp_path)
    body = "Look" if "caption" in part else ""
    async with cloud_session() as cloud:
        content = picture(digest, kind, mimetype, body=body, filename="a.pdf" if kind is Kind.DOCUMENT else "")
        asked = request(cloud.phone, PERSON, content, media_path=path)
        assert isinstance(await cloud.provider.send(asked), Accepted)
        (row,) = cloud.graph.server.network.journal(tracker=asked.queue_id)
        sent = dict(row["body"][wire])
        kept = cloud.graph.server.network.file(sent.pop("id"))
        assert sent == part
        assert kept is not None and kept.sha256 == digest and kept.mimetype == mimetype.partition(";")[0]


async def send_picture(cloud: Cloud, path: Path, digest: str) -> object:
    return await cloud.provider.send(request(cloud.phone, PERSON, picture(digest), media_path=path))


async def test_a_file_goes_up_once_for_many_messages_even_at_the_same_time(tmp_path: Path) -> None:
    import asyncio

    path, digest = file(tmp_path)
    async with cloud_session(Rules(throughput_per_s=0, pair_interval_s=0)) as cloud:
        outcomes = await asyncio.gather(*(send_picture(cloud, path, digest) for _ in range(20)))
        assert all(isinstance(o, Accepted) for o in outcomes)
        assert cloud.graph.server.network.uploads == 1


async def test_an_upload_that_ran_out_is_made_again(tmp_path: Path) -> None:
    path, digest = file(tmp_path)
    async with cloud_session() as cloud:
        await send_picture(cloud, path, digest)
        ((key, (media_id, expires_at_us)),) = cloud.uploads.kept.items()
        assert abs(expires_at_us - CLOCK.now_us() - LIFETIME_US) < 60_000_000
        cloud.uploads.kept[key] = (media_id, CLOCK.now_us() - 1)
        assert isinstance(await send_picture(cloud, path, digest), Accepted)
        assert cloud.graph.server.network.uploads == 2


async def test_an_upload_that_whatsapp_has_dropped_is_forgotten_and_made_again_by_the_next_attempt(
    tmp_path: Path,
) -> None:
    path, digest = file(tmp_path)
    async with cloud_session() as cloud:
        await send_picture(cloud, path, digest)
        ((media_id, _),) = cloud.uploads.kept.values()
        assert cloud.graph.server.network.drop_file(media_id)
        refused = await send_picture(cloud, path, digest)
        assert isinstance(refused, NotSent) and refused.code == "media_again"
        assert isinstance(await send_picture(cloud, path, digest), Accepted)


async def test_a_type_that_whatsapp_does_not_take_is_refused_for_good(tmp_path: Path) -> None:
    path, digest = file(tmp_path)
    async with cloud_session() as cloud:
        odd = picture(digest, Kind.DOCUMENT, "application/x-odd")
        refused = await cloud.provider.send(request(cloud.phone, PERSON, odd, media_path=path))
        assert isinstance(refused, Rejected)
        assert cloud.graph.server.network.journal() == []


async def test_a_file_that_is_gone_from_the_folder_is_a_clear_refusal(tmp_path: Path) -> None:
    async with cloud_session() as cloud:
        content = picture("0" * 64)
        refused = await cloud.provider.send(request(cloud.phone, PERSON, content, media_path=tmp_path / "gone"))
        assert isinstance(refused, Rejected) and refused.code == "media_missing"


@pytest.mark.parametrize(("served", "ack"), [("image/png", 4), ("text/html", -1)])
async def test_a_link_is_named_to_whatsapp_and_one_that_lies_about_its_type_fails_with_a_reason(
    served: str, ack: int
) -> None:
    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=b"x", content_type=served)

    app = web.Application()
    app.add_routes([web.get("/picture.png", serve)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with cloud_session(media_by="link") as cloud:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/picture.png"
            asked = request(cloud.phone, PERSON, picture(None, url=url))
            assert isinstance(await cloud.provider.send(asked), Accepted)
            await until(lambda: ack in [r.ack for r in cloud.receipts()])
            if ack == -1:
                (receipt,) = cloud.receipts()
                assert receipt.code == "media_refused" and "text/html" in (receipt.detail or "")
            assert cloud.graph.server.network.uploads == 0
    finally:
        await runner.cleanup()
