"""Whose phone is whose: tokens rise, and no write of a former owner is accepted."""

import asyncio

import pytest

from heliograph.domain.jobs.states import State
from heliograph.ports.sender_store import LeaseRow, StartRequest
from heliograph.store.job_store import Store
from tests.kit.store import SENT, Desk, another_phone, make_shell, retry


async def test_a_token_rises_with_each_owner(desk: Desk) -> None:
    tokens = [desk.token]
    for owner in ("sender-b", "sender-c", "sender-a"):
        tokens.append((await desk.take_over(owner)).token)
    assert tokens == [1, 2, 3, 4]


async def test_a_lease_that_changed_since_it_was_seen_is_not_taken(desk: Desk) -> None:
    fleet = await desk.store.heartbeat("sender-b", first=True)
    (seen,) = fleet.leases
    assert len(await desk.store.claim_leases("sender-b", [seen])) == 1
    assert await desk.store.claim_leases("sender-c", [seen]) == []


async def test_of_two_who_take_a_phone_at_once_one_gets_it(desk: Desk) -> None:
    fleet = await desk.store.heartbeat("sender-b", first=True)
    taken = await asyncio.gather(*(desk.store.claim_leases(f"sender-{n}", fleet.leases) for n in range(8)))
    assert sorted(len(leases) for leases in taken) == [0] * 7 + [1]


async def test_a_phone_that_is_given_up_is_free_under_the_same_token(desk: Desk) -> None:
    await desk.store.release(desk.me, [LeaseRow(desk.org_no, desk.phone_no, None, desk.token)])
    fleet = await desk.store.heartbeat("sender-b", first=True)
    assert [(one.owner, one.token) for one in fleet.leases] == [(None, desk.token)]


async def test_only_its_owner_gives_a_phone_up(desk: Desk) -> None:
    mine = LeaseRow(desk.org_no, desk.phone_no, None, desk.token)
    await desk.store.release("sender-b", [mine])
    await desk.take_over()
    await desk.store.release(desk.me, [mine])
    fleet = await desk.store.heartbeat("sender-b")
    assert [one.owner for one in fleet.leases] == ["sender-b"]


async def test_a_sender_that_was_declared_dead_hears_of_it(desk: Desk) -> None:
    assert (await desk.store.heartbeat(desk.me)).alive
    await desk.store.forget(desk.me)
    assert not (await desk.store.heartbeat(desk.me)).alive
    assert (await desk.store.heartbeat(desk.me, first=True)).alive


async def test_each_beat_is_seen_by_all(desk: Desk) -> None:
    before = (await desk.store.heartbeat("sender-b", first=True)).beats
    after = (await desk.store.heartbeat(desk.me)).beats
    assert after[desk.me] == before[desk.me] + 1
    assert after["sender-b"] == before["sender-b"]


async def test_a_former_owner_can_start_nothing(desk: Desk) -> None:
    job_id = await desk.put()
    old = desk.token
    await desk.take_over()
    refused = await desk.wish(token=old)
    assert (refused.started, refused.lost) == ([], frozenset({(desk.phone_no, old)}))
    assert (await desk.get(job_id)).state is State.QUEUED


async def test_a_former_owner_can_settle_nothing(desk: Desk) -> None:
    job_id = await desk.put()
    (one,) = await desk.start()
    old = desk.token
    await desk.take_over()
    refused = await desk.settle(one, SENT, token=old)
    assert (refused.settled, refused.lost) == ([False], frozenset({(desk.phone_no, old)}))
    assert (await desk.get(job_id)).state is State.SENDING
    assert (await desk.settle(one, retry())).settled == [True]  # the new owner settles what the old one started


async def test_a_former_owner_can_move_no_ladder(desk: Desk) -> None:
    await desk.put()
    job_id = await desk.send()
    old = desk.token
    await desk.take_over()
    applied = await desk.receipt(job_id, 3, token=old)
    assert (applied.changed, applied.lost) == ([], frozenset({desk.phone_no}))
    assert (await desk.get(job_id)).ack == 1


async def test_a_former_owner_can_tell_no_state_and_hold_no_phone(desk: Desk) -> None:
    old = desk.token
    await desk.take_over()
    store, where = desk.store, (desk.org_no, desk.phone_no)
    assert not await store.phone_state(*where, old, state="logged_out", detail="")
    assert not await store.hold_phone(*where, old, until_us=9, new_chats_only=False, reason="x")
    row = await store.phone_row(*where)
    assert row is not None
    assert (row.state, row.hold_until_us) == ("connecting", None)
    assert await store.phone_state(*where, desk.token, state="connected", detail="")


async def test_a_lost_phone_stops_no_other_in_the_same_transaction(desk: Desk) -> None:
    other = await another_phone(desk, "918888888888")
    theirs = await other.put()
    await desk.put()
    old = desk.token
    await desk.take_over()
    wishes = [StartRequest(desk.phone_no, desk.org_no, old), StartRequest(other.phone_no, other.org_no, other.token)]
    done = await desk.store.settle_and_start([], wishes)
    assert [one.job.job_id for one in done.started] == [theirs]
    assert done.lost == frozenset({(desk.phone_no, old)})


async def test_what_a_former_owner_left_in_the_middle_is_found_with_its_token(desk: Desk) -> None:
    started = []
    for chat in "ab":
        await desk.put(chat)
        started += await desk.start()
        await desk.take_over(f"sender-{chat}")
    found = await desk.store.interrupted_jobs(desk.org_no, desk.phone_no, desk.token)
    assert sorted((job.job_id, token) for job, token in found) == [(one.job.job_id, one.token) for one in started]
    assert await desk.store.interrupted_jobs(desk.org_no, desk.phone_no, 0) == []


async def test_an_owner_with_an_open_transaction_starts_nothing_after_its_successor_looked(desk: Desk) -> None:
    """The trap of an EXISTS for a fence: it must be a lock that the successor waits for."""
    if desk.sqlite:
        pytest.skip("one writer: its transactions never overlap")
    shell = make_shell(desk.where, desk.clock)
    await shell.open()
    rival = Store(shell, desk.clock, desk.ids)
    try:
        for round_no in range(20):
            await desk.put(f"chat{round_no}")
            old = desk.token
            fleet = await desk.store.heartbeat("sender-b", first=True)
            _, leases = await asyncio.gather(desk.wish(5, token=old), rival.claim_leases("sender-b", fleet.leases))
            if not leases:
                continue
            (desk.lease,) = leases
            left = {job.job_id for job, _ in await rival.interrupted_jobs(desk.org_no, desk.phone_no, desk.token)}
            await asyncio.gather(*(desk.wish(5, token=old) for _ in range(2)))
            sending = await desk.look("SELECT job_id FROM jobs WHERE state = 'sending'")
            assert {row["job_id"] for row in sending} == left
    finally:
        await shell.close()


async def test_versions_show_what_a_person_changed_and_leave_deleted_phones_out(desk: Desk) -> None:
    other = await another_phone(desk, "918888888888")
    known = [(desk.org_no, desk.phone_no), (other.org_no, other.phone_no)]
    before = await desk.store.phone_versions(known)
    await desk.store.request_restart(desk.org_no, desk.phone_no)
    await desk.store.delete_phone(other.org_no, other.phone_no, "api")
    after = await desk.store.phone_versions(known)
    assert set(after) == {desk.phone_no}
    assert after[desk.phone_no][0] > before[desk.phone_no][0]
    assert after[desk.phone_no][1] == before[desk.phone_no][1] + 1
