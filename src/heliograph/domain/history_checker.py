"""Were the promises kept? A pure function over what was accepted, what the network saw, and what the store holds.

Promise: each mutation of a healthy history that drops, doubles, swaps or re-names one event, arrival or message is
flagged (tests/domain/test_history_checker.py). Weakness: the rules see only what is in the history. A message that was
never answered and never stored was never accepted; whether a disk lies about having
synced shows after a power cut only.

I1 each accepted message ends once, or stands as uncertain · I2 sent ⇒ seen, never started ⇒ not seen · I3 one id a
message, shown once · I4 first arrivals of a chat and lane are in order of acceptance · I5 never faster than the
policy · I6 fencing tokens never go down · I7 one event for each change, numbered without holes and rising in time (so a
clock that was set back during the run is flagged too) · I8 a silent phone starts nothing.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from heliograph.domain.jobs.ids import JobId, parse_job_id, queue_id, unique_id
from heliograph.domain.jobs.job import Event, Job
from heliograph.domain.jobs.states import SETTLED, TRANSITIONS, Ack, State

NETWORK = "network"  # the actor of events that carry the network's own time
BY_HAND = frozenset({"moved", "resolved", "requeued"})  # kinds of events by which a person changes the order


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A 2xx, in the order in which its chat was written to. Requests that were repeated have the same `key`."""

    key: str
    queue_id: str
    unique_id: str
    phone: str
    chat_id: str
    body: str


@dataclass(frozen=True, slots=True)
class JournalArrival:
    """A message as the network first saw it. `shown`: how often the person would see it. `ack`: confirmed receipts."""

    unique_id: str
    phone: str
    chat_id: str
    body: str
    at_us: int
    shown: int = 1
    ack: int = 0


@dataclass(frozen=True, slots=True)
class Pace:
    """The fastest a phone may be: `gap_us` between any two arrivals, `most` within any `window_us`."""

    gap_us: int = 0
    most: int = 0
    window_us: int = 0


@dataclass(frozen=True, slots=True)
class PausedInterval:
    """A time in which a phone may start nothing, and why."""

    phone: str
    from_us: int
    until_us: int
    why: str


@dataclass(frozen=True, slots=True)
class Record:
    """A whole run. `arrivals` oldest first. `phones`: the store's numbers to phone numbers.

    `complete`: every request was repeated until it was answered, so that a message nobody was told of is a fault.
    `slack_us`: how far apart the stamps of two processes may lie. A stamp is taken before its transaction begins.
    """

    accepted: Sequence[Acceptance]
    arrivals: Sequence[JournalArrival]
    jobs: Sequence[Job]
    events: Sequence[Event]
    phones: Mapping[int, str]
    complete: bool = True
    paces: Mapping[str, Pace] = field(default_factory=dict)
    silences: Sequence[PausedInterval] = ()
    slack_us: int = 0


@dataclass(frozen=True, slots=True)
class Violation:
    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


def check(record: Record) -> list[Violation]:
    """Every broken promise; an empty list for a healthy history. Linear in its length, but for sorting."""
    events: dict[JobId, list[Event]] = defaultdict(list)
    for event in record.events:
        events[event.job_id].append(event)
    jobs = {job.job_id: job for job in record.jobs}
    return [
        *_ends(record, jobs, events),
        *_seen(record, jobs, events),
        *_one_id(record, jobs),
        *_order(record, jobs, events),
        *_pace(record),
        *_tokens(record, jobs, events),
        *_numbered(record, jobs, events),
        *_silent(record, jobs),
    ]


def _name(job_id: JobId) -> str:
    return f"message {queue_id(job_id)}"


def _ends(record: Record, jobs: Mapping[JobId, Job], events: Mapping[JobId, list[Event]]) -> Iterator[Violation]:
    told = set()
    for accepted in record.accepted:
        job_id = parse_job_id(accepted.queue_id)
        job = jobs.get(job_id) if job_id is not None else None
        if job is None:
            yield Violation("I1", f"{accepted.queue_id} was accepted and is lost ({accepted.body[:40]!r})")
            continue
        told.add(job.job_id)
        if (record.phones.get(job.phone_no), job.chat_id, job.content.body) != (
            accepted.phone,
            accepted.chat_id,
            accepted.body,
        ):
            yield Violation("I1", f"{_name(job.job_id)} is stored with another phone, chat or text than was accepted")
    if len(record.jobs) != len(jobs):
        yield Violation("I1", "a message is stored twice under one key")
    for job in record.jobs:
        if record.complete and job.job_id not in told:
            yield Violation("I1", f"{_name(job.job_id)} is stored, but nobody was told of it")
        if job.state not in SETTLED and job.state is not State.UNCERTAIN:
            yield Violation("I1", f"{_name(job.job_id)} never ended: it is {job.state}")
        ends = again = 0
        for event in events.get(job.job_id, ()):
            ends += event.after in SETTLED and event.before not in SETTLED
            again += event.before in SETTLED and event.after not in SETTLED
        if ends - again != (job.state in SETTLED):
            yield Violation(
                "I1", f"{_name(job.job_id)} is {job.state} and ended {ends} times, begun anew {again} times"
            )


def _seen(record: Record, jobs: Mapping[JobId, Job], events: Mapping[JobId, list[Event]]) -> Iterator[Violation]:
    arrived = {arrival.unique_id: arrival for arrival in record.arrivals}
    for job in jobs.values():
        arrival = arrived.get(unique_id(job.job_id))
        started = any(event.kind == "started" for event in events.get(job.job_id, ()))
        if job.state is State.SENT and arrival is None:
            yield Violation("I2", f"{_name(job.job_id)} is sent, but the network never saw it")
        if arrival is None:
            continue
        if not started:
            yield Violation("I2", f"{_name(job.job_id)} is {job.state} and never started, but the network saw it")
        if job.state is State.FAILED and not job.maybe_sent and job.ack != Ack.FAILED:
            yield Violation("I2", f"{_name(job.job_id)} is failed as surely not sent, but the network saw it")
        if job.state is State.SENT and job.ack < arrival.ack:
            yield Violation("I2", f"{_name(job.job_id)}: receipt {arrival.ack} was confirmed, but {job.ack} is stored")
        expected = (record.phones.get(job.phone_no), job.chat_id, job.content.body)
        if (arrival.phone, arrival.chat_id, arrival.body) != expected:
            yield Violation("I2", f"{_name(job.job_id)} arrived with another phone, chat or text than was stored")


def _one_id(record: Record, jobs: Mapping[JobId, Job]) -> Iterator[Violation]:
    names: dict[str, tuple[str, str]] = {}
    keys: dict[str, str] = {}
    for accepted in record.accepted:
        if parse_job_id(accepted.queue_id) != parse_job_id(accepted.unique_id):
            yield Violation(
                "I3", f"{accepted.queue_id} and {accepted.unique_id} were given for one message, and are two"
            )
        if names.setdefault(accepted.key, (accepted.queue_id, accepted.unique_id)) != (
            accepted.queue_id,
            accepted.unique_id,
        ):
            yield Violation("I3", f"one request (key {accepted.key}) was answered with two ids")
        if keys.setdefault(accepted.queue_id, accepted.key) != accepted.key:
            yield Violation("I3", f"{accepted.queue_id} was given to two requests")
    known = {unique_id(job_id) for job_id in jobs}
    met = set()
    for arrival in record.arrivals:
        if arrival.unique_id not in known:
            yield Violation("I3", f"{arrival.unique_id} arrived and is no message's id ({arrival.body[:40]!r})")
        if arrival.unique_id in met:
            yield Violation("I3", f"{arrival.unique_id} arrived as two messages")
        if arrival.shown > 1:
            yield Violation("I3", f"{arrival.unique_id} was shown {arrival.shown} times")
        met.add(arrival.unique_id)


def _order(record: Record, jobs: Mapping[JobId, Job], events: Mapping[JobId, list[Event]]) -> Iterator[Violation]:
    def steered(job_id: JobId) -> bool:
        return any(event.kind in BY_HAND for event in events.get(job_id, ()))

    asked: dict[tuple[int, str, int], int] = {}
    for accepted in record.accepted:
        job_id = parse_job_id(accepted.queue_id)
        job = jobs.get(job_id) if job_id is not None else None
        if job is None:
            continue
        place = (job.phone_no, job.chat_id, job.priority)
        if job.seq < asked.get(place, -1):
            yield Violation("I4", f"{_name(job.job_id)} stands before a message of its chat that was accepted earlier")
        asked[place] = max(job.seq, asked.get(place, -1))
    arrived: dict[tuple[int, str, int], int] = {}
    for arrival in record.arrivals:
        job_id = parse_job_id(arrival.unique_id)
        job = jobs.get(job_id) if job_id is not None else None
        if job is None or steered(job.job_id):
            continue
        place = (job.phone_no, job.chat_id, job.priority)
        if job.seq <= arrived.get(place, -1):
            yield Violation("I4", f"{_name(job.job_id)} arrived after a later message of its chat")
        arrived[place] = max(job.seq, arrived.get(place, -1))


def _pace(record: Record) -> Iterator[Violation]:
    for phone, pace in record.paces.items():
        times = sorted(arrival.at_us for arrival in record.arrivals if arrival.phone == phone)
        for before, after in pairwise(times):
            if after - before < pace.gap_us:
                yield Violation("I5", f"{phone} sent {(after - before) / 1e6:.3f} s after its last message, too soon")
        if pace.most:
            for first, beyond in zip(times, times[pace.most :], strict=False):
                if beyond - first < pace.window_us:
                    yield Violation("I5", f"{phone} sent more than {pace.most} in {pace.window_us / 1e6:g} s")


def _tokens(record: Record, jobs: Mapping[JobId, Job], events: Mapping[JobId, list[Event]]) -> Iterator[Violation]:
    owned: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for job_id, each in events.items():
        highest = 0
        for event in sorted(each, key=lambda one: one.n):
            if event.token and event.token < highest:
                yield Violation("I6", f"{_name(job_id)}: event {event.n} was written by a former owner")
            highest = max(highest, event.token)
            if event.token and event.actor != NETWORK and job_id in jobs:
                owned[jobs[job_id].phone_no].append((event.at_us, event.token))
    for phone_no, writes in owned.items():
        for (_, before), (_, after) in pairwise(sorted(writes)):
            if after < before:
                yield Violation("I6", f"{record.phones.get(phone_no)}: token {after} wrote after token {before}")


def _numbered(record: Record, jobs: Mapping[JobId, Job], events: Mapping[JobId, list[Event]]) -> Iterator[Violation]:
    for job_id in events.keys() - jobs.keys():
        yield Violation("I7", f"{_name(job_id)} has events and is not there")
    for job_id, job in jobs.items():
        each = sorted(events.get(job_id, ()), key=lambda one: one.n)
        if [event.n for event in each] != list(range(1, job.events + 1)):
            yield Violation("I7", f"{_name(job_id)} has events {[e.n for e in each]} where 1 to {job.events} are due")
            continue
        if each[0].before is not None or each[-1].after != job.state or each[-1].ack != job.ack:
            yield Violation("I7", f"{_name(job_id)}: its events do not lead to {job.state}, ack {job.ack}")
        if each[-1].attempt != job.attempts:
            yield Violation("I7", f"{_name(job_id)}: its events tell {each[-1].attempt} attempts, not {job.attempts}")
        for before, after in pairwise(each):
            if wrong := _misstep(before, after, record.slack_us):
                yield Violation("I7", f"{_name(job_id)}: event {after.n} ({after.kind}) {wrong}")


def _misstep(before: Event, after: Event, slack_us: int) -> str | None:
    if after.before != before.after:
        return f"leaves {after.before}, but the one before it led to {before.after}"
    if after.before != after.after and State(after.after) not in TRANSITIONS[State(before.after)]:
        return f"goes from {after.before} to {after.after}, which is not allowed"
    if after.at_us < before.at_us - slack_us and NETWORK not in (before.actor, after.actor):
        return "happened before the one before it"
    if after.before == after.after and after.ack == before.ack:
        return "changes nothing"
    if after.ack < before.ack and after.ack != Ack.FAILED:
        return f"takes the receipt back from {before.ack} to {after.ack}"
    if after.kind == "started" and after.attempt != before.attempt + 1:
        return f"starts attempt {after.attempt} after attempt {before.attempt}"
    if after.kind != "started" and after.attempt not in (before.attempt, before.attempt - 1):
        return f"belongs to attempt {after.attempt}, after attempt {before.attempt}"
    return None


def _silent(record: Record, jobs: Mapping[JobId, Job]) -> Iterator[Violation]:
    for silence in record.silences:
        for event in record.events:
            job = jobs.get(event.job_id)
            if job is None or event.kind != "started" or record.phones.get(job.phone_no) != silence.phone:
                continue
            if silence.from_us < event.at_us < silence.until_us:
                yield Violation("I8", f"{_name(job.job_id)} was started while {silence.phone} was {silence.why}")
