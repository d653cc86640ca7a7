"""Random healthy histories: the records of a run that keeps every promise."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from heliograph.domain.history_checker import Acceptance, JournalArrival, Pace, Record
from heliograph.domain.jobs.ids import JobId, queue_id, unique_id
from heliograph.domain.jobs.job import Event, Job
from heliograph.domain.jobs.states import SETTLED, Priority, State
from heliograph.domain.messages.content import Content, Kind

PHONES = {1: "447700900001", 2: "447700900002"}
GAP_US = 1000

# what happens to a message: (kind, state afterwards, ack, attempt moves by) for each event after `queued`
S = State
START = ("started", S.SENDING, 0, 1)
FATES: dict[str, list[tuple[str, State, int, int]]] = {
    "sent": [START, ("sent", S.SENT, 1, 0)],
    "read": [START, ("sent", S.SENT, 1, 0), *(("receipt", S.SENT, ack, 0) for ack in (2, 3, 4))],
    "retried": [START, ("retry", S.QUEUED, 0, 0), START, ("sent", S.SENT, 1, 0)],
    "throttled": [
        START,
        ("throttled", S.QUEUED, 0, -1),
        START,
        ("throttled", S.QUEUED, 0, -1),
        START,
        ("sent", S.SENT, 1, 0),
    ],
    "recovered": [START, ("recovered", S.QUEUED, 0, 0), START, ("sent", S.SENT, 1, 0), ("receipt", S.SENT, 3, 0)],
    "rejected": [START, ("failed", S.FAILED, 0, 0)],
    "refused later": [START, ("sent", S.SENT, 1, 0), ("receipt", S.FAILED, -1, 0)],
    "uncertain": [START, ("uncertain", S.UNCERTAIN, 0, 0)],
    "settled by a receipt": [START, ("uncertain", S.UNCERTAIN, 0, 0), ("receipt", S.SENT, 3, 0)],
    "cancelled": [("cancelled", S.CANCELLED, 0, 0)],
    "expired": [("expired", S.EXPIRED, 0, 0)],
}
ARRIVES = {"sent", "read", "retried", "throttled", "recovered", "refused later", "uncertain", "settled by a receipt"}


@dataclass
class HistoryBuilder:
    """The acceptances, arrivals, jobs and events of a run, message by message."""

    now_us: int = 1_800_000_000_000_000
    accepted: list[Acceptance] = field(default_factory=list)
    arrivals: list[JournalArrival] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def message(self, fate: str, *, phone_no: int, chat: int, lane: Priority, token: int) -> None:
        number = len(self.jobs) + 1
        job_id = JobId((self.now_us << 8) + number)
        chat_id, body = f"12025550{chat:03d}@c.us", f"text {number}"
        state, ack, attempt, n = State.QUEUED, 0, 0, 1
        self.events.append(self._event(job_id, 1, "queued", None, State.QUEUED, 0, 0, 0))
        for kind, after, after_ack, moves in FATES[fate]:
            n += 1
            attempt += moves
            whose = 0 if kind in ("cancelled", "expired") else token
            self.events.append(self._event(job_id, n, kind, state, after, after_ack, attempt, whose))
            if kind == "started" and fate in ARRIVES and all(a.unique_id != unique_id(job_id) for a in self.arrivals):
                arrival = JournalArrival(unique_id(job_id), PHONES[phone_no], chat_id, body, self.now_us)
                self.arrivals.append(arrival)
            state, ack = after, after_ack
        settled = self.now_us if state in SETTLED else None
        self.jobs.append(
            _job(
                job_id=job_id,
                phone_no=phone_no,
                chat_id=chat_id,
                priority=lane,
                seq=number,
                state=state,
                content=Content(type=Kind.TEXT, body=body),
                attempts=attempt,
                ack=ack,
                maybe_sent=fate in ("uncertain", "recovered", "settled by a receipt"),
                events=n,
                settled_at_us=settled,
            )
        )
        self.accepted.append(
            Acceptance(f"key {number}", queue_id(job_id), unique_id(job_id), PHONES[phone_no], chat_id, body)
        )

    def _event(
        self, job_id: JobId, n: int, kind: str, before: str | None, after: str, ack: int, attempt: int, token: int
    ) -> Event:
        self.now_us += GAP_US
        actor = "network" if kind == "receipt" else "test"
        return Event(job_id, n, self.now_us, kind, before, after, ack, attempt, token, actor)

    def record(self) -> Record:
        paces = {phone: Pace(gap_us=GAP_US, most=3, window_us=3 * GAP_US) for phone in PHONES.values()}
        return Record(self.accepted, self.arrivals, self.jobs, self.events, PHONES, paces=paces)


def _job(**known: Any) -> Job:
    unset: dict[str, Any] = dict.fromkeys(
        ["reason", "detail", "not_before_us", "expires_at_us", "broadcast_no", "schedule_no", "provider_message_id"]
    )
    unset |= dict.fromkeys(["author", "started_at_us", "sent_at_us", "delivered_at_us", "read_at_us"])
    return Job(org_no=1, starts=0, performed_by="api", queued_at_us=0, **(unset | known))


@st.composite
def healthy(draw: st.DrawFn, fates: Sequence[str] = tuple(FATES), min_size: int = 1) -> Record:
    builder = HistoryBuilder()
    token = 1
    for fate in draw(st.lists(st.sampled_from(list(fates)), min_size=min_size, max_size=12)):
        token += draw(st.integers(0, 1))
        builder.message(
            fate,
            phone_no=draw(st.sampled_from(list(PHONES))),
            chat=draw(st.integers(1, 2)),
            lane=draw(st.sampled_from(list(Priority))),
            token=token,
        )
    return builder.record()


def one(fate: str = "read", times: int = 2) -> Record:
    """Makes a few messages of one chat with the same fate."""
    builder = HistoryBuilder()
    for _ in range(times):
        builder.message(fate, phone_no=1, chat=1, lane=Priority.NORMAL, token=5)
    return builder.record()
