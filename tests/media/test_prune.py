"""Tests of media retention: old files are removed, except those that a waiting message needs."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from heliograph.app.database import open_stores
from heliograph.domain.jobs.ids import JobIds
from heliograph.domain.jobs.job import Enqueued, NewJob
from heliograph.domain.messages.content import Content, Kind, Media
from heliograph.domain.schedules.schedule import Schedule
from heliograph.media.folder import MediaFolder
from heliograph.media.prune import DAY_US, prune_media
from heliograph.settings import Settings
from tests.kit.clocks import ManualClock
from tests.kit.factories import create_phone
from tests.kit.phone_queue import REFUSED, PhoneQueue, open_phone_queue

NOW_US = 1_790_000_000_000_000


def keep(folder: MediaFolder, text: bytes, *, days_old: float) -> str:
    incoming = folder.incoming()
    incoming.write(text)
    name = incoming.keep().sha256
    at_s = NOW_US / 1e6 - days_old * 86_400
    os.utime(folder.path(name), (at_s, at_s))
    return name


async def test_a_file_past_its_time_goes_unless_a_message_that_waits_may_need_it(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "media")
    async with open_stores(Settings(database_url=f"sqlite:///{tmp_path / 'h.db'}")) as stores:
        org = await stores.accounts.create_org("files")
        phone = await create_phone(stores, org.org_no, "919876543210")
        old, waiting, young = (
            keep(folder, b"old", days_old=90),
            keep(folder, b"waiting", days_old=50),
            keep(folder, b"young", days_old=2),
        )
        made = JobIds(lambda: NOW_US - 50 * DAY_US).make()
        content = Content(Kind.DOCUMENT, media=Media("text/plain", "a.txt", 7, waiting))
        job = NewJob(made, org.org_no, phone.phone_no, "447700900123@c.us", content)
        assert isinstance(await stores.jobs.enqueue(job), Enqueued)
        needed = stores.files.needed
        assert await prune_media(folder, needed, ManualClock(NOW_US), days=30) == 1
        there = [folder.path(name).exists() for name in (old, waiting, young)]
        assert there == [False, True, True]
        await stores.jobs.purge(org.org_no, phone.phone_no)
        assert await prune_media(folder, needed, ManualClock(NOW_US), days=30) == 1
        assert [folder.path(name).exists() for name in (waiting, young)] == [False, True]


@asynccontextmanager
async def queue_of(tmp_path: Path, *, days_ago: int) -> AsyncIterator[PhoneQueue]:
    """Opens a queue whose clock is that many days back."""
    queue = await open_phone_queue(tmp_path / "h.db", ManualClock(NOW_US - days_ago * DAY_US))
    yield queue
    await queue.stores.database.close()


async def test_a_file_stays_for_an_old_message_that_is_retried_behind_younger_ones(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "media")
    async with queue_of(tmp_path, days_ago=29) as queue:
        file = keep(folder, b"put back", days_old=29)
        old = await queue.put(content=Content(Kind.DOCUMENT, media=Media("text/plain", "a.txt", 8, file)))
        await queue.send_next(REFUSED)
        queue.clock.us = NOW_US
        await queue.put()
        assert await queue.stores.control.retry_now(queue.org_no, [old], "Asha") == {}
        needed = queue.stores.files.needed
        assert await prune_media(folder, needed, ManualClock(NOW_US + 3 * DAY_US), days=30) == 0
        await queue.send_next()
        assert await queue.send_next() == old
        assert await prune_media(folder, needed, ManualClock(NOW_US + 3 * DAY_US), days=30) == 1


async def test_a_message_that_can_never_be_settled_keeps_only_its_own_file(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "media")
    async with queue_of(tmp_path, days_ago=400) as queue:
        own, other = keep(folder, b"own", days_old=400), keep(folder, b"other", days_old=390)
        await queue.put(content=Content(Kind.DOCUMENT, media=Media("text/plain", "a.txt", 3, own)))
        await queue.start()
        await queue.stores.phones.delete_phone(queue.org_no, queue.phone_no, "Asha")
        assert await prune_media(folder, queue.stores.files.needed, ManualClock(NOW_US), days=30) == 1
        assert [folder.path(name).exists() for name in (own, other)] == [True, False]


async def test_the_file_of_a_schedule_that_ran_for_the_last_time_stays_for_its_message(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "media")
    async with queue_of(tmp_path, days_ago=60) as queue:
        file = keep(folder, b"later", days_old=60)
        content = Content(Kind.DOCUMENT, media=Media("text/plain", "a.txt", 5, file))
        at_us = NOW_US - DAY_US
        await queue.stores.schedules.create_schedule(
            Schedule(queue.org_no, queue.ids.make(), queue.phone_no, "a@c.us", content, at_us)
        )
        queue.clock.us = at_us
        await queue.stores.schedules.run_schedules()
        needed = queue.stores.files.needed
        assert await prune_media(folder, needed, ManualClock(NOW_US), days=30) == 0
        await queue.send_next()
        assert await prune_media(folder, needed, ManualClock(NOW_US + 32 * DAY_US), days=30) == 1


async def test_a_message_that_cannot_be_read_keeps_no_file_and_does_not_end_the_pruning(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "media")
    async with queue_of(tmp_path, days_ago=60) as queue:
        files = [keep(folder, text, days_old=60) for text in (b"torn", b"whole")]
        for file in files:
            await queue.put(content=Content(Kind.DOCUMENT, media=Media("text/plain", "a.txt", 5, file)))
        first = "(SELECT min(job_id) FROM jobs)"
        await queue.execute(f"UPDATE jobs SET content = substr(content, 1, length(content) - 1) WHERE job_id = {first}")
        assert await prune_media(folder, queue.stores.files.needed, ManualClock(NOW_US), days=30) == 1
        assert [folder.path(file).exists() for file in files] == [False, True]
