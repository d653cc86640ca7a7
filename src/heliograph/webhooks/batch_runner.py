"""Delivery of one batch: consecutive deliveries of a stream, posted one after another until one fails."""

import logging
from collections.abc import Callable, Sequence

import structlog

from heliograph.domain.webhooks.retry_policy import ATTEMPT_LIMIT_S, KEEP_BYTES, PARK_AFTER_TRIES, wait_s
from heliograph.domain.webhooks.webhook import Delivery, DeliveryAttempt
from heliograph.ports.clock import Clock
from heliograph.ports.fetch import Fetch
from heliograph.ports.meter import Meter
from heliograph.ports.stores.delivery_store import BatchResult, ClaimedDelivery, DeliveryBatch, DeliveryResult
from heliograph.webhooks.attempt import AttemptResult, attempt_of
from heliograph.webhooks.envelope import Envelopes
from heliograph.webhooks.signing import SigningKeys, signature_headers

_log = structlog.get_logger("webhooks")


class Runner:
    """Posts batches. `alive`: true while this worker's claims hold; no post begins afterwards."""

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
        """Lets no further post begin."""
        self._stopped = True

    async def deliver(self, batch: DeliveryBatch, keys: SigningKeys) -> BatchResult:
        done: list[DeliveryResult] = []
        delivered, failed, gone = 0, 0, False
        for item in batch.items:
            if self._stopped or not self._alive():
                break
            body = self._body(item) if item.wanted else None
            if body is None:
                done.append(DeliveryResult(item.delivery, "cancelled", None))
                continue
            result = await self._post(item, body, keys)
            done.append(self._judge(batch, item, result, body))
            self._meter.delivery(result.outcome, result.took_ms / 1000)
            if _log.is_enabled_for(logging.DEBUG):
                _log.debug("webhook_tried", **_log_fields(item, result))
            if result.delivered:
                delivered += 1
                continue
            failed, gone = 1, result.gone
            break
        return BatchResult(batch, tuple(done), delivered, failed, gone)

    def _body(self, item: ClaimedDelivery) -> bytes | None:
        if item.body is not None:
            return item.body.encode()
        return self._envelopes.render(item.delivery, item.story)

    async def _post(self, item: ClaimedDelivery, body: bytes, keys: SigningKeys) -> AttemptResult:
        headers = signature_headers(keys, body, delivery_id=item.delivery.delivery_id, now_us=self._clock.now_us())
        fetched = await self._fetch.post(
            item.url,
            body=body,
            headers={"Content-Type": "application/json", **headers},
            limit_s=ATTEMPT_LIMIT_S,
            keep=KEEP_BYTES,
        )
        return attempt_of(fetched, now_us=self._clock.now_us())

    def _judge(self, batch: DeliveryBatch, item: ClaimedDelivery, result: AttemptResult, body: bytes) -> DeliveryResult:
        was = item.delivery
        kept = DeliveryAttempt(
            attempt=was.attempts + 1,
            at_us=self._clock.now_us() - result.took_ms * 1000,
            took_ms=result.took_ms,
            outcome=result.outcome,
            status=result.status,
            detail=result.detail,
            answer=result.answer.decode("utf-8", "replace").replace("\0", "\ufffd"),
        )
        if result.delivered:
            return DeliveryResult(was, "delivered", kept)
        first_body = body.decode() if item.body is None else None
        wait = self._wait(was, result)
        if wait is None:
            return DeliveryResult(was, "dead", kept, first_body)
        park = was.tries + 1 >= PARK_AFTER_TRIES and not batch.parked
        return DeliveryResult(was, "pending", kept, first_body, wait, park)

    def _wait(self, was: Delivery, result: AttemptResult) -> float | None:
        return wait_s(was.tries + 1, self._schedule, jitter=self._jitter(), retry_after_s=result.retry_after_s)


def _log_fields(item: ClaimedDelivery, result: AttemptResult) -> dict[str, object]:
    """Makes the log fields: no body, and only the host of the URL, as its path may hold a secret."""
    return {
        "delivery": item.delivery.delivery_id,
        "about": item.delivery.event,
        "host": item.url.split("/")[2],
        "attempt": item.delivery.attempts + 1,
        "outcome": result.outcome,
        "status": result.status,
        "took_ms": result.took_ms,
    }
