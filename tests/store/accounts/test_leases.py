"""Tests of leases: tokens rise, and no write by a former owner is accepted."""

import asyncio

import pytest

from heliograph.domain.jobs.states import State
from heliograph.ports.stores.lease_store import LeaseRow
from heliograph.ports.stores.sender_store import StartRequest
from heliograph.store.stores import Stores
from tests.kit.database import make_database
from tests.kit.phone_queue import SENT, PhoneQueue, retry


async def test_a_token_rises_with_each_owner(queue: PhoneQueue) -> None:
    tokens = [queue.token]
    for owner in ("sender-b", "sender-c", "sender-a"):
        tokens.append((await queue.take_over(owner)).token)
    assert tokens == [1, 2, 3, 4]


async def test_a_lease_that_changed_since_it_was_seen_is_not_taken(queue: PhoneQueue) -> None:
    fleet = await queue.stores.leases.heartbeat("sender-b", first=True)
    (seen,) = fleet.leases
    assert len(await queue.stores.leases.claim_leases("sender-b", [seen])) == 1
    assert await queue.stores.leases.claim_leases("sender-c", [seen]) == []


async def test_of_two_concurrent_claims_of_a_phone_one_succeeds(queue: PhoneQueue) -> None:
    fleet = await queue.stores.leases.heartbeat("sender-b", first=True)
    taken = await asyncio.gather(*(queue.stores.leases.claim_leases(f"sender-{n}", fleet.leases) for n in range(8)))
    assert sorted(len(leases) for leases in taken) == [0] * 7 + [1]


async def test_a_phone_that_is_given_up_is_free_under_the_same_token(queue: PhoneQueue) -> None:
    await queue.stores.leases.release_leases(queue.owner, [LeaseRow(queue.org_no, queue.phone_no, None, queue.token)])
    fleet = await queue.stores.leases.heartbeat("sender-b", first=True)
    assert [(one.owner, one.token) for one in fleet.leases] == [(None, queue.token)]


async def test_only_its_owner_gives_a_phone_up(queue: PhoneQueue) -> None:
    mine = LeaseRow(queue.org_no, queue.phone_no, None, queue.token)
    await queue.stores.leases.release_leases("sender-b", [mine])
    await queue.take_over()
    await queue.stores.leases.release_leases(queue.owner, [mine])
    fleet = await queue.stores.leases.heartbeat("sender-b")
    assert [one.owner for one in fleet.leases] == ["sender-b"]


async def test_a_sender_that_was_declared_dead_learns_of_it(queue: PhoneQueue) -> None:
    assert (await queue.stores.leases.heartbeat(queue.owner)).alive
    await queue.stores.leases.remove_sender(queue.owner)
    assert not (await queue.stores.leases.heartbeat(queue.owner)).alive
    assert (await queue.stores.leases.heartbeat(queue.owner, first=True)).alive


async def test_each_heartbeat_is_seen_by_all_senders(queue: PhoneQueue) -> None:
    before = (await queue.stores.leases.heartbeat("sender-b", first=True)).beats
    after = (await queue.stores.leases.heartbeat(queue.owner)).beats
    assert after[queue.owner] == before[queue.owner] + 1
    assert after["sender-b"] == before["sender-b"]


async def test_a_former_owner_can_start_nothing(queue: PhoneQueue) -> None:
    job_id = await queue.put()
    old = queue.token
    await queue.take_over()
    refused = await queue.try_start(token=old)
    assert (refused.started, refused.lost) == ([], frozenset({(queue.phone_no, old)}))
    assert (await queue.get(job_id)).state is State.QUEUED


async def test_a_former_owner_can_settle_nothing(queue: PhoneQueue) -> None:
    job_id = await queue.put()
    (one,) = await queue.start()
    old = queue.token
    await queue.take_over()
    refused = await queue.try_settle(one, SENT, token=old)
    assert (refused.settled, refused.lost) == ([False], frozenset({(queue.phone_no, old)}))
    assert (await queue.get(job_id)).state is State.SENDING
    await queue.settle(one, retry())  # the new owner settles what the old one started


async def test_a_former_owner_can_raise_no_ack_level(queue: PhoneQueue) -> None:
    await queue.put()
    job_id = await queue.send_next()
    old = queue.token
    await queue.take_over()
    applied = await queue.receipt(job_id, 3, token=old)
    assert (applied.changed, applied.lost) == ([], frozenset({queue.phone_no}))
    assert (await queue.get(job_id)).ack == 1


async def test_a_former_owner_can_set_no_state_and_hold_no_phone(queue: PhoneQueue) -> None:
    old = queue.token
    await queue.take_over()
    stores, where = queue.stores, (queue.org_no, queue.phone_no)
    assert not await stores.sender.set_phone_state(*where, old, state="logged_out", detail="")
    assert not await stores.sender.throttle_phone(*where, old, until_us=9, new_chats_only=False, reason="x")
    row = await stores.phones.phone_row(*where)
    assert row is not None
    assert (row.state, row.hold_until_us) == ("connecting", None)
    assert await stores.sender.set_phone_state(*where, queue.token, state="connected", detail="")


async def test_a_lost_phone_stops_no_other_in_the_same_transaction(queue: PhoneQueue) -> None:
    other = await queue.add_phone("918888888888")
    theirs = await other.put()
    await queue.put()
    old = queue.token
    await queue.take_over()
    requests = [StartRequest(queue.phone_no, queue.org_no, old), other.start_request()]
    done = await queue.stores.sender.settle_and_start([], requests)
    assert [one.job.job_id for one in done.started] == [theirs]
    assert done.lost == frozenset({(queue.phone_no, old)})


async def test_interrupted_attempts_of_a_former_owner_are_found_with_their_token(queue: PhoneQueue) -> None:
    started = []
    for chat in "ab":
        await queue.put(chat)
        started += await queue.start()
        await queue.take_over(f"sender-{chat}")
    found = await queue.stores.sender.interrupted_jobs(queue.org_no, queue.phone_no, queue.token)
    assert sorted((job.job_id, token) for job, token in found) == [(one.job.job_id, one.token) for one in started]
    assert await queue.stores.sender.interrupted_jobs(queue.org_no, queue.phone_no, 0) == []


async def test_an_owner_with_an_open_transaction_starts_nothing_after_its_successor_claimed(queue: PhoneQueue) -> None:
    """An EXISTS is no fence: the fence must be a lock that the successor waits for."""
    if queue.is_sqlite:
        pytest.skip("one writer: its transactions never overlap")
    database = make_database(queue.location, queue.clock)
    await database.open()
    rival = Stores(database, queue.clock, queue.ids)
    try:
        for round_no in range(20):
            await queue.put(f"chat{round_no}")
            old = queue.token
            fleet = await queue.stores.leases.heartbeat("sender-b", first=True)
            _, leases = await asyncio.gather(
                queue.try_start(5, token=old), rival.leases.claim_leases("sender-b", fleet.leases)
            )
            if not leases:
                continue
            (queue.lease,) = leases
            left = {
                job.job_id for job, _ in await rival.sender.interrupted_jobs(queue.org_no, queue.phone_no, queue.token)
            }
            await asyncio.gather(*(queue.try_start(5, token=old) for _ in range(2)))
            sending = await queue.rows("SELECT job_id FROM jobs WHERE state = 'sending'")
            assert {row["job_id"] for row in sending} == left
    finally:
        await database.close()


async def test_versions_show_what_a_person_changed_and_leave_deleted_phones_out(queue: PhoneQueue) -> None:
    other = await queue.add_phone("918888888888")
    known = [(queue.org_no, queue.phone_no), (other.org_no, other.phone_no)]
    before = await queue.stores.sender.phone_versions(known)
    await queue.stores.phones.request_restart(queue.org_no, queue.phone_no)
    await queue.stores.phones.delete_phone(other.org_no, other.phone_no, "api")
    after = await queue.stores.sender.phone_versions(known)
    assert set(after) == {queue.phone_no}
    assert after[queue.phone_no][0] > before[queue.phone_no][0]
    assert after[queue.phone_no][1] == before[queue.phone_no][1] + 1
