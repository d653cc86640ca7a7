"""Which file a message holds, when it was given by url; and which files are still needed.

Promise: the first fetch that is written down stands for all attempts. A file that an old message may still send is
named, so that what waits keeps its own files and no others.
"""

from collections.abc import Iterable, Set
from typing import Any

from heliograph.domain.jobs.ids import JobIds
from heliograph.domain.jobs.job import OutgoingJob
from heliograph.domain.messages.content import Content, encode_content
from heliograph.store.database.database import Database
from heliograph.store.database.rows import readable
from heliograph.store.database.unit import Unit, query, query_one

STEP = 500


def fix(job: OutgoingJob, content: Content) -> Unit[bool]:
    row = yield from query_one(
        "job_media_fix",
        org_no=job.org_no,
        job_id=job.job_id,
        content=encode_content(content),
        before=encode_content(job.content),
    )
    return row is not None


def _named(rows: Iterable[Any]) -> set[str]:
    contents = [readable(row["content"]) for row in rows if row["content"] is not None]
    return {c.media.sha256 for c in contents if c.media is not None and c.media.sha256}


class FileStore:
    def __init__(self, shell: Database) -> None:
        self._shell = shell

    async def needed(self, before_us: int) -> Set[str]:
        """Names of the files that something older than this may still send. In small steps: much may wait."""
        below = JobIds(lambda: before_us).make()
        named = _named(await self._shell.read(lambda: query("contents_to_come", before=before_us)))
        for org in await self._shell.read(lambda: query("orgs_all")):
            which = {"org_no": org["org_no"], "below": below, "limit": STEP}
            above, more = 0, True
            while more:
                rows = await self._shell.read(lambda: query("files_page", above=above, **which))  # noqa: B023
                named |= _named(rows)
                more = len(rows) == STEP
                above = rows[-1]["job_id"] if rows else above
        return named

    async def fix(self, job: OutgoingJob, content: Content) -> bool:
        """False: it was fixed before."""
        return await self._shell.write(lambda: fix(job, content))
