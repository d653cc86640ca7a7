"""Paced phones on the real store and the simulated network under a virtual clock: `python -m tests.sender.paced_day`.

Prints how many rules were broken and how much of the allowed pace was used while there was work, counted from the
moment a message is accepted. As in a gateway, accepting it wakes the phone's sender.

The store's units run in the event loop's own thread: the same statements, transactions and file, without the hand-over
to a writer thread, which takes most of the time under a virtual clock. With the folder of temporary files in memory
(`TMPDIR=/dev/shm`) nothing waits for a disk either. A phone whose chats may not be written to now is looked at once a
second instead of ten times, which can only make its pace worse.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

from heliograph.domain.accounts.phone import PhonePatch, PhoneRow
from heliograph.domain.jobs.states import State
from heliograph.domain.pacing.next_start import PRESETS, Policy, parse_policy, policy_text
from heliograph.sender import send_loop
from heliograph.store.database.database import Database

# private: the writer's own steps, which this clock runs without the writer's thread
from heliograph.store.database.sqlite import SqliteDatabase, _commit, _migrate, _settle, _Work, connect
from heliograph.store.database.unit import Unit
from tests.domain.pacing.phone_simulation import Sent, check
from tests.kit.clocks import SECOND_US, VirtualClock
from tests.kit.database import Location
from tests.sender.senders import Senders, open_senders

P = ParamSpec("P")
T = TypeVar("T")
GAP_S = 3.5  # the middle of linked-warm: drawn gaps are not written down, so the checker needs one that is known


class OneThread(SqliteDatabase):
    """A SQLite driver without threads: each unit runs in its caller, as one transaction."""

    def __init__(self, path: str, monotonic: Callable[[], float]) -> None:
        super().__init__(path, lambda _seconds, _units: None, monotonic, lock=False)
        self._connection = connect(path)

    async def open(self, *, migrate: bool = True) -> None:
        _migrate(self._connection, migrate, self._path)

    async def close(self) -> None:
        self._connection.close()

    async def write(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        _settle(_commit(self._connection, [_Work(partial(unit, *args, **kwargs), loop, future)]))
        return await future

    async def write_within(
        self, _seconds: float, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self.write(unit, *args, **kwargs)

    async def read(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.write(unit, *args, **kwargs)


def policies() -> list[Policy]:
    """Returns one policy for each of five phones."""
    warm = replace(PRESETS["linked-warm"], name="own", gap_min_s=GAP_S, gap_max_s=GAP_S)
    fresh = replace(PRESETS["linked-new"], name="own", gap_min_s=GAP_S, gap_max_s=GAP_S)
    slow = replace(warm, per_hour=30, chat_gap_s=60.0)
    return [warm, fresh, slow, warm, fresh]


def one_thread(location: Location, clock: VirtualClock) -> Database:
    return OneThread(str(location), clock.monotonic)


async def day(hours: float) -> None:
    send_loop.RECHECK_S = 1.0
    with tempfile.TemporaryDirectory() as folder:
        async with open_senders(
            Path(folder) / "h.db", Path(folder) / "journal.db", phones=5, make=one_thread
        ) as senders:
            chosen = policies()
            for phone, policy in zip(senders.phones, chosen, strict=True):
                await senders.stores.phones.update_phone(
                    phone.org_no, phone.phone_no, PhonePatch(pacing=policy_text(policy))
                )
            member = await senders.join(lease_s=60.0, changes={"policy": lambda row: parse_policy(row.pacing)})
            dice = random.Random(3)
            began_us = senders.clock.now_us()
            for hour in range(round(hours)):
                for n, phone in enumerate(senders.phones):
                    busy = (30, 15, 20, 120, 60)[n] * (3 if hour % 24 in (9, 10, 17) else 1)
                    for _ in range(busy):
                        chat = (
                            f"49151{n}{dice.randrange(60):06d}"
                            if dice.random() < 0.8
                            else f"4916{dice.randrange(10**8):08d}"
                        )
                        await senders.put(chat, phone=phone)
                        member.sender.phones((phone.phone_no,))
                await senders.clock.forward(3_600)
                if hour % 6 == 5 or hour + 1 == round(hours):
                    print(f"after {hour + 1} hours:", flush=True)
                    for phone, policy in zip(senders.phones, chosen, strict=True):
                        await report(senders, phone, policy, began_us)


async def report(senders: Senders, phone: PhoneRow, policy: Policy, began_us: int) -> None:
    jobs = [
        job
        for job in await senders.stores.jobs.jobs(phone.org_no, phone.phone_no, limit=100_000)
        if job.state is State.SENT and job.started_at_us is not None and job.sent_at_us is not None
    ]
    jobs.sort(key=lambda job: job.started_at_us or 0)
    seen: set[str] = set()
    sent = []
    for job in jobs:
        at, done = ((job.started_at_us or 0) - began_us) / SECOND_US, ((job.sent_at_us or 0) - began_us) / SECOND_US
        is_new = job.chat_id not in seen
        # a chat that waits for the limit of new chats, or behind an earlier message of its own, has its own reason
        since = (job.queued_at_us - began_us) / SECOND_US
        sent.append(Sent(at, done, GAP_S, job.chat_id, is_new, since))
        seen.add(job.chat_id)
    row = await senders.stores.phones.phone_row(phone.org_no, phone.phone_no)
    assert row is not None
    connected = ((row.first_connected_at_us or began_us) - began_us) / SECOND_US
    broken, lost = check(policy, sent, connected)
    print(
        f"phone {phone.phone_no}: {len(sent)} sent, {len(broken)} violations,"
        f" {100 * (1 - lost):.2f} % of the allowed pace {broken[:2] if broken else ''}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24)
    began = time.process_time()
    asyncio.run(day(parser.parse_args().hours))
    print(f"{time.process_time() - began:.0f} s of processor time")


if __name__ == "__main__":
    main()
