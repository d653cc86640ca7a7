"""The short way of POST /v1/message/send: what a busy gateway does all day, without a task and a coroutine for each.

It takes what needs no question to the store but the enqueueing itself: a key and a phone that are remembered, a message
without a file, a reply or an extension of its own. Everything else, and whatever is wrong with a request, goes the
ordinary way through the gate, which checks it from the start; so each refusal is worded in one place.

Promise: the same checks, the same answer and the same headers as the ordinary way; an answer of 200 is given only after
the job is committed and synced.
Known weakness: two ways to one end. tests/api/test_shortcut.py holds one against the other.
"""

import asyncio
from collections.abc import Callable, Sequence

from heliograph.api.http.auth import Caller
from heliograph.api.http.body import check_encoding
from heliograph.api.http.errors import error_body, headers_of, internal_error, log_refusal
from heliograph.api.http.rate_limit import RateLimitState
from heliograph.api.http.request import ApiState
from heliograph.api.http.trace import Traces
from heliograph.api.messages.send import SEND, answer_of, not_queued, quick_job
from heliograph.domain.errors import Refusal
from heliograph.domain.jobs.job import Enqueued, EnqueueResult, PhoneRow

# status, header lines that end in \r\n each, body
Answer = Callable[[int, bytes, bytes], None]
MAX_BYTES = 65_536  # of a body that may come this way: the rest is read as it is taken

_LINES = b"content-type: application/json\r\nx-periskope-trace-id: %b\r\nx-periskope-org-id: %b\r\n"
_PHONE = b"x-periskope-phone-id: %b\r\n"
_REPLAYED = b"idempotent-replayed: true\r\n"


class FastPath:
    """`take` one request; `answer` is called later, from the event loop."""

    def __init__(self, desk: ApiState) -> None:
        self._desk = desk
        self._deps = desk.deps
        self._traces = Traces()

    def take(self, headers: Sequence[tuple[bytes, bytes]], body: bytes | bytearray, answer: Answer) -> bool:
        """False, with nothing done: it must go the ordinary way."""
        desk, deps = self._desk, self._deps
        began = deps.clock.monotonic()
        found = dict(headers)
        try:
            caller = desk.keys.cached(found.get(b"authorization"))
            if caller is None or b"content-encoding" in found or len(body) > deps.max_body_bytes:
                return False
            phone = desk.phones.remembered(caller.key.org_no, found.get(b"x-phone"))
            if phone is None:
                return False
            if (said := found.get(b"content-type")) != b"application/json":
                check_encoding(said, None, body)
            job = quick_job(desk, phone, found.get(b"idempotency-key"), body)
        except Refusal:
            return False
        if job is None:
            return False
        standing = desk.limit.count_request(caller.key.key_no)
        exchange = _Exchange(self, caller, phone, standing, began, answer)
        if standing is not None and standing.over:
            exchange.refuse(standing.refusal())
        else:
            asyncio.ensure_future(deps.intake.enqueue(job)).add_done_callback(exchange.done)
        return True

    def knows(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether the key is a remembered one, so that its body may be kept until it is whole."""
        try:
            return self._desk.keys.cached(dict(headers).get(b"authorization")) is not None
        except Refusal:
            return False

    def lines(self, caller: Caller, standing: RateLimitState | None) -> bytes:
        lines = _LINES % (self._traces.make(), caller.org_header[1])
        return lines if standing is None else lines + _listed(standing.headers())

    def accepted(self, phone: PhoneRow, began: float) -> None:
        self._deps.wake.phones((phone.phone_no,))
        self._deps.meter.accepted(1, self._deps.clock.monotonic() - began)

    def answered(self, status: int) -> None:
        self._deps.meter.answered(status)


class _Exchange:
    """One request that was taken, until it is answered."""

    __slots__ = ("_answer", "_began", "_caller", "_phone", "_shortcut", "_standing")

    def __init__(
        self,
        shortcut: FastPath,
        caller: Caller,
        phone: PhoneRow,
        standing: RateLimitState | None,
        began: float,
        answer: Answer,
    ) -> None:
        self._shortcut = shortcut
        self._caller = caller
        self._phone = phone
        self._standing = standing
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
        shortcut = self._shortcut
        shortcut.accepted(self._phone, self._began)
        lines = shortcut.lines(self._caller, self._standing) + _PHONE % self._phone.phone_id.encode()
        self._answer(200, lines + _REPLAYED if result.replayed else lines, answer_of(result))
        shortcut.answered(200)

    def refuse(self, refusal: Refusal) -> None:
        log_refusal(refusal, "POST", SEND)
        lines = self._shortcut.lines(self._caller, self._standing) + _listed(headers_of(refusal))
        self._answer(refusal.status, lines, error_body(refusal))
        self._shortcut.answered(refusal.status)


def _listed(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)
