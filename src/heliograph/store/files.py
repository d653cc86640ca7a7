"""Which file a message holds, when it was given by url.

Promise: the first fetch that is written down stands for all attempts.
"""

from dataclasses import dataclass

from heliograph.domain.content import Content, decode_content, encode_content
from heliograph.domain.ids import JobId, job_time_us
from heliograph.domain.job import Outgoing
from heliograph.store.store import Shell
from heliograph.store.unit import Unit, one, run


def fix(job: Outgoing, content: Content) -> Unit[bool]:
    row = yield from one(
        "job_media_fix",
        org_no=job.org_no,
        job_id=job.job_id,
        content=encode_content(content),
        before=encode_content(job.content),
    )
    return row is not None


@dataclass(frozen=True, slots=True)
class Needed:
    """Files of messages made at or after `since_us` may be needed, and those named in `sha256`, however old."""

    since_us: int
    sha256: frozenset[str]


def needed(now_us: int) -> Unit[Needed]:
    oldest = []
    for name in ("oldest_heads", "oldest_uncertain", "oldest_again"):
        row = yield from one(name)
        if row["job_id"] is not None:
            oldest.append(job_time_us(JobId(row["job_id"])))
    contents = [decode_content(row["content"]) for row in (yield from run("contents_to_come"))]
    named = frozenset(c.media.sha256 for c in contents if c.media is not None and c.media.sha256)
    return Needed(min(oldest, default=now_us), named)


class FileStore:
    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def needed(self, now_us: int) -> Needed:
        """What may not be pruned yet."""
        return await self._shell.read(lambda: needed(now_us))

    async def fix(self, job: Outgoing, content: Content) -> bool:
        """False: it was fixed before."""
        return await self._shell.write(lambda: fix(job, content))
