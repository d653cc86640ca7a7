"""POST /v1/message/send: a checked message goes into the queue.

Promise: a 200 is given only after the store has committed and synced the job, and after the bytes of its file are on
disk; a refusal has queued nothing. `accept` is the one way in: the gate calls `send` directly for this path, with no
routing in between; every other path that sends goes through Litestar.
Weakness: a file whose message the store itself refuses (its phone was deleted in this moment, its chat is suppressed,
its key was taken by a request beside it) stays in the media folder until it is pruned.
"""

from collections.abc import Mapping

import msgspec
from litestar.handlers import HTTPRouteHandler

from heliograph.api.http.auth import Caller
from heliograph.api.http.body import check_encoding, decode
from heliograph.api.http.idempotency import headers_if, idempotency, reused
from heliograph.api.http.request import ApiRequest, ApiState, RequestHeaders
from heliograph.api.http.route import PhoneHeader, RawResponse, route
from heliograph.api.messages.base64_media import estimated_size, take_in
from heliograph.api.messages.send_body import MediaBody, SendBody, content_of
from heliograph.api.messages.send_options import expiry_of, parse_priority, performer
from heliograph.domain.contract.jobs import HINT
from heliograph.domain.errors import NotFound, Refusal, invalid
from heliograph.domain.jobs.ids import queue_id, unique_id
from heliograph.domain.jobs.job import Enqueued, KeyReused, NewJob, PhoneDeleted, PhoneRow
from heliograph.domain.messages.chat import parse_chat_id, test_suffix
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import Provider

SEND = "/v1/message/send"


class SendAnswer(msgspec.Struct, frozen=True):
    """Accepted into the queue, not yet sent."""

    queue_id: str
    queue_position: int
    unique_id: str
    hint: str


_send_decoder = msgspec.json.Decoder(SendBody)


def answer_of(enqueued: Enqueued) -> bytes:
    """A `SendAnswer`; none of its texts needs an escape."""
    name, key = queue_id(enqueued.job_id), unique_id(enqueued.job_id)
    return (
        f'{{"queue_id":"{name}","queue_position":{enqueued.position},"unique_id":"{key}","hint":"{HINT}{name}"}}'
    ).encode()


async def send(
    desk: ApiState, caller: Caller, head: RequestHeaders, body: bytes | bytearray
) -> tuple[Enqueued, PhoneRow]:
    """The whole of POST /message/send between its headers and its answer."""
    check_encoding(head.content_type, head.content_encoding, body)
    return await accept(desk, caller, head, body, decode(_send_decoder, body), path=SEND)


async def accept(
    desk: ApiState, caller: Caller, head: RequestHeaders, raw: bytes | bytearray, body: SendBody, *, path: str
) -> tuple[Enqueued, PhoneRow]:
    """Checks everything that can be checked, stores the file, then the job. Raises a Refusal with nothing stored."""
    deps = desk.deps
    began = deps.clock.monotonic()
    chat_id = parse_chat_id(body.chat_id)
    content = content_of(body)
    phone = await desk.phones.for_send(caller.key.org_no, head.phone, chat_id)
    keyed = idempotency(head.idempotency_key, path=path, phone_id=phone.phone_id, body=raw)
    if keyed is not None and (earlier := await deps.intake.replay(phone.org_no, keyed)) is not None:
        # asked first: what follows may refuse today what was accepted then, and stores a file
        if isinstance(earlier, KeyReused):
            raise reused()
        return earlier, phone
    now_us = deps.clock.now_us()
    priority = parse_priority(body.priority)
    expires_at_us = expiry_of(body.ttl_seconds, body.expires_at, now_us)
    by = performer(body.by)
    content = await prepared(desk, phone, content, body.media, chat_id)
    job = NewJob(
        job_id=deps.job_ids.make(),
        org_no=phone.org_no,
        phone_no=phone.phone_no,
        chat_id=chat_id,
        content=content,
        priority=priority,
        performed_by=by,
        expires_at_us=expires_at_us,
        idempotency=keyed,
    )
    result = await deps.intake.enqueue(job)
    if isinstance(result, Enqueued):
        deps.wake.phones((phone.phone_no,))
        deps.meter.accepted(1, deps.clock.monotonic() - began)
        return result, phone
    raise not_queued(result)


def quick_job(desk: ApiState, phone: PhoneRow, idempotency_key: bytes | None, raw: bytes | bytearray) -> NewJob | None:
    """What `accept` would enqueue, for a body that needs no question to anybody; None for the others.

    Raises a Refusal as `accept` does, with nothing stored.
    """
    body = decode(_send_decoder, raw)
    if body.media is not None or body.reply_to is not None or body.reaction is not None:
        return None
    deps = desk.deps
    chat_id = parse_chat_id(body.chat_id)
    content = content_of(body)
    keyed = None
    if idempotency_key is not None:
        keyed = idempotency(idempotency_key, path=SEND, phone_id=phone.phone_id, body=raw)
    expires_at_us = None
    if body.ttl_seconds is not None or body.expires_at is not None:
        expires_at_us = expiry_of(body.ttl_seconds, body.expires_at, deps.clock.now_us())
    provider = deps.provider(phone.provider)
    check_recipient(provider, chat_id)
    if provider is None:
        return None
    _check_kind(provider, content, chat_id)
    return NewJob(
        job_id=deps.job_ids.make(),
        org_no=phone.org_no,
        phone_no=phone.phone_no,
        chat_id=chat_id,
        content=content,
        priority=parse_priority(body.priority),
        performed_by=performer(body.by),
        expires_at_us=expires_at_us,
        idempotency=keyed,
    )


async def prepared(desk: ApiState, phone: PhoneRow, content: Content, media: MediaBody | None, chat_id: str) -> Content:
    """Checks what this phone's provider has to say, and stores the file: the last step before the queue."""
    provider = desk.deps.provider(phone.provider)
    check_recipient(provider, chat_id)
    if provider is None:
        raise invalid("x-phone", f"This gateway cannot send for phones of kind {phone.provider}", phone.phone_id)
    _check_kind(provider, _weighed(content, media), chat_id)
    if content.reply_to is not None:
        content = await _resolved(desk, phone, content, content.reply_to)
    if media is not None:
        content = await _with_file(desk, content, media, provider.capabilities.media_max_bytes)
        _check_kind(provider, content, chat_id)  # now its bytes have said of which type it is
    return content


def check_kind(desk: ApiState, phone: PhoneRow, content: Content, chat_id: str) -> None:
    """Raises Invalid if the phone's provider can never send this to that chat."""
    provider = desk.deps.provider(phone.provider)
    if provider is not None:
        _check_kind(provider, content, chat_id)


def check_recipient(provider: Provider | None, chat_id: str) -> None:
    if not (provider and provider.capabilities.test_recipients) and test_suffix(chat_id) is not None:
        raise invalid("chat_id", "This is a test recipient: only phones of the simulator can write to it", chat_id)


def _check_kind(provider: Provider, content: Content, chat_id: str) -> None:
    """Refuses what this provider can never send, by the name of the field."""
    if refusal := provider.refuses(content, chat_id):
        raise invalid(refusal[0], refusal[1])


async def _resolved(desk: ApiState, phone: PhoneRow, content: Content, named: str) -> Content:
    """With the message_id of the message that is answered or reacted to: who is shown both can match them."""
    found = await desk.deps.intake.quotable(phone.org_no, phone.phone_no, named)
    if found is None:
        field = "message_id" if content.type is Kind.REACTION else "reply_to"
        raise invalid(field, f"{field} names no message that this phone sent or received", named)
    return msgspec.structs.replace(content, reply_to=found)


def not_queued(result: KeyReused | PhoneDeleted) -> Refusal:
    match result:
        case KeyReused():
            return reused()
        case PhoneDeleted():
            message = "The phone was deleted"
            return NotFound(message, fields={"x-phone": {"message": message, "value": None}})


def _weighed(content: Content, media: MediaBody | None) -> Content:
    """With a size to judge by, before anything is decoded."""
    if media is None or content.media is None or content.media.url is not None:
        return content
    size = max(estimated_size(media) - 2, 0)
    return msgspec.structs.replace(content, media=msgspec.structs.replace(content.media, size=size))


async def _with_file(desk: ApiState, content: Content, media: MediaBody, most: Mapping[Kind, int]) -> Content:
    if content.media is not None and content.media.url is not None:
        await check_media_url(desk, content.media.url)
        return content
    return await take_in(desk.deps.media, content, media, most=most.get(content.type))


async def check_media_url(desk: ApiState, url: str) -> None:
    """Media by url is fetched by the guarded way out, if this gateway has one."""
    if desk.deps.fetch is None:
        raise invalid("url", "media.url is not available on this gateway yet: send the file as media.filedata")
    if forbidden := await desk.deps.fetch.check(url):
        raise invalid("url", f"media.url: {forbidden.detail}", url)


@route(
    "POST", "/message/send", aliases=("/messages/send",),
    summary="Send a message", tag="Messages", phone=PhoneHeader.OF_CHAT, body=SendBody, answer=SendAnswer,
    description="Accepts a message into the queue: a text, a file, a poll or a reply. A 200 means that it is on disk.",
    errors=(404, 415), idempotent=True,
    example={"chat_id": "919537851844@c.us", "message": "Hi from Heliograph"},
    example_answer={
        "queue_id": "ba3273cb-12be-48d4-90e0-0cbc0b427ef1", "queue_position": 0, "unique_id": "3EB05FC204C28E456D8596",
        "hint": HINT + "ba3273cb-12be-48d4-90e0-0cbc0b427ef1",
    },
)  # fmt: skip
async def send_message(call: ApiRequest) -> RawResponse:
    enqueued, call.phone = await send(call.desk, call.caller, call.head, call.body)
    return RawResponse(answer_of(enqueued), headers=headers_if(enqueued.replayed))


def routes() -> list[HTTPRouteHandler]:
    return [send_message]
