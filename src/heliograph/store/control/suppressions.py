"""A single message in the bulk lane to a chat on the suppression list is refused; `normal` and `urgent` ones go.

Whoever marks a message as bulk says that nobody waits for it; a one-time code or an answer to a question was asked for.
Promise: what an Idempotency-Key stands for already is answered as before, though the chat was entered since.
Weakness: an entry made in the same moment may come too late for the message; then it is sent.
"""

from heliograph.domain.errors import Invalid, invalid
from heliograph.domain.jobs.job import NewJob
from heliograph.domain.jobs.states import Priority
from heliograph.domain.timestamps import iso
from heliograph.store.database.unit import Unit, query_one

SUPPRESSED = "suppressed"


def may_be_unwanted(job: NewJob) -> bool:
    """Of these alone the list is looked at before they are queued: broadcasts and schedules look at it themselves."""
    return job.priority is Priority.BULK and job.broadcast_no is None and job.schedule_no is None


def refusal(job: NewJob) -> Unit[Invalid | None]:
    found = yield from query_one("suppressed", org_no=job.org_no, chat_id=job.chat_id)
    if found is None:
        return None
    if job.idempotency is not None:
        known = yield from query_one("idempotency_find", org_no=job.org_no, key=job.idempotency.key)
        if known is not None:
            return None
    why = f"{found['reason']}, by {found['actor']}" if found["reason"] else f"by {found['actor']}"
    text = (
        f"chat_id is on the suppression list since {iso(found['created_at'])} ({why}): no bulk message is sent to it."
        " Give another priority if this person waits for the message, or take the chat off the list"
    )
    refused = invalid("chat_id", text, job.chat_id)
    refused.extra["reason"] = SUPPRESSED  # by which a program tells it from what is wrong with the request
    return refused
