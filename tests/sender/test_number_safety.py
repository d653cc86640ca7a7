"""Tests of pacing, quiet hours, the failure breaker, opt-out and approval on a real store under a virtual clock."""

from dataclasses import replace
from typing import Any

import pytest

from heliograph.domain.accounts.phone import PhonePatch
from heliograph.domain.jobs.states import State
from heliograph.domain.pacing.next_start import PRESETS, Policy, parse_policy, policy_text
from heliograph.domain.pacing.policy import QuietHours
from heliograph.domain.timestamps import iso
from heliograph.simulator.faults import Faults
from tests.domain.pacing.phone_simulation import Sent, check
from tests.sender.senders import Senders

S = 1_000_000


async def join(senders: Senders, policy: Policy | str, **more: Any) -> Any:
    text = policy if isinstance(policy, str) else policy_text(policy)
    await senders.stores.phones.update_phone(senders.phone.org_no, senders.phone.phone_no, PhonePatch(pacing=text))

    async def hold(org_no: int, phone_no: int, why: str) -> None:
        await senders.stores.control.pause_phone(org_no, phone_no, "gateway", why)

    changes = {"policy": lambda row: parse_policy(row.pacing), "hold": hold} | more
    return await senders.join(changes=changes)


async def starts(senders: Senders) -> list[tuple[float, str]]:
    """(seconds, chat) of each start, from the history."""
    found = []
    for job in reversed(await senders.stores.jobs.jobs(senders.phone.org_no, None)):
        for event in await senders.stores.jobs.history(senders.phone.org_no, job.job_id):
            if event.kind == "started":
                found.append((event.at_us / S, job.chat_id))
    return sorted(found)


async def test_the_gap_and_the_hourly_limit_are_kept_also_by_the_next_owner(senders: Senders) -> None:
    policy = Policy(gap_min_s=2, gap_max_s=4, per_minute=6, chat_gap_s=10, max_in_flight=1)
    first = await join(senders, policy)
    for n in range(30):
        await senders.put(f"4915112345{n % 7:02d}")
    await senders.clock.forward(100)
    await senders.crash(first)
    await join(senders, policy)
    await senders.until_settled(limit_s=3_600)
    times = await starts(senders)
    assert len(times) == 30
    for n, (at, chat) in enumerate(times):
        assert sum(at - 60 < other <= at for other, _ in times) <= 6
        if n:
            assert at - times[n - 1][0] >= 2
        earlier = [other for other, name in times[:n] if name == chat]
        assert not earlier or at - earlier[-1] >= 10


async def test_at_night_a_message_waits_and_others_go(senders: Senders) -> None:
    at = iso(senders.clock.now_us())
    minute = int(at[11:13]) * 60 + int(at[14:16])
    # the clocks of Iceland show UTC all year
    await join(senders, Policy(quiet=QuietHours(minute, (minute + 5) % 1440)))
    night = await senders.put("3546112345")
    day = await senders.put("918012345678")
    await senders.until_state(day, State.SENT)
    assert (await senders.get(night)).state is State.QUEUED
    found = await senders.stores.jobs.explain(await senders.get(night))
    assert "quiet_hours" in [blocker.code for blocker in found.blockers]
    await senders.until_state(night, State.SENT, limit_s=400)


async def test_a_phone_whose_messages_keep_failing_pauses_itself(senders: Senders) -> None:
    await join(senders, Policy(per_second=50))
    for _ in range(12):
        await senders.put("40")
    await senders.clock.until(_paused(senders), limit_s=120)
    row = await senders.stores.phones.phone_row(senders.phone.org_no, senders.phone.phone_no)
    assert row is not None and row.paused_by == "gateway"
    held = [job for job in await senders.stores.jobs.jobs(senders.phone.org_no, None) if job.state is State.QUEUED]
    assert held  # ten failed; one may have started with the settling of the tenth
    (act,) = await senders.stores.control.audit_log(senders.phone.org_no)
    assert (act.actor, act.act) == ("gateway", "pause") and "failed" in act.detail


def _paused(senders: Senders) -> Any:
    async def paused() -> bool:
        row = await senders.stores.phones.phone_row(senders.phone.org_no, senders.phone.phone_no)
        return row is not None and row.paused_at_us is not None

    return paused


async def test_the_simulator_without_pacing_may_fail_as_often_as_it_likes(senders: Senders) -> None:
    await join(senders, "none")
    for _ in range(30):
        await senders.put("40")
    await senders.until_settled()
    row = await senders.stores.phones.phone_row(senders.phone.org_no, senders.phone.phone_no)
    assert row is not None and row.paused_at_us is None


async def test_who_writes_stop_is_suppressed_from_then_on(senders: Senders) -> None:
    await join(senders, "none")
    await senders.put("06")  # answers STOP

    async def suppressed() -> bool:
        return bool(await senders.stores.control.suppressions(senders.phone.org_no))

    await senders.clock.until(suppressed)
    (row,) = await senders.stores.control.suppressions(senders.phone.org_no)
    assert (row.chat_id, row.reason) == ("12025550106@c.us", "STOP")


async def test_new_chats_wait_for_their_limit_and_known_ones_continue(senders: Senders) -> None:
    await join(senders, Policy(new_chats_per_day=2))
    first = [await senders.put(f"49151123450{n:02d}") for n in range(3)]
    for job in first[:2]:
        await senders.until_state(job, State.SENT)
    again = await senders.put("4915112345000")
    await senders.until_state(again, State.SENT)
    assert (await senders.get(first[2])).state is State.QUEUED
    found = await senders.stores.jobs.explain(await senders.get(first[2]))
    assert "Waits: the phone opens at most 2 new chats a day" in found.sentence


@pytest.mark.parametrize(("away_s", "asks"), [(120, True), (30, False)])
async def test_after_a_long_absence_what_waits_is_held_for_approval(senders: Senders, away_s: int, asks: bool) -> None:
    member = await join(senders, "none", approve_after_s=60.0)
    first = await senders.put("00")
    await senders.until_state(first, State.SENT)
    await senders.network.set_faults(Faults(offline=True))
    waiting = await senders.put("00")
    await senders.clock.forward(away_s)
    await senders.network.set_faults(Faults())
    if asks:
        await senders.clock.until(_paused(senders), limit_s=120)
        await senders.clock.forward(30)
        assert (await senders.get(waiting)).state is State.QUEUED
        await senders.stores.control.resume_phone(senders.phone.org_no, senders.phone.phone_no, "Asha")
    await senders.until_state(waiting, State.SENT, limit_s=120)
    assert member.times_logged("phone_failed") == 0


async def test_a_mixed_load_on_the_real_store_keeps_every_rule_and_uses_its_pace(senders: Senders) -> None:
    """Runs ten minutes; `python -m tests.sender.paced_day` runs a day on five phones."""
    policy = replace(PRESETS["linked-warm"], name="own", gap_min_s=3.0, gap_max_s=3.0)
    await join(senders, policy)
    for n in range(120):
        await senders.put(f"4915112{n % 40:06d}")
    await senders.clock.forward(600)
    jobs = [job for job in await senders.stores.jobs.jobs(senders.phone.org_no, None) if job.state is State.SENT]
    jobs.sort(key=lambda job: job.started_at_us or 0)
    began = senders.clock.monotonic() - senders.clock.now_us() / S
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
