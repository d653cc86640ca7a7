"""The data of the page, read at once and shared by all viewers within half a second."""

import asyncio
from collections.abc import Iterable
from dataclasses import astuple, dataclass

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.contract.jobs import shown_body
from heliograph.domain.jobs.ids import unique_id
from heliograph.domain.jobs.job import Job, QueueCounts
from heliograph.domain.jobs.states import Ack, State, shown_status
from heliograph.domain.timestamps import iso
from heliograph.ports.clock import Clock
from heliograph.ports.stores.account_store import AccountStore
from heliograph.ports.stores.job_store import JobStore
from heliograph.ports.stores.phone_store import PhoneStore

MAX_PHONES = 50
MAX_JOBS = 40
SHARED_S = 0.5


@dataclass(frozen=True, slots=True)
class PhoneLine:
    name: str
    number: str
    phone_id: str
    provider: str
    state: str
    detail: str
    waiting: int
    sending: int
    uncertain: int


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A message of the page. `state`: a key of `domain/explain/status_style.LOOKS`."""

    key: str
    at: str
    chat_id: str
    text: str
    kind: str
    state: str
    why: str
    attempts: int
    phone: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The data of the page. `phones` and `messages` are the first ones; `more_phones` counts those left out."""

    org_name: str
    health: QueueCounts
    phones: tuple[PhoneLine, ...]
    more_phones: int
    messages: tuple[MessageLine, ...]


class Watcher:
    """Reads snapshots. Known weakness: only the first of very many phones are shown."""

    def __init__(self, jobs: JobStore, phones: PhoneStore, accounts: AccountStore, clock: Clock) -> None:
        self._jobs = jobs
        self._phones = phones
        self._accounts = accounts
        self._clock = clock
        self._latest: dict[int, tuple[float, Snapshot]] = {}
        self._reading: dict[int, asyncio.Lock] = {}

    async def snapshot(self, org_no: int) -> Snapshot:
        async with self._reading.setdefault(org_no, asyncio.Lock()):
            kept = self._latest.get(org_no)
            if kept and self._clock.monotonic() - kept[0] < SHARED_S:
                return kept[1]
            fresh = await self._read(org_no)
            self._latest[org_no] = (self._clock.monotonic(), fresh)
            return fresh

    async def _read(self, org_no: int) -> Snapshot:
        counts = await self._jobs.health_of_phones(org_no)
        rows = await self._phones.phones(org_no)
        lines = [self._phone_line(row, counts.get(row.phone_no, QueueCounts())) for row in rows[:MAX_PHONES]]
        jobs = await self._jobs.jobs(org_no, None, limit=MAX_JOBS)
        by_no = {row.phone_no: row for row in rows}
        sentences = await self._jobs.explain_many(jobs)
        messages = [
            self._message_line(job, by_no.get(job.phone_no), why) for job, why in zip(jobs, sentences, strict=True)
        ]
        names = [org.name for org in await self._accounts.orgs() if org.org_no == org_no]
        return Snapshot(
            org_name=names[0] if names else "",
            health=together(counts.values()),
            phones=tuple(lines),
            more_phones=max(len(rows) - MAX_PHONES, 0),
            messages=tuple(messages),
        )

    def _phone_line(self, row: PhoneRow, health: QueueCounts) -> PhoneLine:
        held = row.hold_until_us is not None and row.hold_until_us > self._clock.now_us()
        state = "paused" if row.paused_at_us is not None else "restricted" if held else row.state
        by = f"by {row.paused_by}" if row.paused_by else ""
        detail = by if state == "paused" else (row.hold_reason or "") if held else row.state_detail
        return PhoneLine(
            name=row.name,
            number=row.number,
            phone_id=row.phone_id,
            provider=row.provider,
            state=state,
            detail=detail,
            waiting=health.waiting,
            sending=health.active - health.uncertain,
            uncertain=health.uncertain,
        )

    def _message_line(self, job: Job, phone: PhoneRow | None, why: str) -> MessageLine:
        return MessageLine(
            key=unique_id(job.job_id),
            at=iso(job.queued_at_us),
            chat_id=job.chat_id,
            text=shown_body(job.content) or (job.content.media.filename if job.content.media else ""),
            kind=job.content.type.value,
            state=message_state(job),
            why=why,
            attempts=job.attempts,
            phone=(phone.name or phone.number) if phone else "deleted phone",
        )


def together(counts: Iterable[QueueCounts]) -> QueueCounts:
    """Counts of all phones."""
    total = QueueCounts()
    for phone in counts:
        total = QueueCounts(*(a + b for a, b in zip(astuple(total), astuple(phone), strict=True)))
    return total


def message_state(job: Job) -> str:
    if job.state in (State.CANCELLED, State.EXPIRED):
        return job.state.value
    if job.state is State.QUEUED and job.attempts:
        return "retrying"
    if job.ack == Ack.FAILED:
        return "failed"
    return shown_status(job.state, job.ack)
