"""Receipts in batches, inbound messages and session states from providers. Implements ports.provider.Sink.

Promise: `receipts` returns only after they are stored; if it raises or never returns, the network sends them again.
Receipts of a message in flight wait for its settlement, so that events keep their order.
"""

import asyncio
from collections.abc import Callable, Sequence

from heliograph.domain.jobs.ids import JobId, parse_job_id
from heliograph.ports.faultpoint import faultpoint
from heliograph.ports.provider import Inbound, Receipt, SessionState
from heliograph.ports.stores.sender_store import PhoneReceipts
from heliograph.sender.deps import SenderDeps
from heliograph.sender.owned_phone import OwnedPhone

GATHER_S = 0.02
BACKPRESSURE_GATHER_S = 0.2  # the same while API callers wait
MAX_RECEIPTS = 2000  # in one transaction


class LostPhone(Exception):
    """Refusal: this process does not own the phone any more. Nothing was stored; do not confirm."""


class _Waiting:
    """One call of `receipts`: done when all of its receipts are stored."""

    __slots__ = ("done", "left")

    def __init__(self, left: int) -> None:
        self.left = left
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class ProviderEventSink:
    def __init__(
        self,
        deps: SenderDeps,
        *,
        owned: Callable[[int], OwnedPhone | None],
        in_flight: Callable[[JobId], bool],
        changed: Callable[[int, SessionState], None],
    ) -> None:
        self._deps = deps
        self._store = deps.store
        self._clock = deps.clock
        self._owned = owned
        self._in_flight = in_flight
        self._changed = changed
        self._waiting: list[tuple[int, Receipt, _Waiting]] = []
        self._wake = asyncio.Event()

    async def receipts(self, phone_no: int, receipts: Sequence[Receipt]) -> None:
        if not receipts:
            return
        waiting = _Waiting(len(receipts))
        self._waiting += [(phone_no, receipt, waiting) for receipt in receipts]
        self._wake.set()
        await waiting.done

    async def inbound(self, phone_no: int, messages: Sequence[Inbound]) -> None:
        owned = self._owned(phone_no)
        if owned is None:
            raise LostPhone(phone_no)
        await self._store.keep_inbound(phone_no, owned.row.org_no, messages)

    async def session(self, phone_no: int, state: SessionState, detail: str = "") -> None:
        owned = self._owned(phone_no)
        if owned is None:
            return
        self._changed(phone_no, state)
        await self._store.set_phone_state(owned.row.org_no, phone_no, owned.token, state=state.value, detail=detail)

    async def run(self) -> None:
        """Stores receipts every 20 ms at most, until cancelled."""
        while True:
            await self._wake.wait()
            await self._clock.sleep(BACKPRESSURE_GATHER_S if self._deps.has_backpressure() else GATHER_S)
            self._wake.clear()
            try:
                await self._store_some()
            except Exception as error:  # noqa: BLE001 - supervised: the database may be away; the receipts stay and are tried again
                self._deps.log.warning("receipts_failed", error=f"{type(error).__name__}: {error}")
                await self._clock.sleep(0.5)
            if self._waiting:
                self._wake.set()

    async def _store_some(self) -> None:
        now = [one for one in self._waiting if not self._is_in_flight(one[1])][:MAX_RECEIPTS]
        if not now:
            return
        by_phone: dict[int, list[Receipt]] = {}
        for phone_no, receipt, _ in now:
            by_phone.setdefault(phone_no, []).append(receipt)
        batch = []
        gone = set()
        for phone_no, receipts in by_phone.items():
            owned = self._owned(phone_no)
            if owned is None:
                gone.add(phone_no)
            else:
                batch.append(PhoneReceipts(owned.row.org_no, phone_no, owned.token, receipts))
        faultpoint("receipts.before")
        applied = await self._store.apply_receipts(batch)
        faultpoint("receipts.after")
        gone |= applied.lost
        if applied.early:  # started or not yet settled while they were on their way to the store
            now = [one for one in now if one[1] not in applied.early or one[0] in gone]
        self._deps.meter.receipts(len(now))
        taken = {id(one) for one in now}
        self._waiting = [one for one in self._waiting if id(one) not in taken]
        for phone_no, _, waiting in now:
            waiting.left -= 1
            if phone_no in gone and not waiting.done.done():
                waiting.done.set_exception(LostPhone(phone_no))
            elif waiting.left == 0 and not waiting.done.done():
                waiting.done.set_result(None)

    def _is_in_flight(self, receipt: Receipt) -> bool:
        own = receipt.unique_id or receipt.tracker
        job_id = parse_job_id(own) if own else None
        return job_id is not None and self._in_flight(job_id)
