"""Which file a message holds, when it was given by url.

Promise: the first fetch that is written down stands for all attempts.
"""

from heliograph.domain.content import Content, encode_content
from heliograph.domain.job import Job
from heliograph.store.store import Shell
from heliograph.store.unit import Unit, one


def fix(job: Job, content: Content) -> Unit[bool]:
    row = yield from one(
        "job_media_fix",
        org_no=job.org_no,
        job_id=job.job_id,
        content=encode_content(content),
        before=encode_content(job.content),
    )
    return row is not None


class FileStore:
    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def fix(self, job: Job, content: Content) -> bool:
        """False: it was fixed before."""
        return await self._shell.write(lambda: fix(job, content))
