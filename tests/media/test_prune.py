"""Old files go; those that a message to come still needs stay."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from heliograph.app.database import open_store
from heliograph.domain.jobs.ids import JobIds, new_phone_id
from heliograph.domain.jobs.job import Enqueued, NewJob, NewPhone
from heliograph.domain.messages.content import Content, Kind, Media
from heliograph.domain.schedules.schedule import Schedule
from heliograph.media.folder import MediaFolder
from heliograph.media.prune import DAY_US, prune_media
from heliograph.settings import Settings
from heliograph.store.control_store import ControlStoreUnits
from heliograph.store.media_file_store import FileStore
from tests.kit.store import REFUSED, Desk, HandClock, open_desk

NOW_US = 1_790_000_000_000_000


@dataclass
class Fixed:
    at_us: int = NOW_US

    def now_us(self) -> int:
        return self.at_us

    def monotonic(self) -> float:
        return self.at_us / 1e6

    async def sleep(self, seconds: float) -> None: ...


def keep(folder: MediaFolder, text: bytes, *, days_old: float) -> str:
    incoming = folder.incoming()
    incoming.write(text)
    name = incoming.keep().sha256
    at_s = NOW_US / 1e6 - days_old * 86_400
    os.utime(folder.path(name), (at_s, at_s))
    return name


async def test_a_file_past_its_time_goes_unless_a_message_that_waits_may_need_it(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "media")
    async with open_store(Settings(database_url=f"sqlite:///{tmp_path / 'h.db'}")) as store:
        org = await store.create_org("files")
        phone, _ = await store.create_phone(NewPhone(org.org_no, new_phone_id(), "919876543210", "simulator"))
        old, waiting, young = (
            keep(folder, b"old", days_old=90),
            keep(folder, b"waiting", days_old=50),
            keep(folder, b"young", days_old=2),
        )
        made = JobIds(lambda: NOW_US - 50 * DAY_US).make()
        content = Content(Kind.DOCUMENT, media=Media("text/plain", "a.txt", 7, waiting))
        job = NewJob(made, org.org_no, phone.phone_no, "447700900123@c.us", content)
        assert isinstance(await store.enqueue(job), Enqueued)
        needed = FileStore(store.shell).needed
        assert await prune_media(folder, needed, Fixed(), days=30) == 1
        there = [folder.path(name).exists() for name in (old, waiting, young)]
        assert there == [False, True, True]
        await store.purge(org.org_no, phone.phone_no)
        assert await prune_media(folder, needed, Fixed(), days=30) == 1
        assert [folder.path(name).exists() for name in (waiting, young)] == [False, True]


@asynccontextmanager
async def desk_of(tmp_path: Path, *, days_ago: int) -> AsyncIterator[Desk]:
    """A store whose clock stands so far back."""
    clock = HandClock()
    clock.us = NOW_US - days_ago * DAY_US
    desk = await open_desk(tmp_path / "h.db", clock)
    yield desk
    await desk.store.shell.close()


async def test_a_file_stays_for_an_old_message_that_was_put_back_behind_younger_ones(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "media")
    async with desk_of(tmp_path, days_ago=29) as desk:
        file = keep(folder, b"put back", days_old=29)
        old = await desk.put(content=Content(Kind.DOCUMENT, media=Media("text/plain", "a.txt", 8, file)))
        await desk.send(REFUSED)
        desk.clock.us = NOW_US
        await desk.put()
        assert (
            await ControlStoreUnits(desk.store.shell, desk.clock, desk.ids).retry_now(desk.org_no, [old], "Asha") == {}
        )
        needed = FileStore(desk.store.shell).needed
        assert await prune_media(folder, needed, Fixed(NOW_US + 3 * DAY_US), days=30) == 0
        await desk.send()
        assert await desk.send() == old
        assert await prune_media(folder, needed, Fixed(NOW_US + 3 * DAY_US), days=30) == 1


async def test_what_nobody_can_settle_any_more_keeps_its_own_file_and_no_other(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "media")
    async with desk_of(tmp_path, days_ago=400) as desk:
        own, other = keep(folder, b"own", days_old=400), keep(folder, b"other", days_old=390)
        await desk.put(content=Content(Kind.DOCUMENT, media=Media("text/plain", "a.txt", 3, own)))
        await desk.start()
        await desk.store.delete_phone(desk.org_no, desk.phone_no, "Asha")
        assert await prune_media(folder, FileStore(desk.store.shell).needed, Fixed(), days=30) == 1
        assert [folder.path(name).exists() for name in (own, other)] == [True, False]


async def test_the_file_of_a_schedule_that_ran_for_the_last_time_stays_for_its_message(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "media")
    async with desk_of(tmp_path, days_ago=60) as desk:
        file = keep(folder, b"later", days_old=60)
        steering = ControlStoreUnits(desk.store.shell, desk.clock, desk.ids)
        content = Content(Kind.DOCUMENT, media=Media("text/plain", "a.txt", 5, file))
        at_us = NOW_US - DAY_US
        await steering.schedule(Schedule(desk.org_no, desk.ids.make(), desk.phone_no, "a@c.us", content, at_us))
        desk.clock.us = at_us
        await steering.run_schedules()
        needed = FileStore(desk.store.shell).needed
        assert await prune_media(folder, needed, Fixed(), days=30) == 0
        await desk.send()
        assert await prune_media(folder, needed, Fixed(NOW_US + 32 * DAY_US), days=30) == 1


async def test_a_message_that_cannot_be_read_keeps_no_file_and_does_not_end_the_pruning(tmp_path: Path) -> None:
    folder = MediaFolder(tmp_path / "media")
    async with desk_of(tmp_path, days_ago=60) as desk:
        files = [keep(folder, text, days_old=60) for text in (b"torn", b"whole")]
        for file in files:
            await desk.put(content=Content(Kind.DOCUMENT, media=Media("text/plain", "a.txt", 5, file)))
        first = "(SELECT min(job_id) FROM jobs)"
        await desk.change(f"UPDATE jobs SET content = substr(content, 1, length(content) - 1) WHERE job_id = {first}")
        assert await prune_media(folder, FileStore(desk.store.shell).needed, Fixed(), days=30) == 1
        assert [folder.path(file).exists() for file in files] == [False, True]
