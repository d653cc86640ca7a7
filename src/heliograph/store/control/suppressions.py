"""The check of single `bulk` messages against the suppression list; `normal` and `urgent` ones are not checked.

Priority `bulk` says that nobody waits for the message; a one-time code or an answer to a question was asked for.
Promise: a repeated Idempotency-Key gets its first answer even if the chat was suppressed in the meantime.
Weakness: an entry made at the same moment may come too late for the message, which is then sent.
"""

from heliograph.domain.errors import Invalid, invalid
from heliograph.domain.jobs.ids import JobId
from heliograph.domain.jobs.job import NewJob
from heliograph.domain.jobs.states import Priority
from heliograph.domain.timestamps import iso
from heliograph.store.accounts.audit import record_audit
from heliograph.store.database import named
from heliograph.store.database.unit import Unit, query_one

SUPPRESSED = "suppressed"


def may_be_unwanted(job: NewJob) -> bool:
    """Tells whether the list must be read before this job is queued; broadcasts and schedules read it themselves."""
    return job.priority is Priority.BULK and job.broadcast_no is None and job.schedule_no is None


def refusal(job: NewJob) -> Unit[Invalid | None]:
    found = yield from query_one(named.suppression_by_chat(org_no=job.org_no, chat_id=job.chat_id))
    if found is None:
        return None
    if job.idempotency is not None:
        known = yield from query_one(named.idempotency_find(org_no=job.org_no, key=job.idempotency.key))
        if known is not None:
            return None
    why = f"{found['reason']}, by {found['actor']}" if found["reason"] else f"by {found['actor']}"
    text = (
        f"chat_id is on the suppression list since {iso(found['created_at'])} ({why}): no bulk message is sent to it."
        " Give another priority if this person waits for the message, or take the chat off the list"
    )
    refused = invalid("chat_id", text, job.chat_id)
    refused.extra["reason"] = SUPPRESSED  # tells it from a mistake in the request
    return refused


def unsuppress(org_no: int, chat_id: str, actor: str, act_no: JobId, now_us: int) -> Unit[bool]:
    """Removes a chat from the list, with its audit entry; False: it was not there."""
    if (yield from query_one(named.suppression_delete(org_no=org_no, chat_id=chat_id))) is None:
        return False
    yield from record_audit(org_no, None, "unsuppress", f"chat:{chat_id}", "", actor, act_no, now_us)
    return True
