"""Pacing, quiet hours, the breaker, STOP and approval, on a real store under a clock of the test's own."""

from dataclasses import replace
from typing import Any

import pytest

from heliograph.domain.jobs.job import PhonePatch
from heliograph.domain.jobs.states import State
from heliograph.domain.pacing.next_start import PRESETS, Policy, parse_policy, policy_text
from heliograph.domain.pacing.policy import QuietHours
from heliograph.domain.timestamps import iso
from heliograph.simulator.faults import Faults
from heliograph.store.control_store import ControlStoreUnits
from tests.domain.pacing.phone_simulation import Sent, check
from tests.sender.setup import World

S = 1_000_000


def steering(world: World) -> ControlStoreUnits:
    return ControlStoreUnits(world.store.shell, world.clock, world.ids)


async def join(world: World, policy: Policy | str, **more: Any) -> Any:
    text = policy if isinstance(policy, str) else policy_text(policy)
    await world.store.update_phone(world.phone.org_no, world.phone.phone_no, PhonePatch(pacing=text))

    async def hold(org_no: int, phone_no: int, why: str) -> None:
        await steering(world).pause_phone(org_no, phone_no, "gateway", why)

    changes = {"policy": lambda row: parse_policy(row.pacing), "hold": hold} | more
    return await world.join(changes=changes)


async def starts(world: World) -> list[tuple[float, str]]:
    """(seconds, chat) of each start, from the history."""
    found = []
    for job in reversed(await world.store.jobs(world.phone.org_no, None)):
        for event in await world.store.history(world.phone.org_no, job.job_id):
            if event.kind == "started":
                found.append((event.at_us / S, job.chat_id))
    return sorted(found)


async def test_the_gap_and_the_hourly_limit_are_kept_also_by_the_next_owner(world: World) -> None:
    policy = Policy(gap_min_s=2, gap_max_s=4, per_minute=6, chat_gap_s=10, max_in_flight=1)
    first = await join(world, policy)
    for n in range(30):
        await world.put(f"4915112345{n % 7:02d}")
    await world.clock.forward(100)
    await world.crash(first)
    await join(world, policy)
    await world.until_settled(limit_s=3_600)
    times = await starts(world)
    assert len(times) == 30
    for n, (at, chat) in enumerate(times):
        assert sum(at - 60 < other <= at for other, _ in times) <= 6
        if n:
            assert at - times[n - 1][0] >= 2
        earlier = [other for other, name in times[:n] if name == chat]
        assert not earlier or at - earlier[-1] >= 10


async def test_at_night_a_message_waits_and_others_go(world: World) -> None:
    at = iso(world.clock.now_us())
    minute = int(at[11:13]) * 60 + int(at[14:16])
    # the clocks of Iceland show UTC all year
    await join(world, Policy(quiet=QuietHours(minute, (minute + 5) % 1440)))
    night = await world.put("3546112345")
    day = await world.put("918012345678")
    await world.until_state(day, State.SENT)
    assert (await world.get(night)).state is State.QUEUED
    found = await steering(world).explain(await world.get(night))
    assert "quiet_hours" in [blocker.code for blocker in found.blockers]
    await world.until_state(night, State.SENT, limit_s=400)


async def test_a_phone_whose_messages_keep_failing_pauses_itself(world: World) -> None:
    await join(world, Policy(per_second=50))
    for _ in range(12):
        await world.put("40")
    await world.clock.until(_paused(world), limit_s=120)
    row = await world.store.phone_row(world.phone.org_no, world.phone.phone_no)
    assert row is not None and row.paused_by == "gateway"
    held = [job for job in await world.store.jobs(world.phone.org_no, None) if job.state is State.QUEUED]
    assert held  # ten failed; one may have started with the settling of the tenth
    (act,) = await steering(world).audit_log(world.phone.org_no)
    assert (act.actor, act.act) == ("gateway", "pause") and "failed" in act.detail


def _paused(world: World) -> Any:
    async def paused() -> bool:
        row = await world.store.phone_row(world.phone.org_no, world.phone.phone_no)
        return row is not None and row.paused_at_us is not None

    return paused


async def test_the_simulator_without_pacing_may_fail_as_often_as_it_likes(world: World) -> None:
    await join(world, "none")
    for _ in range(30):
        await world.put("40")
    await world.until_settled()
    row = await world.store.phone_row(world.phone.org_no, world.phone.phone_no)
    assert row is not None and row.paused_at_us is None


async def test_who_writes_stop_is_suppressed_from_then_on(world: World) -> None:
    await join(world, "none")
    await world.put("06")  # answers STOP

    async def suppressed() -> bool:
        return bool(await steering(world).suppressions(world.phone.org_no))

    await world.clock.until(suppressed)
    (row,) = await steering(world).suppressions(world.phone.org_no)
    assert (row.chat_id, row.reason) == ("12025550106@c.us", "STOP")


async def test_new_chats_wait_for_their_limit_and_known_ones_go_on(world: World) -> None:
    await join(world, Policy(new_chats_per_day=2))
    first = [await world.put(f"49151123450{n:02d}") for n in range(3)]
    for job in first[:2]:
        await world.until_state(job, State.SENT)
    again = await world.put("4915112345000")
    await world.until_state(again, State.SENT)
    assert (await world.get(first[2])).state is State.QUEUED
    found = await steering(world).explain(await world.get(first[2]))
    assert "Waits: the phone opens at most 2 new chats a day" in found.sentence


@pytest.mark.parametrize(("away_s", "asks"), [(120, True), (30, False)])
async def test_after_a_long_absence_what_waits_is_held_for_approval(world: World, away_s: int, asks: bool) -> None:
    member = await join(world, "none", approve_after_s=60.0)
    first = await world.put("00")
    await world.until_state(first, State.SENT)
    await world.network.set_faults(Faults(offline=True))
    waiting = await world.put("00")
    await world.clock.forward(away_s)
    await world.network.set_faults(Faults())
    if asks:
        await world.clock.until(_paused(world), limit_s=120)
        await world.clock.forward(30)
        assert (await world.get(waiting)).state is State.QUEUED
        await steering(world).resume_phone(world.phone.org_no, world.phone.phone_no, "Asha")
    await world.until_state(waiting, State.SENT, limit_s=120)
    assert member.said("phone_failed") == 0


async def test_a_mixed_load_on_the_real_store_breaks_no_rule_and_wastes_no_pace(world: World) -> None:
    """Ten minutes here; the whole day on five phones is `python -m tests.sender.paced_day`."""
    policy = replace(PRESETS["linked-warm"], name="own", gap_min_s=3.0, gap_max_s=3.0)
    await join(world, policy)
    for n in range(120):
        await world.put(f"4915112{n % 40:06d}")
    await world.clock.forward(600)
    jobs = [job for job in await world.store.jobs(world.phone.org_no, None) if job.state is State.SENT]
    jobs.sort(key=lambda job: job.started_at_us or 0)
    began = world.clock.monotonic() - world.clock.now_us() / S
    seen: set[str] = set()
    sent = []
    for job in jobs:
        assert job.started_at_us is not None and job.sent_at_us is not None
        at, done = job.started_at_us / S + began, job.sent_at_us / S + began
        sent.append(
            Sent(at, done, policy.gap_min_s, job.chat_id, job.chat_id not in seen, job.queued_at_us / S + began)
        )
        seen.add(job.chat_id)
    broken, lost = check(policy, sent, connected=0.0)
    assert broken == []
    assert lost < 0.02
    assert len(sent) > 50
