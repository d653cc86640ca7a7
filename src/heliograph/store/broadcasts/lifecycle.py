"""The life of broadcasts: loaded by chunks, begun by one commit, paused, resumed, cancelled, ended.

Promise: pausing, resuming and cancelling cost the same for ten recipients and for a hundred thousand.
Known weakness: a recipient that is not enqueued yet is no job: it has an id, but no events.
"""

from collections.abc import Sequence

import msgspec

from heliograph.domain.broadcasts.broadcast import CHUNK, BroadcastRow, NewBroadcast, WrongState
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import Job
from heliograph.domain.jobs.states import Priority, State
from heliograph.domain.messages.chat import is_group
from heliograph.domain.messages.content import encode_content
from heliograph.domain.messages.template import fill
from heliograph.domain.webhooks.events import WebhookEvent
from heliograph.store.accounts import idempotency
from heliograph.store.accounts.org_events import emit_org_event
from heliograph.store.control.holds import hold, release_broadcast
from heliograph.store.database import named
from heliograph.store.database.rows import job_of, readable
from heliograph.store.database.unit import Unit, query, query_one, query_values
from heliograph.store.jobs.cancel import cancel_rows

decode_vars = msgspec.json.Decoder(dict[str, str]).decode
_PAUSE_WORD = "broadcast:"


def create(new: NewBroadcast, now_us: int) -> Unit["JobId | str | None"]:
    """None: go on loading. A number: the broadcast of an earlier request with this key. `reused`, `busy`: refused."""
    if new.idempotency is not None:
        earlier = yield from idempotency.claim_key(new.org_no, new.idempotency, now_us)
        if earlier is not None and not earlier.same:
            return "reused"
        if earlier is not None:
            return "busy" if earlier.response is None else JobId(int(earlier.response))
    yield from query(
        named.broadcast_insert(
            org_no=new.org_no,
            broadcast_no=new.broadcast_no,
            phone_no=new.phone_no,
            content=encode_content(new.content),
            priority=int(new.priority),
            delay_us=round(new.delay_s * 1_000_000),
            expires_at=new.expires_at_us,
            scheduled_at=new.scheduled_at_us,
            feed_at=now_us if new.scheduled_at_us is None else new.scheduled_at_us,
            performed_by=new.performed_by,
            key=None if new.idempotency is None else new.idempotency.key,
            now=now_us,
        )
    )
    yield from query(named.broadcast_counts_insert(org_no=new.org_no, broadcast_no=new.broadcast_no))
    return None


def load_broadcast(org_no: int, broadcast_no: JobId, rows: Sequence[tuple[int, str, str, JobId]]) -> Unit[bool]:
    """Adds a chunk of (n, chat_id, variables as JSON, job_id). False: loading took too long; it was dropped."""
    if (yield from query_one(named.broadcast_loading(org_no=org_no, broadcast_no=broadcast_no))) is None:
        return False
    yield from query(named.recipients_insert([(org_no, broadcast_no, *row) for row in rows]))
    return True


def begin(new: NewBroadcast, total: int) -> Unit[bool]:
    """Begins the broadcast: from this commit on it will be sent."""
    found = yield from query_one(named.broadcast_begin(org_no=new.org_no, broadcast_no=new.broadcast_no, total=total))
    if found is not None and new.idempotency is not None:
        yield from idempotency.save_response(new.org_no, new.idempotency, str(new.broadcast_no))
    return found is not None


def drop(org_no: int, broadcast_no: int) -> Unit[None]:
    """Drops a load that failed and frees its key; the cleanup deletes its recipients. One that began goes on."""
    dropped = yield from query_one(named.broadcast_drop(org_no=org_no, broadcast_no=broadcast_no))
    if dropped is not None and dropped["idempotency_key"] is not None:
        yield from query(named.idempotency_release(org_no=org_no, key=dropped["idempotency_key"]))


def end(org_no: int, broadcast_no: int, phone_no: int, state: str, now_us: int, why: str) -> Unit[bool]:
    ended = yield from query_one(named.broadcast_end(org_no=org_no, broadcast_no=broadcast_no, state=state, now=now_us))
    if ended is None:
        return False
    row = (yield from get(org_no, JobId(broadcast_no))) if state == "completed" else None
    if row is not None:
        counts = {"total": row.total, "sent": row.sent, "failed": row.failed, "skipped": row.skipped}
        data = {"broadcast_id": row.broadcast_id, **counts}
        yield from emit_org_event(org_no, phone_no, WebhookEvent.BROADCAST_COMPLETED, why, data, now_us)
    return True


def get(org_no: int, broadcast_no: JobId) -> Unit[BroadcastRow | None]:
    row = yield from query_one(named.broadcast_by_no(org_no=org_no, broadcast_no=broadcast_no))
    return None if row is None else broadcast_of(row)


def list_broadcasts(
    org_no: int, phone_no: int | None, *, limit: int = 100, offset: int = 0
) -> Unit[list[BroadcastRow]]:
    rows = yield from query(
        named.broadcasts_of_org(org_no=org_no, phone_no=phone_no or 0, below=2**63 - 1, limit=limit, offset=offset)
    )
    return [broadcast_of(row) for row in rows]


def pause(org_no: int, broadcast_no: JobId, actor: str, now_us: int) -> Unit[BroadcastRow | WrongState | None]:
    """None: there is no such broadcast."""
    done = yield from query_one(
        named.broadcast_pause(org_no=org_no, broadcast_no=broadcast_no, actor=actor, now=now_us)
    )
    if done is not None:
        yield from hold(org_no, done["phone_no"], f"{_PAUSE_WORD}{broadcast_no}", actor, "", now_us)
    return (yield from _after(org_no, broadcast_no, done is not None))


def resume(org_no: int, broadcast_no: JobId, now_us: int) -> Unit[BroadcastRow | WrongState | None]:
    done = yield from query_one(named.broadcast_resume(org_no=org_no, broadcast_no=broadcast_no, now=now_us))
    if done is not None:
        yield from release_broadcast(org_no, done["phone_no"], broadcast_no)
    return (yield from _after(org_no, broadcast_no, done is not None))


def _after(org_no: int, broadcast_no: JobId, done: bool) -> Unit[BroadcastRow | WrongState | None]:
    row = yield from get(org_no, broadcast_no)
    if row is None or done:
        return row
    return WrongState("paused" if row.paused_at_us is not None else row.state)


def cancel(org_no: int, broadcast_no: JobId, actor: str, now_us: int) -> Unit[BroadcastRow | WrongState | None]:
    """Cancels a broadcast: nothing more is started. Enqueued messages are held until `cancel_step` ends them."""
    row = yield from get(org_no, broadcast_no)
    if row is None:
        return None
    if not (yield from end(org_no, broadcast_no, row.phone_no, "cancelled", now_us, "")):
        return WrongState(row.state)
    yield from hold(org_no, row.phone_no, f"{_PAUSE_WORD}{broadcast_no}", actor, "", now_us)
    return (yield from get(org_no, broadcast_no))


def cancel_step(org_no: int, phone_no: int, broadcast_no: JobId, actor: str, now_us: int) -> Unit[list[JobId] | None]:
    """Cancels the next of its waiting jobs. None: there are none left; those that may have been sent go on."""
    rows = yield from query(named.jobs_waiting_of_broadcast(org_no=org_no, broadcast_no=broadcast_no, limit=CHUNK))
    if not rows:
        yield from release_broadcast(org_no, phone_no, broadcast_no)
        return None
    return (yield from cancel_rows(org_no, rows, actor, "broadcast_cancelled", now_us))


def failed_from(org_no: int, broadcast_no: JobId, n: int, limit: int) -> Unit[tuple[list[JobId], int | None]]:
    """Gives the failed jobs among the recipients from `n` on, and where to go on (None: at the end)."""
    rows = yield from query(named.recipients_failed(org_no=org_no, broadcast_no=broadcast_no, n=n, limit=limit))
    found = [row["job_id"] for row in rows if row["job_id"] is not None]
    return found, rows[-1]["n"] + 1 if len(rows) == limit else None


def reopen(org_no: int, broadcast_no: JobId, now_us: int) -> Unit[None]:
    yield from query(named.broadcast_reopen(org_no=org_no, broadcast_no=broadcast_no, now=now_us))


def jobs_from(row: BroadcastRow, n: int, limit: int, now_us: int) -> Unit[tuple[list[Job], int | None]]:
    """Gives jobs in the order of recipients from `n` on; those not enqueued yet as they will be."""
    found = yield from query(named.recipients_from(org_no=row.org_no, broadcast_no=row.broadcast_no, n=n, limit=limit))
    keys = [(row.org_no, r["job_id"]) for r in found if r["n"] < row.enqueued]
    enqueued = {job.job_id: job for job in map(job_of, (yield from query_values(named.jobs_by_id(keys))))}
    author = (yield from _author(row)) if any(is_group(each["chat_id"]) for each in found) else None
    jobs = []
    for each in found:
        if each["n"] >= row.enqueued:
            jobs.append(_unfed(row, each, author if is_group(each["chat_id"]) else None, now_us))
        elif (job := enqueued.get(each["job_id"])) is not None:
            jobs.append(job)
    return jobs, found[-1]["n"] + 1 if len(found) == limit else None


def unfed(org_no: int, job_id: JobId, now_us: int) -> Unit[Job | None]:
    """Finds a message that is still a recipient: keys rise within a list, so a binary search finds it."""
    for found in (yield from query(named.broadcasts_not_enqueued(org_no=org_no, job_id=job_id))):
        row = broadcast_of(found)
        low, high = row.enqueued, row.total
        while low < high:
            middle = (low + high) // 2
            one_of = yield from query_one(named.recipient_by_n(org_no=org_no, broadcast_no=row.broadcast_no, n=middle))
            if one_of is None:
                break
            if one_of["job_id"] == job_id:
                author = (yield from _author(row)) if is_group(one_of["chat_id"]) else None
                return _unfed(row, one_of, author, now_us)
            low, high = (middle + 1, high) if one_of["job_id"] < job_id else (low, middle)
    return None


def _author(row: BroadcastRow) -> Unit[str | None]:
    """Gives the author of its messages to groups."""
    phone = yield from query_one(named.phone_by_no(org_no=row.org_no, phone_no=row.phone_no))
    return None if phone is None else f"{phone['number']}@c.us"


def _unfed(row: BroadcastRow, recipient: "named.RecipientColumns", author: str | None, now_us: int) -> Job:
    """Gives the job that a recipient will become. It has no events; its `seq` is its place in the list."""
    state = State.QUEUED
    if row.state == "cancelled":
        state = State.CANCELLED
    elif row.scheduled_at_us is not None and row.scheduled_at_us > now_us:
        state = State.SCHEDULED
    body = fill(row.content.body, decode_vars(recipient["vars"]))
    return Job(
        job_id=recipient["job_id"], org_no=row.org_no, phone_no=row.phone_no, chat_id=recipient["chat_id"],
        priority=row.priority, seq=recipient["n"], state=state, content=msgspec.structs.replace(row.content, body=body),
        attempts=0, starts=0, maybe_sent=False, ack=0, reason=None, detail=None,
        not_before_us=row.scheduled_at_us if state is State.SCHEDULED else None, expires_at_us=row.expires_at_us,
        broadcast_no=row.broadcast_no, schedule_no=None, performed_by=row.performed_by, provider_message_id=None,
        author=author, events=0, queued_at_us=row.created_at_us, started_at_us=None, sent_at_us=None,
        delivered_at_us=None, read_at_us=None, settled_at_us=row.ended_at_us if state is State.CANCELLED else None,
    )  # fmt: skip


def broadcast_of(row: "named.BroadcastColumns") -> BroadcastRow:
    return BroadcastRow(
        org_no=row["org_no"],
        broadcast_no=row["broadcast_no"],
        phone_no=row["phone_no"],
        state=row["state"],
        content=readable(row["content"]),
        priority=Priority(row["priority"]),
        delay_s=row["delay_us"] / 1_000_000,
        expires_at_us=row["expires_at"],
        total=row["total"],
        enqueued=row["enqueued"],
        skipped=row["skipped"],
        scheduled_at_us=row["scheduled_at"],
        paused_at_us=row["paused_at"],
        paused_by=row["paused_by"],
        performed_by=row["performed_by"],
        created_at_us=row["created_at"],
        started_at_us=row["started_at"],
        ended_at_us=row["ended_at"],
        sent=row["sent"],
        failed=row["failed"],
        delivered=row["delivered"],
        read=row["read"],
    )
