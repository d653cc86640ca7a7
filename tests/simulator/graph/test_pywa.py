"""Tests of the local Graph server with pywa, an independent client."""

import warnings

import httpx
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pywa.errors import (
        ExpiredAccessToken,
        MessageUndeliverable,
        RateLimitHit,
        ReEngagementMessage,
        TooManyMessages,
        WhatsAppError,
    )
    from pywa.types.callback import Button
    from pywa.types.message_status import MessageStatus, MessageStatusType
    from pywa.types.others import Contact
    from pywa.types.templates import TemplateLanguage
    from pywa_async.client import WhatsApp

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from heliograph.simulator.graph import Rules
from tests.kit.until import until
from tests.simulator.graph.graph_client import GraphClient, graph_client

QUICK = Rules(sent_after_s=0.01, delivered_after_s=0.02, read_after_s=0.04, status_contacts=True)


@asynccontextmanager
async def client(graph: GraphClient, *, token: str = "graph-test-token") -> AsyncIterator[WhatsApp]:
    async with httpx.AsyncClient() as session:
        wa = WhatsApp(phone_id=graph.phone, token=token, session=session)
        session.base_url = httpx.URL(graph.root)
        yield wa


async def test_pywa_sends_every_kind_it_knows() -> None:
    async with graph_client(QUICK) as graph, client(graph) as wa:
        to = "447700900123"
        sent = [
            await wa.send_message(to=to, text="hello", preview_url=True, tracker="job-1"),
            await wa.send_message(to=to, text="well?", buttons=[Button(title="Yes", callback_data="y")]),
            await wa.send_image(to=to, image=b"png", mime_type="image/png", caption="look"),
            await wa.send_image(to=to, image="https://files.example.org/a.png"),
            await wa.send_document(to=to, document=b"pdf", filename="a.pdf", mime_type="application/pdf"),
            await wa.send_audio(to=to, audio=b"mp3", mime_type="audio/mpeg"),
            await wa.send_video(to=to, video=b"mp4", mime_type="video/mp4"),
            await wa.send_sticker(to=to, sticker=b"webp", mime_type="image/webp"),
            await wa.send_location(to=to, latitude=51.5, longitude=0.1, name="n", address="a"),
            await wa.send_contact(to=to, contact=Contact(name=Contact.Name(formatted_name="Ada", first_name="Ada"))),
            await wa.send_template(to=to, name="hello_world", language=TemplateLanguage.ENGLISH_US, params=[]),
        ]
        ids = [one.id for one in sent]
        assert all(str(one).startswith("wamid.") for one in ids)
        await wa.send_reaction(to=to, emoji="👍", message_id=str(ids[0]))
        assert len(graph.server.network.journal()) == len(sent) + 1
        assert graph.server.network.journal(tracker="job-1")[0]["body"]["text"] == {
            "body": "hello",
            "preview_url": True,
        }


async def test_pywa_reads_the_statuses() -> None:
    async with graph_client(QUICK) as graph, client(graph) as wa:
        sent = await wa.send_message(to="447700900123", text="hello", tracker="job-2")
        found: list[MessageStatus[str]] = []

        def read() -> bool:
            found.clear()
            for _, raw in graph.hooks.got:
                update = json.loads(raw)
                value = update["entry"][0]["changes"][0]["value"]
                for one in value["statuses"]:
                    value["statuses"] = [one]
                    found.append(MessageStatus.from_update(wa, update))
            return len(found) == 3

        await until(read)
        assert [one.status for one in found] == [
            MessageStatusType.SENT,
            MessageStatusType.DELIVERED,
            MessageStatusType.READ,
        ]
        assert {(one.id, one.tracker) for one in found} == {(sent.id, "job-2")}


@pytest.mark.parametrize(
    ("code", "error"),
    [(130429, RateLimitHit), (131056, TooManyMessages), (131047, ReEngagementMessage), (131026, MessageUndeliverable)],
)
async def test_pywa_names_the_errors(code: int, error: type[WhatsAppError]) -> None:
    async with graph_client(QUICK) as graph, client(graph) as wa:
        async with graph.http.put(
            f"{graph.server.base_url}/_graph/recipients/447911123456", json={"answer": code}
        ) as response:
            assert response.status == 204
        with pytest.raises(error) as caught:
            await wa.send_message(to="447911123456", text="hello")
        assert caught.value.code == code


async def test_pywa_sees_a_wrong_token() -> None:
    async with graph_client(replace(QUICK, token="another-token")) as graph, client(graph) as wa:
        with pytest.raises(ExpiredAccessToken):
            await wa.send_message(to="447700900123", text="hello")
