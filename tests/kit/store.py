"""A store on either database, a clock that tests set, and an audit of counters, lanes and histories."""

import contextlib
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from heliograph.domain.jobs.ids import JobId, JobIds, new_phone_id, unique_id
from heliograph.domain.jobs.job import Enqueued, EnqueueResult, Event, Idempotency, Job, NewJob, NewPhone, PhoneRow
from heliograph.domain.jobs.states import TRANSITIONS, Priority, State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import Receipt
from heliograph.ports.sender_store import (
    Lease,
    PhoneReceipts,
    ReceiptsApplied,
    SettleAndStartResult,
    Settlement,
    Started,
    StartRequest,
)
from heliograph.store.database.database import Database
from heliograph.store.database.postgresql import PostgresDatabase
from heliograph.store.database.sqlite import SqliteDatabase
from heliograph.store.job_store import Store

START_US = 1_760_000_000_000_000
SENT = Verdict(State.SENT, "sent", ack=1)
REFUSED = Verdict(State.FAILED, "failed", "blocked", "This person has blocked the phone.")


def retry(wait_s: float = 2.0, *, maybe_sent: bool = False) -> Verdict:
    return Verdict(State.QUEUED, "retry", "network_error", "Not now.", lane_wait_s=wait_s, maybe_sent=maybe_sent)


def uncertain(wait_s: float | None = 20.0) -> Verdict:
    return Verdict(State.UNCERTAIN, "uncertain", "answer_lost", "Lost.", lane_wait_s=wait_s, maybe_sent=True)


class HandClock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.us = START_US

    def now_us(self) -> int:
        return self.us

    def monotonic(self) -> float:
        return self.us / 1e6

    async def sleep(self, seconds: float) -> None:
        self.turn(seconds)

    def turn(self, seconds: float) -> None:
        self.us += round(seconds * 1e6)


def make_shell(where: str | Path, clock: HandClock) -> Database:
    if isinstance(where, Path):
        return SqliteDatabase(str(where), lambda _seconds, _units: None, clock.monotonic)
    return PostgresDatabase(where, lambda _seconds, _units: None, clock.monotonic)


async def look(where: str | Path, sql: str) -> list[dict[str, Any]]:
    """A query past the store: what is committed, whatever the store says of it."""
    if isinstance(where, Path):
        with contextlib.closing(sqlite3.connect(where)) as direct:
            direct.row_factory = sqlite3.Row
            return [dict(row) for row in direct.execute(sql).fetchall()]
    connection = await asyncpg.connect(where)
    try:
        return [dict(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


async def change(where: str | Path, sql: str) -> None:
    """A write past the store."""
    if isinstance(where, Path):
        with contextlib.closing(sqlite3.connect(where)) as direct, direct:
            direct.execute(sql)
        return
    connection = await asyncpg.connect(where)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@dataclass
class Desk:
    """An organisation with one phone that `me` owns, and short words for what tests do with it."""

    store: Store
    clock: HandClock
    where: str | Path
    phone: PhoneRow
    lease: Lease
    ids: JobIds
    me: str = "sender-a"
    _n: int = 0
    made: dict[JobId, NewJob] = field(default_factory=dict)

    @property
    def sqlite(self) -> bool:
        return isinstance(self.where, Path)

    @property
    def org_no(self) -> int:
        return self.phone.org_no

    @property
    def phone_no(self) -> int:
        return self.phone.phone_no

    @property
    def token(self) -> int:
        return self.lease.token

    def job(
        self,
        chat: str = "a",
        *,
        lane: Priority = Priority.NORMAL,
        key: str | None = None,
        body: str = "",
        **changes: Any,
    ) -> NewJob:
        self._n += 1
        text = body or f"message {self._n}"
        keyed = None if key is None else Idempotency(key, text.encode())
        made = NewJob(
            self.ids.make(), self.org_no, self.phone_no, f"{chat}@c.us", Content(Kind.TEXT, text), priority=lane,
            idempotency=keyed,
        )  # fmt: skip
        return msgspec.structs.replace(made, **changes)

    async def put(self, chat: str = "a", **more: Any) -> JobId:
        """Enqueues one message."""
        made = await self.store.enqueue(self.job(chat, **more))
        assert isinstance(made, Enqueued), made
        return made.job_id

    async def put_job(self, job: NewJob) -> EnqueueResult:
        return await self.store.enqueue(job)

    async def start(self, limit: int = 1, *, token: int | None = None, **more: Any) -> list[Started]:
        return (await self.wish(limit, token=token, **more)).started

    async def wish(self, limit: int = 1, *, token: int | None = None, **more: Any) -> SettleAndStartResult:
        wish = StartRequest(self.phone_no, self.org_no, self.token if token is None else token, limit=limit, **more)
        return await self.store.settle_and_start([], [wish])

    async def settle(self, started: Started, verdict: Verdict, *, token: int | None = None) -> SettleAndStartResult:
        return await self.store.settle_and_start([self.settlement(started, verdict, token=token)], [])

    def settlement(self, started: Started, verdict: Verdict, *, token: int | None = None) -> Settlement:
        held = self.token if token is None else token
        return Settlement(started.job, held, started.token, verdict, new_chat=started.new_chat)

    async def send(self, verdict: Verdict = SENT) -> JobId:
        """Starts the next message and settles it."""
        (one,) = await self.start()
        await self.settle(one, verdict)
        return one.job.job_id

    async def receipt(self, job_id: JobId, *acks: int, token: int | None = None, **more: Any) -> ReceiptsApplied:
        at = self.clock.now_us()
        return await self.receipts([Receipt(ack, at, unique_id=unique_id(job_id), **more) for ack in acks], token=token)

    async def receipts(self, receipts: Sequence[Receipt], *, token: int | None = None) -> ReceiptsApplied:
        held = self.token if token is None else token
        return await self.store.receipts([PhoneReceipts(self.org_no, self.phone_no, held, receipts)])

    async def get(self, job_id: JobId) -> Job:
        found = await self.store.job(self.org_no, unique_id(job_id))
        assert found is not None
        return found

    async def history(self, job_id: JobId) -> list[Event]:
        return await self.store.history(self.org_no, job_id)

    async def take_over(self, owner: str = "sender-b") -> Lease:
        """Another sender takes the phone; its token is the good one from now on."""
        fleet = await self.store.heartbeat(owner, first=True)
        (seen,) = [one for one in fleet.leases if one.phone_no == self.phone_no]
        (self.lease,) = await self.store.claim_leases(owner, [seen])
        return self.lease

    async def look(self, sql: str) -> list[dict[str, Any]]:
        return await look(self.where, sql)

    async def change(self, sql: str) -> None:
        await change(self.where, sql)

    async def audit(self) -> None:
        faults = await faults_of(self.where)
        assert faults == [], "\n".join(faults)


async def open_desk(where: str | Path, clock: HandClock | None = None) -> Desk:
    clock = clock or HandClock()
    ids = JobIds(clock.now_us)
    shell = make_shell(where, clock)
    await shell.open()
    store = Store(shell, clock, ids)
    org = await store.create_org("an organisation")
    phone, _ = await store.create_phone(NewPhone(org.org_no, new_phone_id(), "919876543210", "simulator"))
    fleet = await store.heartbeat("sender-a", first=True)
    (lease,) = await store.claim_leases("sender-a", fleet.leases)
    return Desk(store, clock, where, phone, lease, ids)


async def another_phone(desk: Desk, number: str, *, org_no: int | None = None) -> Desk:
    """A second phone beside it, owned by the same sender."""
    made, _ = await desk.store.create_phone(NewPhone(org_no or desk.org_no, new_phone_id(), number, "simulator"))
    fleet = await desk.store.heartbeat(desk.me)
    (seen,) = [one for one in fleet.leases if one.phone_no == made.phone_no]
    (lease,) = await desk.store.claim_leases(desk.me, [seen])
    return Desk(desk.store, desk.clock, desk.where, made, lease, desk.ids)


async def faults_of(where: str | Path) -> list[str]:
    """What is wrong in a database: counters that differ from the rows, lanes that lose a message, holes in history."""
    jobs = await look(where, "SELECT * FROM jobs ORDER BY org_no, phone_no, chat_id, priority, seq")
    lanes = await look(where, "SELECT * FROM lanes")
    queues = await look(where, "SELECT * FROM queue_counters")
    events = await look(where, "SELECT * FROM events ORDER BY org_no, job_id, n")
    stray = await look(where, _HELD_BY_NOTHING)
    held = [f"lane {tuple(row.values())}: put aside, and nothing holds it" for row in stray]
    return [*_counters(jobs, queues), *_lanes(jobs, lanes), *held, *_histories(jobs, events)]


_HELD_BY_NOTHING = """
    SELECT l.phone_no, l.chat_id, l.priority FROM lanes l LEFT JOIN jobs j ON j.job_id = l.head_job
    WHERE l.status = 'held' AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.phone_no = l.phone_no
      AND h.target IN ('chat:' || l.chat_id, 'broadcast:' || CAST(j.broadcast_no AS TEXT)))
"""


_COUNTED = {
    "queued": "waiting", "sending": "active", "uncertain": "active", "sent": "completed", "failed": "failed",
    "cancelled": "failed", "expired": "failed",
}  # fmt: skip


def _counters(jobs: list[dict[str, Any]], queues: list[dict[str, Any]]) -> list[str]:
    said: Counter[tuple[int, int, str]] = Counter()
    for row in queues:
        for name in set(_COUNTED.values()):
            said[row["phone_no"], row["priority"], name] += row[name]
    counted = {row["phone_no"] for row in queues}
    there = Counter(
        (job["phone_no"], job["priority"], _COUNTED[job["state"]]) for job in jobs if job["phone_no"] in counted
    )
    return [
        f"counter {key}: says {said[key]}, there are {there[key]}"
        for key in sorted(said.keys() | there.keys())
        if said[key] != there[key]
    ]


def _lanes(jobs: list[dict[str, Any]], lanes: list[dict[str, Any]]) -> list[str]:
    by_lane: dict[tuple[int, int, str, int], list[dict[str, Any]]] = defaultdict(list)
    for job in jobs:
        by_lane[job["org_no"], job["phone_no"], job["chat_id"], job["priority"]].append(job)
    rows = {(row["org_no"], row["phone_no"], row["chat_id"], row["priority"]): row for row in lanes}
    wrong = []
    for key, found in by_lane.items():
        if len({job["seq"] for job in found}) != len(found):
            wrong.append(f"lane {key}: two messages at one place in the order")
    for key in sorted(by_lane.keys() | rows.keys()):
        queued = [job for job in by_lane[key] if job["state"] == "queued"]
        sending = [job["job_id"] for job in by_lane[key] if job["state"] == "sending"]
        job_of = {job["job_id"]: job for job in by_lane[key]}
        row = rows.get(key)
        if row is None:
            if queued or sending:
                wrong.append(f"lane {key}: {len(queued)} queued and {len(sending)} sending, but no row leads to them")
            continue
        if row["status"] == "busy":
            if len(sending) != 1:
                wrong.append(f"lane {key}: busy, but {sending} are on their way")
            elif row["head_seq"] > (on_its_way := job_of[sending[0]]["seq"]):
                wrong.append(f"lane {key}: {sending[0]} is on its way before {row['head_seq']}, where it begins")
            elif early := [job["job_id"] for job in queued if job["seq"] < on_its_way]:
                wrong.append(f"lane {key}: {early} wait before the message on its way, and would be passed over")
        elif sending:
            wrong.append(f"lane {key}: {sending} on their way, but it is {row['status']}")
        elif queued:
            if (row["head_job"], row["head_seq"]) != (queued[0]["job_id"], queued[0]["seq"]):
                wrong.append(f"lane {key}: its head is {row['head_seq']}, the first that waits {queued[0]['seq']}")
        elif row["status"] != "delayed" or row["not_before"] is None:
            wrong.append(f"lane {key}: {row['status']} without work or wait")
        elif row["head_job"] is not None:
            wrong.append(f"lane {key}: its head {row['head_job']} does not wait")
    return wrong


def _histories(jobs: list[dict[str, Any]], events: list[dict[str, Any]]) -> list[str]:
    by_job: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        by_job[event["job_id"]].append(event)
    wrong = []
    for job in jobs:
        found = by_job.pop(job["job_id"], [])
        name = f"message {job['job_id']}"
        if [event["n"] for event in found] != list(range(1, job["events"] + 1)):
            wrong.append(f"{name}: {job['events']} changes, events {[event['n'] for event in found]}")
            continue
        before: str | None = None
        for event in found:
            if event["before"] != before:
                wrong.append(f"{name}: event {event['n']} leaves {event['before']}, it was {before}")
            if before is not None and event["after"] != before and event["after"] not in TRANSITIONS[State(before)]:
                wrong.append(f"{name}: from {before} to {event['after']}")
            before = event["after"]
        if before != job["state"] or found[-1]["ack"] != job["ack"]:
            wrong.append(f"{name}: ends {before} ack {found[-1]['ack']}, the row says {job['state']} {job['ack']}")
        tokens = [event["token"] for event in found if event["token"]]
        if tokens != sorted(tokens):
            wrong.append(f"{name}: fencing tokens go down: {tokens}")
    wrong += [f"events of {job_id}, which is no job" for job_id in by_job]
    return wrong
