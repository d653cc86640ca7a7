"""One attempt: builds the provider's request, with the same id and bytes each time."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from heliograph.domain.errors import Unavailable
from heliograph.domain.jobs.ids import JobId, bare_message_id, parse_job_id, queue_id, unique_id
from heliograph.domain.jobs.job import OutgoingJob
from heliograph.domain.jobs.outcome import NotSent, Outcome
from heliograph.domain.messages.content import Content
from heliograph.ports.logger import Logger
from heliograph.ports.provider import SendRequest
from heliograph.ports.stores.sender_store import Settlement
from heliograph.sender.owned_phone import OwnedPhone

# gives the content as it is to be sent and its file; or an outcome that ends the attempt before it touched the network
Prepare = Callable[[OutgoingJob], Awaitable[tuple[Content, Path | None] | Outcome]]
# the id that the network gave to a message of the organisation; None: it gave none of its own
NetworkId = Callable[[int, JobId], Awaitable[str | None]]


class SendAttempt:
    def __init__(self, prepare: Prepare, network_id: NetworkId) -> None:
        self._prepare = prepare
        self._network_id = network_id

    async def make(self, owned: OwnedPhone, job: OutgoingJob, *, ours: Callable[[], bool]) -> Outcome | None:
        """Makes the attempt; None: not tried, because this process does not own the phone any more."""
        content, path = job.content, None
        if content.media is not None:
            ready = await self._prepare(job)
            if not isinstance(ready, tuple):
                return ready
            content, path = ready
        try:
            quoted_id = await self._quoted(owned.row.org_no, content.reply_to)
        except Unavailable as problem:  # nothing was tried yet
            return NotSent("store_away", f"Not sent: {problem.message}")
        if not ours():
            return None
        return await owned.provider.send(
            SendRequest(
                phone=owned.phone,
                job_id=job.job_id,
                unique_id=unique_id(job.job_id),
                chat_id=job.chat_id,
                content=content,
                attempt=job.attempts,
                media_path=path,
                quoted_id=quoted_id,
                typing_s=owned.policy.typing_s(len(content.body)) if owned.provider.capabilities.typing else 0.0,
            )
        )

    async def _quoted(self, org_no: int, reply_to: str | None) -> str | None:
        """Translates an id of ours into WhatsApp's id of the message, which some providers choose themselves."""
        if not reply_to:
            return None
        ours = parse_job_id(reply_to)
        if ours is None:
            return bare_message_id(reply_to)
        return await self._network_id(org_no, ours) or unique_id(ours)


class LoggedAttempt:
    """Attempt with a debug log line before and after it."""

    def __init__(self, attempt: SendAttempt, log: Logger) -> None:
        self._attempt = attempt
        self._log = log

    async def make(self, owned: OwnedPhone, job: OutgoingJob, *, ours: Callable[[], bool]) -> Outcome | None:
        fields = {"queue_id": queue_id(job.job_id), "phone": owned.row.phone_id, "attempt": job.attempts}
        self._log.debug("attempt_started", chat_id=job.chat_id, kind=job.content.type.value, **fields)
        outcome = await self._attempt.make(owned, job, ours=ours)
        how = "not_made" if outcome is None else type(outcome).__name__.lower()
        self._log.debug("attempt_ended", outcome=how, code=getattr(outcome, "code", None), **fields)
        return outcome


class EndedAttempt(msgspec.Struct, frozen=True):
    """Ended attempt with its settlement. `outcome` None: it was not made."""

    owned: OwnedPhone
    settlement: Settlement
    outcome: Outcome | None
    seconds: float
