"""The fast path of POST /v1/message/send, without a task and a coroutine for each request.

It accepts a request that needs no question to the store but the enqueueing itself: a cached key and phone, and a
message without a file, a quote or a reaction. Every other request, and every faulty one, goes through the ordinary
route, which checks it from the start.

Promise: the same checks (`build_job`), answer and headers as the ordinary route. A 200 is given only after the job is
committed and synced.
Known weakness: headers and refusals are written twice; tests hold one way against the other.
"""

import asyncio
from collections.abc import Callable, Sequence

from heliograph.api.http.auth import Caller
from heliograph.api.http.body import check_encoding, decode
from heliograph.api.http.errors import error_body, headers_of, internal_error, log_refusal
from heliograph.api.http.idempotency import REPLAYED, idempotency
from heliograph.api.http.rate_limit import RateLimitState
from heliograph.api.http.request import ApiState
from heliograph.api.http.trace import Traces
from heliograph.api.messages.send import SEND, answer_of, build_job, not_queued, send_decoder
from heliograph.api.messages.send_body import content_of
from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.errors import Refusal
from heliograph.domain.jobs.job import Enqueued, EnqueueResult, NewJob
from heliograph.domain.messages.chat import parse_chat_id

# status, header lines that end in \r\n each, body
Answer = Callable[[int, bytes, bytes], None]
SENDS = frozenset({SEND, "/v1/messages/send"})
MAX_BYTES = 65_536  # of a body on this path; a larger one is read as it comes

_LINES = b"content-type: application/json\r\nx-periskope-trace-id: %b\r\nx-periskope-org-id: %b\r\n"
_PHONE = b"x-periskope-phone-id: %b\r\n"
_REPLAYED = b"%b: %b\r\n" % REPLAYED


class FastPath:
    """`take` accepts one request; `answer` is called later, from the event loop."""

    def __init__(self, state: ApiState) -> None:
        self._state = state
        self._deps = state.deps
        self._traces = Traces()

    def take(self, headers: Sequence[tuple[bytes, bytes]], body: bytes | bytearray, answer: Answer) -> bool:
        """Returns False, with nothing done, for a request of the ordinary route."""
        state, deps = self._state, self._deps
        began = deps.clock.monotonic()
        head = dict(headers)
        try:
            caller = state.keys.cached(head.get(b"authorization"))
            if caller is None or b"content-encoding" in head or len(body) > deps.max_body_bytes:
                return False
            phone = state.phones.cached(caller.key.org_no, head.get(b"x-phone"))
            if phone is None:
                return False
            if (content_type := head.get(b"content-type")) != b"application/json":
                check_encoding(content_type, None, body)
            job = self._job(phone, head.get(b"idempotency-key"), body)
        except Refusal:
            return False
        if job is None:
            return False
        rate = state.limit.count_request(caller.key.key_no)
        exchange = _Exchange(self, caller, phone, rate, began, answer)
        if rate is not None and rate.over:
            exchange.refuse(rate.refusal())
        else:
            asyncio.ensure_future(deps.jobs.enqueue(job)).add_done_callback(exchange.done)
        return True

    def knows(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Says whether the key is a remembered one, so that its body may be kept until it is complete."""
        try:
            return self._state.keys.cached(dict(headers).get(b"authorization")) is not None
        except Refusal:
            return False

    def _job(self, phone: PhoneRow, idempotency_key: bytes | None, raw: bytes | bytearray) -> NewJob | None:
        body = decode(send_decoder, raw)
        if body.media is not None or body.reply_to is not None or body.reaction is not None:
            return None
        key = idempotency(idempotency_key, path=SEND, phone_id=phone.phone_id, body=raw)
        return build_job(self._deps, phone, parse_chat_id(body.chat_id), content_of(body), body, key)

    def lines(self, caller: Caller, rate: RateLimitState | None) -> bytes:
        lines = _LINES % (self._traces.make(), caller.org_header[1])
        return lines if rate is None else lines + _header_lines(rate.headers())

    def accepted(self, phone: PhoneRow, began: float) -> None:
        self._deps.wake.phones((phone.phone_no,))
        self._deps.meter.accepted(1, self._deps.clock.monotonic() - began)

    def answered(self, status: int) -> None:
        self._deps.meter.answered(status)


class _Exchange:
    """One accepted request until it is answered."""

    __slots__ = ("_answer", "_began", "_caller", "_path", "_phone", "_rate")

    def __init__(
        self,
        path: FastPath,
        caller: Caller,
        phone: PhoneRow,
        rate: RateLimitState | None,
        began: float,
        answer: Answer,
    ) -> None:
        self._path = path
        self._caller = caller
        self._phone = phone
        self._rate = rate
        self._began = began
        self._answer = answer

    def done(self, future: "asyncio.Future[EnqueueResult]") -> None:
        try:
            result = future.result()
        except Refusal as refusal:
            self.refuse(refusal)
            return
        except Exception as error:  # noqa: BLE001 - the outermost edge: a defect is a JSON answer and a line in the log
            self.refuse(internal_error(error, "POST"))
            return
        if not isinstance(result, Enqueued):
            self.refuse(not_queued(result))
            return
        path = self._path
        path.accepted(self._phone, self._began)
        lines = path.lines(self._caller, self._rate) + _PHONE % self._phone.phone_id.encode()
        self._answer(200, lines + _REPLAYED if result.replayed else lines, answer_of(result))
        path.answered(200)

    def refuse(self, refusal: Refusal) -> None:
        log_refusal(refusal, "POST", SEND)
        lines = self._path.lines(self._caller, self._rate) + _header_lines(headers_of(refusal))
        self._answer(refusal.status, lines, error_body(refusal))
        self._path.answered(refusal.status)


def _header_lines(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)
