"""Applies a provider's stored webhooks on the phones this process owns, then drops them.

Promise: a webhook that was stored is applied by whoever owns its phone, if need be after a crash and a second time;
applying is idempotent. Receipts of a message whose answer is still awaited wait for it and hold up nothing else.
Weakness: a phone that nobody owns keeps its webhooks until somebody does.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from heliograph.ports.clock import Clock
from heliograph.ports.logger import Logger
from heliograph.ports.provider import Phone, Sink
from heliograph.ports.provider_inbox import InboxItem, PayloadReader, ProviderInbox

_MAX_IN_FLIGHT = 500
_LIMIT = 500
_SWEEP_S = 0.5
_RETRY_S = 1.0
_PRUNE_S = 3600.0
_RETENTION_US = 30 * 24 * 3600 * 1_000_000


class InboxService:
    """`owned` gives the phones of webhook-fed providers that this process owns now, with their organisation."""

    def __init__(
        self,
        inbox: ProviderInbox,
        sink: Sink,
        read: PayloadReader,
        *,
        owned: Callable[[], Iterable[tuple[int, Phone]]],
        clock: Clock,
        log: Logger,
    ) -> None:
        self._inbox = inbox
        self._sink = sink
        self._read = read
        self._owned = owned
        self._clock = clock
        self._log = log
        self._in_flight: set[tuple[int, int]] = set()
        self._applied: list[InboxItem] = []
        self._wake = asyncio.Event()

    def wake(self, phone_nos: Sequence[int] = ()) -> None:
        """A hint that something was stored. It may be lost: a sweep finds it all the same."""
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. What was under way is applied again by the next owner."""
        pruned_at = -_PRUNE_S
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                try:
                    found = await self._take(group)
                    await self._drop()
                    if self._clock.monotonic() - pruned_at >= _PRUNE_S:
                        await self._inbox.prune_deliveries(self._clock.now_us() - _RETENTION_US)
                        pruned_at = self._clock.monotonic()
                except Exception as error:  # noqa: BLE001  supervised: the database may be away; nothing was dropped
                    self._log.warning("inbox_failed", error=f"{type(error).__name__}: {error}")
                    await self._clock.sleep(_RETRY_S)
                    continue
                if not found:
                    await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(_SWEEP_S):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _take(self, group: asyncio.TaskGroup) -> int:
        phones = {(org_no, phone.phone_no): phone for org_no, phone in self._owned()}
        room = _MAX_IN_FLIGHT - len(self._in_flight)
        if not phones or room <= 0:
            return 0
        found = await self._inbox.deliveries(list(phones), _LIMIT)
        fresh = [one for one in found if (one.phone_no, one.inbox_no) not in self._in_flight][:room]
        for one in fresh:
            self._in_flight.add((one.phone_no, one.inbox_no))
            group.create_task(self._apply(phones[one.org_no, one.phone_no], one))
        return len(fresh)

    async def _apply(self, phone: Phone, delivery: InboxItem) -> None:
        try:
            news = self._read(phone, delivery.payload, delivery.received_at_us)
            if news.inbound:
                await self._sink.inbound(phone.phone_no, news.inbound)
            if news.receipts:
                await self._sink.receipts(phone.phone_no, news.receipts)
        except Exception as error:  # noqa: BLE001  supervised: it stays in the inbox and is tried again by whoever owns the phone
            self._log.warning("webhook_not_applied", phone=phone.phone_id, error=f"{type(error).__name__}: {error}")
            await self._clock.sleep(_RETRY_S)
            self._in_flight.discard((delivery.phone_no, delivery.inbox_no))
            return
        self._applied.append(delivery)
        self._wake.set()

    async def _drop(self) -> None:
        applied, self._applied = self._applied, []
        if not applied:
            return
        try:
            await self._inbox.drop_deliveries(applied)
        except BaseException:
            self._applied += applied
            raise
        self._in_flight -= {(one.phone_no, one.inbox_no) for one in applied}
