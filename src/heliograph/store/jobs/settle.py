"""TX3: settles attempts by their verdicts, so that their lanes can go on.

Promise: an attempt is settled once, and only if it is the one that was started; what somebody else settled stays.
"""

from collections.abc import Sequence

from heliograph.domain.jobs.job import OutgoingJob
from heliograph.domain.jobs.states import Ack, State
from heliograph.ports.stores.sender_store import Settlement
from heliograph.store.database import named
from heliograph.store.database.unit import Unit, query, query_values
from heliograph.store.jobs.events import JobEventBuffer
from heliograph.store.jobs.lanes import CounterChanges, LaneKey, NextHead

Freed = dict[LaneKey, NextHead]


def lane_key(job: OutgoingJob) -> LaneKey:
    return (job.org_no, job.phone_no, job.chat_id, int(job.priority))


def settle(
    settlements: Sequence[Settlement], now_us: int, counts: CounterChanges, moved: JobEventBuffer
) -> Unit[tuple[set[int], Freed]]:
    """Gives the jobs that were settled, and how each of their lanes goes on; the lanes are not written yet."""
    settled: set[int] = set()
    freed: Freed = {}
    if not settlements:
        return settled, freed
    is_plain = [_is_plain(s) for s in settlements]
    plain, others = yield from _write(settlements, is_plain, now_us)
    done = plain | others
    aliases = []
    for s, simple in zip(settlements, is_plain, strict=True):
        job, verdict = s.job, s.verdict
        if job.job_id not in done or job.job_id in settled or (job.job_id in plain) != simple:
            continue  # a second settlement of it in this batch says nothing
        settled.add(job.job_id)
        sent = verdict.state is State.SENT
        if simple:
            moved.sent.append((job.job_id,))
        else:
            moved.add(job.org_no, job.job_id, verdict.kind, State.SENDING, s.token)
        place = (job.org_no, job.phone_no, int(job.priority))
        if sent:
            counts.add(place, active=-1, completed=1)
            counts.broadcast(job.org_no, job.broadcast_no, sent=1)
        elif verdict.state is State.FAILED:
            counts.add(place, active=-1, failed=1)
            counts.broadcast(job.org_no, job.broadcast_no, failed=1)
        elif verdict.state is State.QUEUED:
            counts.add(place, active=-1, waiting=1)
        if verdict.provider_message_id:
            aliases.append((job.org_no, verdict.provider_message_id, job.job_id))
        until = _until(verdict.lane_wait_s, now_us)
        known_now, sent_now = s.new_chat and sent, job.job_id if sent else None
        freed[lane_key(job)] = NextHead(until, job.job_id if until else None, known=known_now, sent=sent_now)
    yield from moved.settled(now_us)  # a job that goes back may start again below
    yield from query(named.provider_message_ids_insert(aliases))
    return settled, freed


def _write(settlements: Sequence[Settlement], is_plain: Sequence[bool], now_us: int) -> Unit[tuple[set[int], set[int]]]:
    """Gives the jobs that were plainly sent, and the others.

    Most attempts just succeed: those have a query of their own, with a third of the columns.
    """
    plain, others = [], []
    for s, simple in zip(settlements, is_plain, strict=True):
        job, verdict = s.job, s.verdict
        if simple:
            plain.append((job.org_no, job.job_id, s.token, verdict.ack, verdict.provider_message_id))
            continue
        waits_until = _until(verdict.lane_wait_s, now_us) if verdict.state is State.QUEUED else None
        starts = (job.starts - verdict.uncounted) if verdict.kind == "recovered" else 0
        others.append(
            (job.org_no, job.job_id, s.started_token, verdict.state.value, int(verdict.uncounted), starts,
             verdict.reason, verdict.detail, int(verdict.maybe_sent), waits_until, verdict.ack,
             verdict.provider_message_id)
        )  # fmt: skip
    sent: set[int] = {row[0] for row in (yield from query_values(named.jobs_sent(plain, now=now_us)))}
    learned = [(org, job, ack, name) for org, job, _, ack, name in plain if (name or ack > Ack.SENT) and job in sent]
    yield from query(named.jobs_set_provider_id(learned))
    return sent, {row[0] for row in (yield from query_values(named.jobs_settle(others, now=now_us)))}


def _is_plain(s: Settlement) -> bool:
    verdict = s.verdict
    return (
        verdict.state is State.SENT and verdict.kind == "sent" and verdict.reason is None and s.token == s.started_token
    )


def _until(wait_s: float | None, now_us: int) -> int | None:
    return None if wait_s is None else now_us + round(wait_s * 1_000_000)
