"""The files of messages that were given by URL, and which files are still needed.

Promise: the first fetch that is stored counts for all attempts. A file that an old message may still send is listed,
so that waiting messages keep their own files and no others.
"""

from collections.abc import Iterable, Set

from heliograph.domain.jobs.ids import JobIds
from heliograph.domain.jobs.job import OutgoingJob
from heliograph.domain.messages.content import Content, encode_content
from heliograph.store.database import named
from heliograph.store.database.rows import readable
from heliograph.store.database.sql_store import SqlStore, write_by
from heliograph.store.database.unit import Unit, query, query_one

STEP = 500


def set_file(job: OutgoingJob, content: Content) -> Unit[bool]:
    row = yield from query_one(
        named.job_set_media(
            org_no=job.org_no,
            job_id=job.job_id,
            content=encode_content(content),
            before=encode_content(job.content),
        )
    )
    return row is not None


def _hashes(contents: Iterable[str | None]) -> set[str]:
    found = [readable(content) for content in contents if content is not None]
    return {c.media.sha256 for c in found if c.media is not None and c.media.sha256}


class SqlMediaFileStore(SqlStore):
    """Reads and stores the media files of jobs."""

    set_file = write_by(set_file)  # False: it was stored before

    async def needed(self, before_us: int) -> Set[str]:
        """Lists the files that something older than this may still send, read in small steps."""
        below = JobIds(lambda: before_us).make()
        unsent = await self.database.read(query, named.contents_unsent(before=before_us))
        hashes = _hashes(row["content"] for row in unsent)
        for org in await self.database.read(query, named.orgs_all()):
            above, more = 0, True
            while more:
                page = named.jobs_content_page(org_no=org["org_no"], above=above, below=below, limit=STEP)
                rows = await self.database.read(query, page)
                hashes |= _hashes(row["content"] for row in rows)
                more = len(rows) == STEP
                above = rows[-1]["job_id"] if rows else above
        return hashes
