"""One run: consecutive deliveries of a stream, posted one after another until one fails."""

import logging
from collections.abc import Callable, Sequence

import structlog

from heliograph.domain.webhooks.retry_policy import ATTEMPT_LIMIT_S, KEEP_BYTES, PARK_AFTER_TRIES, wait_s
from heliograph.domain.webhooks.webhook import Delivery, DeliveryAttempt
from heliograph.ports.clock import Clock
from heliograph.ports.fetch import Fetch
from heliograph.ports.meter import Meter
from heliograph.ports.webhook_store import BatchResult, ClaimedDelivery, DeliveryBatch, DeliveryResult
from heliograph.webhooks import attempt
from heliograph.webhooks.attempt import attempt_of
from heliograph.webhooks.envelope import Envelopes
from heliograph.webhooks.signing import SigningKeys, signature_headers

_log = structlog.get_logger("webhooks")


class Runner:
    """`alive`: whether our claims still stand, by our own clock; no post begins afterwards."""

    def __init__(
        self,
        fetch: Fetch,
        clock: Clock,
        jitter: Callable[[], float],
        envelopes: Envelopes,
        meter: Meter,
        schedule: Sequence[float],
        alive: Callable[[], bool],
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._jitter = jitter
        self._envelopes = envelopes
        self._meter = meter
        self._schedule = schedule
        self._alive = alive
        self._stopped = False

    def stop(self) -> None:
        """No further post begins."""
        self._stopped = True

    async def deliver(self, run: DeliveryBatch, keys: SigningKeys) -> BatchResult:
        done: list[DeliveryResult] = []
        delivered, failed, gone = 0, 0, False
        for item in run.items:
            if self._stopped or not self._alive():
                break
            body = self._body(item) if item.wanted else None
            if body is None:
                done.append(DeliveryResult(item.delivery, "cancelled", None))
                continue
            tried = await self._post(item, body, keys)
            ended = self._judge(run, item, tried, body)
            done.append(ended)
            self._meter.delivery(tried.outcome, tried.took_ms / 1000)
            if _log.is_enabled_for(logging.DEBUG):
                _log.debug("webhook_tried", **_named(item, tried))
            if tried.delivered:
                delivered += 1
                continue
            failed, gone = 1, tried.gone
            break
        return BatchResult(run, tuple(done), delivered, failed, gone)

    def _body(self, item: ClaimedDelivery) -> bytes | None:
        if item.body is not None:
            return item.body.encode()
        return self._envelopes.render(item.delivery, item.story)

    async def _post(self, item: ClaimedDelivery, body: bytes, keys: SigningKeys) -> attempt.AttemptResult:
        headers = signature_headers(keys, body, delivery_id=item.delivery.delivery_id, now_us=self._clock.now_us())
        fetched = await self._fetch.post(
            item.url,
            body=body,
            headers={"Content-Type": "application/json", **headers},
            limit_s=ATTEMPT_LIMIT_S,
            keep=KEEP_BYTES,
        )
        return attempt_of(fetched, now_us=self._clock.now_us())

    def _judge(
        self, run: DeliveryBatch, item: ClaimedDelivery, tried: attempt.AttemptResult, body: bytes
    ) -> DeliveryResult:
        was = item.delivery
        kept = DeliveryAttempt(
            attempt=was.attempts + 1,
            at_us=self._clock.now_us() - tried.took_ms * 1000,
            took_ms=tried.took_ms,
            outcome=tried.outcome,
            status=tried.status,
            detail=tried.detail,
            answer=tried.answer.decode("utf-8", "replace").replace("\0", "\ufffd"),
        )
        if tried.delivered:
            return DeliveryResult(was, "delivered", kept)
        first_body = body.decode() if item.body is None else None
        wait = self._wait(was, tried)
        if wait is None:
            return DeliveryResult(was, "dead", kept, first_body)
        park = was.tries + 1 >= PARK_AFTER_TRIES and not run.parked
        return DeliveryResult(was, "pending", kept, first_body, wait, park)

    def _wait(self, was: Delivery, tried: attempt.AttemptResult) -> float | None:
        return wait_s(was.tries + 1, self._schedule, jitter=self._jitter(), retry_after_s=tried.retry_after_s)


def _named(item: ClaimedDelivery, tried: attempt.AttemptResult) -> dict[str, object]:
    """For the log: no body, and of the URL the host, because a path may hold a secret."""
    return {
        "delivery": item.delivery.delivery_id,
        "about": item.delivery.event,
        "host": item.url.split("/")[2],
        "attempt": item.delivery.attempts + 1,
        "outcome": tried.outcome,
        "status": tried.status,
        "took_ms": tried.took_ms,
    }
