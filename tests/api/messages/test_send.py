"""Tests of POST /v1/message/send: accepted bodies, and the response."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator

from heliograph.domain.jobs.ids import parse_job_id
from heliograph.domain.jobs.states import State
from heliograph.domain.messages.content import Kind, Poll
from tests.api.gateway import Gateway

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HINT = "You can track message status using the fetch jobs api - /queue/jobs?queue_id="


async def test_a_send_answers_with_the_four_fields_of_the_contract(gateway: Gateway) -> None:
    answer = await gateway.send()
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["queue_id", "queue_position", "unique_id", "hint"]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", body["queue_id"])
    assert re.fullmatch(r"3EB0[0-9A-F]{18}", body["unique_id"])
    assert body["queue_position"] == 0
    assert body["hint"] == HINT + body["queue_id"]
    assert parse_job_id(body["queue_id"]) == parse_job_id(body["unique_id"])


async def test_a_send_is_a_queued_job_with_an_event_and_wakes_its_phone(gateway: Gateway) -> None:
    answer = (await gateway.send(message="Hello *you*")).json()
    job = await gateway.stores.jobs.job(gateway.org.org_no, answer["queue_id"])
    assert job is not None
    assert (job.state, job.chat_id, job.content.body) == (State.QUEUED, "919537851844@c.us", "Hello *you*")
    events = await gateway.stores.jobs.history(gateway.org.org_no, job.job_id)
    assert [(event.n, event.kind) for event in events] == [(1, "queued")]
    assert gateway.wake.phone_nos == [gateway.phone.phone_no]


async def test_positions_count_up_from_zero(gateway: Gateway) -> None:
    assert [(await gateway.send(chat_id=f"91953785184{n}")).json()["queue_position"] for n in range(3)] == [0, 1, 2]


async def test_a_chat_may_be_a_number_with_or_without_suffix_or_a_group(gateway: Gateway) -> None:
    for given in ("919537851844", "919537851844@c.us", "+919537851844", "120363297269676566@g.us"):
        assert (await gateway.send(chat_id=given)).status_code == 200
    chats = [job.chat_id for job in reversed(await gateway.jobs())]
    assert chats == ["919537851844@c.us"] * 3 + ["120363297269676566@g.us"]


async def test_the_answer_carries_the_contracts_headers(gateway: Gateway) -> None:
    headers = (await gateway.send()).headers
    assert headers["x-periskope-org-id"] == gateway.org.org_id
    assert headers["x-periskope-phone-id"] == gateway.phone.phone_id
    assert headers["x-periskope-trace-id"]
    assert headers["content-type"] == "application/json"


async def test_a_poll_keeps_its_question_and_options(gateway: Gateway) -> None:
    poll = {
        "pollName": "Lunch?",
        "pollOptions": ["Yes", "No"],
        "options": {"allowMultipleAnswers": True, "pollId": "p1"},
    }
    answer = await gateway.send(message=None, poll=poll)
    assert answer.status_code == 200
    [job] = await gateway.jobs()
    assert job.content.type is Kind.POLL
    assert job.content.poll == Poll("Lunch?", ("Yes", "No"), True, "p1")


async def test_the_link_preview_can_be_hidden(gateway: Gateway) -> None:
    await gateway.send(options={"hide_url_preview": True})
    [job] = await gateway.jobs()
    assert job.content.hide_url_preview is True


async def test_media_is_on_disk_before_the_message_is_accepted(gateway: Gateway) -> None:
    media = {"type": "image", "filedata": base64.b64encode(PNG).decode(), "filename": "a.png", "mimetype": "image/png"}
    answer = await gateway.send(message="caption", media=media)
    assert answer.status_code == 200
    [job] = await gateway.jobs()
    assert job.content.type is Kind.IMAGE
    assert job.content.body == "caption"
    assert job.content.media is not None
    assert job.content.media.sha256 == hashlib.sha256(PNG).hexdigest()
    assert job.content.media.size == len(PNG)
    assert gateway.media.path(job.content.media.sha256 or "").read_bytes() == PNG


async def test_media_may_be_a_data_uri_with_line_breaks(gateway: Gateway) -> None:
    text = base64.encodebytes(PNG).decode().replace("/", "\\/")
    uri = "data:image\\/png;base64," + text.replace("\n", "\\n")
    raw = f'{{"chat_id":"919537851844","media":{{"type":"image","filedata":"{uri}"}}}}'
    answer = await gateway.http.post("/v1/message/send", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    [job] = await gateway.jobs()
    assert job.content.media is not None
    assert (job.content.media.mimetype, job.content.media.size) == ("image/png", len(PNG))


async def test_a_large_file_is_decoded_in_pieces(gateway: Gateway) -> None:
    data = b"%PDF-1.7\n" + bytes(range(256)) * 500
    media = {"type": "document", "filedata": base64.b64encode(data).decode(), "mimetype": "application/pdf"}
    assert (await gateway.send(media=media)).status_code == 200
    [job] = await gateway.jobs()
    assert job.content.media is not None
    assert job.content.media.sha256 == hashlib.sha256(data).hexdigest()


async def test_a_reply_names_a_message_of_the_organisation_by_any_of_its_ids(gateway: Gateway) -> None:
    first = (await gateway.send()).json()
    for name in (first["queue_id"], first["unique_id"], f"true_919537851844@c.us_{first['unique_id']}"):
        assert (await gateway.send(reply_to=name)).status_code == 200
    assert len(await gateway.jobs()) == 4


async def test_the_plural_path_and_a_trailing_slash_are_taken_too(gateway: Gateway) -> None:
    for path in ("/v1/messages/send", "/v1/message/send/"):
        answer = await gateway.http.post(path, json={"chat_id": "919537851844", "message": "Hi"})
        assert answer.status_code == 200
        assert answer.headers["x-periskope-phone-id"] == gateway.phone.phone_id


async def test_unknown_keys_and_a_missing_content_type_do_no_harm(gateway: Gateway) -> None:
    raw = b'{"chat_id":"919537851844","message":"Hi","priority_of_a_newer_client":{"a":[1]}}'
    assert (await gateway.http.post("/v1/message/send", content=raw)).status_code == 200


async def test_a_body_in_many_pieces_is_put_together(gateway: Gateway) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b'{"chat_id":', b'"919537851844",', b'"message":"Hi"}'):
            yield piece

    answer = await gateway.http.post("/v1/message/send", content=pieces())
    assert answer.status_code == 200
    [job] = await gateway.jobs()
    assert job.content.body == "Hi"
