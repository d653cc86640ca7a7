"""One attempt: the request as the provider gets it, always with the same id and the same bytes."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from heliograph.domain.content import Content
from heliograph.domain.ids import bare_message_id, parse_job_id, queue_id, unique_id
from heliograph.domain.job import Job
from heliograph.domain.outcome import Outcome
from heliograph.ports.provider import SendRequest
from heliograph.sender.owned import Owned

# gives the content as it is to be sent and its file; or an outcome that ends the attempt before it touched the network
Prepare = Callable[[Job], Awaitable[tuple[Content, Path | None] | Outcome]]


class Attempt:
    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare

    async def make(self, owned: Owned, job: Job) -> Outcome:
        content, path = job.content, None
        if content.media is not None:
            ready = await self._prepare(job)
            if not isinstance(ready, tuple):
                return ready
            content, path = ready
        return await owned.provider.send(
            SendRequest(
                phone=owned.phone,
                job_id=job.job_id,
                queue_id=queue_id(job.job_id),
                unique_id=unique_id(job.job_id),
                chat_id=job.chat_id,
                content=content,
                attempt=job.attempts,
                media_path=path,
                quoted_id=_quoted(content.reply_to),
            )
        )


def _quoted(reply_to: str | None) -> str | None:
    """A queue_id of ours becomes the WhatsApp id of its message."""
    if not reply_to:
        return None
    ours = parse_job_id(reply_to)
    return unique_id(ours) if ours is not None else bare_message_id(reply_to)
