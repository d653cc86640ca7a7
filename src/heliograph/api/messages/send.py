"""POST /v1/message/send: puts a checked message into the queue.

Promise: a 200 is given only after the store has committed and synced the job, and after the bytes of its file are on
disk; a refusal has queued nothing. `build_job` makes the job for `accept` and for the fast path alike.
Known weakness: a file stays in the media folder until it is pruned if the store itself refuses its message (the phone
was deleted, the chat is suppressed, or the key was used by a concurrent request).
"""

from collections.abc import Mapping

import msgspec

from heliograph.api.http.actor import performer
from heliograph.api.http.auth import Caller
from heliograph.api.http.body import check_encoding, decode
from heliograph.api.http.dependencies import ApiDeps
from heliograph.api.http.idempotency import headers_if, idempotency, reused
from heliograph.api.http.request import ApiRequest, ApiState, RequestHeaders
from heliograph.api.http.route import PhoneHeader, RawResponse, route
from heliograph.api.messages.base64_media import estimated_size, store_file
from heliograph.api.messages.send_body import MediaBody, SendBody, content_of
from heliograph.api.messages.send_options import expiry_of, parse_priority
from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.contract.jobs import HINT
from heliograph.domain.errors import NotFound, Refusal, invalid
from heliograph.domain.jobs.ids import queue_id, unique_id
from heliograph.domain.jobs.job import Enqueued, Idempotency, KeyReused, NewJob, PhoneDeleted
from heliograph.domain.messages.chat import parse_chat_id, test_suffix
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import Provider

SEND = "/v1/message/send"


class SendAnswer(msgspec.Struct, frozen=True):
    """The answer for a message that is in the queue and not yet sent."""

    queue_id: str
    queue_position: int
    unique_id: str
    hint: str


send_decoder = msgspec.json.Decoder(SendBody)


def answer_of(enqueued: Enqueued) -> bytes:
    """Encodes a `SendAnswer`; none of its texts needs an escape."""
    name, key = queue_id(enqueued.job_id), unique_id(enqueued.job_id)
    return (
        f'{{"queue_id":"{name}","queue_position":{enqueued.position},"unique_id":"{key}","hint":"{HINT}{name}"}}'
    ).encode()


async def accept(
    state: ApiState, caller: Caller, head: RequestHeaders, raw: bytes | bytearray, body: SendBody, *, path: str
) -> tuple[Enqueued, PhoneRow]:
    """Checks everything that can be checked, stores the file, then the job. Raises a Refusal with nothing stored."""
    deps = state.deps
    began = deps.clock.monotonic()
    chat_id, content = parse_chat_id(body.chat_id), content_of(body)
    phone = await state.phones.for_send(caller.key.org_no, head.phone, chat_id)
    key = idempotency(head.idempotency_key, path=path, phone_id=phone.phone_id, body=raw)
    if key is not None and (earlier := await deps.jobs.replay(phone.org_no, key)) is not None:
        # first, as the checks below may refuse today what was accepted then, and a file would be stored
        if isinstance(earlier, KeyReused):
            raise reused()
        return earlier, phone
    job = build_job(deps, phone, chat_id, content, body, key)
    content = await resolve(deps, phone, content, body.media, chat_id)
    result = await deps.jobs.enqueue(msgspec.structs.replace(job, content=content))
    if not isinstance(result, Enqueued):
        raise not_queued(result)
    deps.wake.phones((phone.phone_no,))
    deps.meter.accepted(1, deps.clock.monotonic() - began)
    return result, phone


def build_job(
    deps: ApiDeps, phone: PhoneRow, chat_id: str, content: Content, body: SendBody, key: Idempotency | None
) -> NewJob:
    """Makes the job of a body, after every check that needs no question to the store. Raises a Refusal."""
    priority = parse_priority(body.priority)
    expires_at_us = expiry_of(body.ttl_seconds, body.expires_at, deps.clock.now_us())
    by = performer(body.by)
    check_content(deps, phone, content, body.media, chat_id)
    return NewJob(
        job_id=deps.job_ids.make(),
        org_no=phone.org_no,
        phone_no=phone.phone_no,
        chat_id=chat_id,
        content=content,
        priority=priority,
        performed_by=by,
        expires_at_us=expires_at_us,
        idempotency=key,
    )


def check_content(deps: ApiDeps, phone: PhoneRow, content: Content, media: MediaBody | None, chat_id: str) -> None:
    """Raises Invalid, with the name of the field, if the phone's provider can never send this to that chat."""
    provider = deps.provider(phone.provider)
    check_recipient(provider, chat_id)
    if provider is None:
        raise invalid("x-phone", f"This gateway cannot send for phones of kind {phone.provider}", phone.phone_id)
    if media is not None and content.media is not None and content.media.url is None and not content.media.size:
        size = max(estimated_size(media) - 2, 0)  # judged before anything is decoded
        content = msgspec.structs.replace(content, media=msgspec.structs.replace(content.media, size=size))
    if refusal := provider.refuses(content, chat_id):
        raise invalid(*refusal)


def check_recipient(provider: Provider | None, chat_id: str) -> None:
    if not (provider and provider.capabilities.test_recipients) and test_suffix(chat_id) is not None:
        raise invalid("chat_id", "This is a test recipient: only phones of the simulator can write to it", chat_id)


async def resolve(deps: ApiDeps, phone: PhoneRow, content: Content, media: MediaBody | None, chat_id: str) -> Content:
    """Looks up the quoted message and stores the file: the last step before the queue. Raises Invalid."""
    if content.reply_to is not None:
        content = await _with_message_id(deps, phone, content, content.reply_to)
    if media is not None:
        provider = deps.provider(phone.provider)
        content = await _with_file(deps, content, media, provider.capabilities.media_max_bytes if provider else {})
        check_content(deps, phone, content, media, chat_id)  # by the type that the bytes have shown
    return content


async def prepared(deps: ApiDeps, phone: PhoneRow, content: Content, media: MediaBody | None, chat_id: str) -> Content:
    """Checks and resolves the content of a broadcast or schedule. Raises Invalid."""
    check_content(deps, phone, content, media, chat_id)
    return await resolve(deps, phone, content, media, chat_id)


async def _with_message_id(deps: ApiDeps, phone: PhoneRow, content: Content, name: str) -> Content:
    """Puts in the message_id of the quoted message, by which receivers match the two."""
    message_id = await deps.jobs.quotable(phone.org_no, phone.phone_no, name)
    if message_id is None:
        field = "message_id" if content.type is Kind.REACTION else "reply_to"
        raise invalid(field, f"{field} names no message that this phone sent or received", name)
    return msgspec.structs.replace(content, reply_to=message_id)


def not_queued(result: KeyReused | PhoneDeleted) -> Refusal:
    match result:
        case KeyReused():
            return reused()
        case PhoneDeleted():
            message = "The phone was deleted"
            return NotFound(message, fields={"x-phone": {"message": message, "value": None}})


async def _with_file(deps: ApiDeps, content: Content, media: MediaBody, most: Mapping[Kind, int]) -> Content:
    if content.media is None or content.media.url is None:
        return await store_file(deps.media, content, media, most=most.get(content.type))
    if deps.fetch is None:
        raise invalid("url", "media.url is not available on this gateway yet: send the file as media.filedata")
    if forbidden := await deps.fetch.check(content.media.url):
        raise invalid("url", f"media.url: {forbidden.detail}", content.media.url)
    return content


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
    check_encoding(call.head.content_type, call.head.content_encoding, call.body)
    body = decode(send_decoder, call.body)
    enqueued, call.phone = await accept(call.state, call.caller, call.head, call.body, body, path=SEND)
    return RawResponse(answer_of(enqueued), headers=headers_if(enqueued.replayed))
