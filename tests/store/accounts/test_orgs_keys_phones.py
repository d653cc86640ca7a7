"""Tests of organisations, keys and phones: each organisation sees only its own, and secrets are never stored."""

import asyncio
import hashlib

import pytest

from heliograph.clock import SystemClock
from heliograph.domain.accounts.phone import NewPhone, PhonePatch, PhoneRow
from heliograph.domain.errors import Conflict, Invalid, Unavailable
from heliograph.domain.jobs.ids import new_phone_id
from heliograph.domain.jobs.job import Idempotency
from heliograph.ports.provider import Inbound
from heliograph.ports.stores.account_store import NewPageSession
from heliograph.store.database.database import Database
from heliograph.store.stores import Stores
from tests.kit.database import make_database
from tests.kit.factories import create_phone
from tests.kit.phone_queue import PhoneQueue


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def test_a_key_is_found_by_its_digest_until_it_is_revoked(queue: PhoneQueue) -> None:
    made = await queue.stores.accounts.create_key(queue.org_no, "laptop", _digest("secret"), "hg_abc")
    found = await queue.stores.accounts.key_by_digest(_digest("secret"))
    assert found is not None
    assert (found.org_no, found.name, found.key_no) == (queue.org_no, "laptop", made.key_no)
    assert await queue.stores.accounts.key_by_digest(_digest("other")) is None
    revoked = await queue.stores.accounts.revoke_key(queue.org_no, "hg_abc")
    assert revoked is not None
    assert revoked.revoked_at_us == queue.clock.now_us()
    assert await queue.stores.accounts.key_by_digest(_digest("secret")) is None
    assert await queue.stores.accounts.revoke_key(queue.org_no, "hg_abc") is None


async def test_a_login_ends_at_its_logout_with_its_key_and_at_its_time(queue: PhoneQueue) -> None:
    key = await queue.stores.accounts.create_key(queue.org_no, "laptop", _digest("secret"), "hg_abc")
    ends_us = queue.clock.now_us() + 60_000_000
    for name, key_no in (("out", key.key_no), ("with-key", key.key_no), ("by-link", None)):
        assert await queue.stores.accounts.begin_page_session(
            NewPageSession(name, f"link {name}", queue.org_no, key_no, ends_us)
        )
        assert await queue.stores.accounts.page_session(name) == queue.org_no
    assert not await queue.stores.accounts.begin_page_session(
        NewPageSession("again", "link out", queue.org_no, None, ends_us)
    )
    assert await queue.stores.accounts.begin_page_session(
        NewPageSession("form", None, queue.org_no, key.key_no, ends_us)
    )
    assert await queue.stores.accounts.begin_page_session(
        NewPageSession("form 2", None, queue.org_no, key.key_no, ends_us)
    )
    await queue.stores.accounts.end_page_session("out")
    assert [await queue.stores.accounts.page_session(name) for name in ("out", "with-key")] == [None, queue.org_no]
    assert not await queue.stores.accounts.begin_page_session(
        NewPageSession("again", "link out", queue.org_no, None, ends_us)
    )
    await queue.stores.accounts.revoke_key(queue.org_no, "hg_abc")
    assert await queue.stores.accounts.page_session("with-key") is None
    assert await queue.stores.accounts.page_session("by-link") == queue.org_no
    queue.clock.advance(60)
    assert await queue.stores.accounts.page_session("by-link") is None


async def test_an_organisation_revokes_only_its_own_keys(queue: PhoneQueue) -> None:
    other = await queue.stores.accounts.create_org("another")
    await queue.stores.accounts.create_key(other.org_no, "theirs", _digest("theirs"), "hg_xyz")
    assert await queue.stores.accounts.revoke_key(queue.org_no, "hg_xyz") is None
    assert [key.name for key in await queue.stores.accounts.keys(other.org_no)] == ["theirs"]
    assert await queue.stores.accounts.keys(queue.org_no) == []


def _away() -> Database:
    """A database that cannot be reached: nobody has opened it."""
    return make_database("postgresql://127.0.0.1/none", SystemClock())


async def _last_use(queue: PhoneQueue) -> int | None:
    [key] = await queue.stores.accounts.keys(queue.org_no)
    return key.last_used_at_us


async def test_the_last_use_of_a_key_is_known_once_it_is_written(queue: PhoneQueue) -> None:
    await queue.stores.accounts.create_key(queue.org_no, "laptop", _digest("secret"), "hg_abc")
    await queue.stores.accounts.write_key_uses()
    assert await _last_use(queue) is None
    used = queue.clock.now_us()
    await queue.stores.accounts.key_by_digest(_digest("secret"))
    queue.clock.advance(60)
    assert await _last_use(queue) is None  # no request waits for it
    await queue.stores.accounts.write_key_uses()
    assert await _last_use(queue) == used


async def test_of_several_processes_the_latest_use_of_a_key_stays(queue: PhoneQueue) -> None:
    await queue.stores.accounts.create_key(queue.org_no, "laptop", _digest("secret"), "hg_abc")
    slow = Stores(queue.stores.database, queue.clock, queue.ids)
    await slow.accounts.key_by_digest(_digest("secret"))
    queue.clock.advance(60)
    await queue.stores.accounts.key_by_digest(_digest("secret"))
    latest = queue.clock.now_us()
    await queue.stores.accounts.write_key_uses()
    await slow.accounts.write_key_uses()
    assert await _last_use(queue) == latest


async def test_a_use_that_could_not_be_written_is_written_the_next_time(queue: PhoneQueue) -> None:
    await queue.stores.accounts.create_key(queue.org_no, "laptop", _digest("secret"), "hg_abc")
    await queue.stores.accounts.key_by_digest(_digest("secret"))
    used = queue.clock.now_us()
    there, queue.stores.accounts.database = queue.stores.accounts.database, _away()
    with pytest.raises(Unavailable):
        await queue.stores.accounts.write_key_uses()
    queue.stores.accounts.database = there
    await queue.stores.accounts.write_key_uses()
    assert await _last_use(queue) == used


async def test_a_name_belongs_to_one_organisation_also_when_two_take_it_at_once(queue: PhoneQueue) -> None:
    made = await asyncio.gather(*(queue.stores.accounts.create_org("Beta") for _ in range(4)), return_exceptions=True)
    assert sorted(isinstance(one, Conflict) for one in made) == [False, True, True, True]
    assert [org.name for org in await queue.stores.accounts.orgs()].count("Beta") == 1


async def test_a_number_belongs_to_one_phone_of_an_organisation(queue: PhoneQueue) -> None:
    again = NewPhone(queue.org_no, new_phone_id(), queue.phone.number, "simulator")
    with pytest.raises(Conflict):
        await queue.stores.phones.create_phone(again)
    other = await queue.stores.accounts.create_org("another")
    made = await create_phone(queue.stores, other.org_no, queue.phone.number)
    assert made.org_no == other.org_no
    await queue.stores.phones.delete_phone(queue.org_no, queue.phone_no, "api")
    fresh, _ = await queue.stores.phones.create_phone(again)
    assert fresh.phone_no != queue.phone_no


async def test_a_phone_is_found_by_number_and_by_id_within_its_organisation(queue: PhoneQueue) -> None:
    other = await queue.stores.accounts.create_org("another")
    for handle in (queue.phone.number, queue.phone.phone_id):
        found = await queue.stores.phones.phone(queue.org_no, handle)
        assert found is not None
        assert found.phone_no == queue.phone_no
        assert await queue.stores.phones.phone(other.org_no, handle) is None
    await queue.stores.phones.delete_phone(queue.org_no, queue.phone_no, "api")
    assert await queue.stores.phones.phone(queue.org_no, queue.phone.number) is None
    assert await queue.stores.phones.phone_row(queue.org_no, queue.phone_no) is not None


async def test_a_phone_asked_for_twice_under_one_key_is_made_once(queue: PhoneQueue) -> None:
    keyed = Idempotency("k", b"body")

    def ask() -> NewPhone:
        return NewPhone(queue.org_no, new_phone_id(), "918888888888", "simulator")

    made = await asyncio.gather(*(queue.stores.phones.create_phone(ask(), keyed) for _ in range(4)))
    assert len({row.phone_no for row, _ in made}) == 1
    assert sorted(replayed for _, replayed in made) == [False, True, True, True]
    with pytest.raises(Invalid):
        await queue.stores.phones.create_phone(ask(), Idempotency("k", b"another body"))


async def test_a_key_whose_phone_was_refused_is_free_again(queue: PhoneQueue) -> None:
    taken = NewPhone(queue.org_no, new_phone_id(), queue.phone.number, "simulator")
    with pytest.raises(Conflict):
        await queue.stores.phones.create_phone(taken, Idempotency("k", b"body"))
    fresh = NewPhone(queue.org_no, new_phone_id(), "918888888888", "simulator")
    made, replayed = await queue.stores.phones.create_phone(fresh, Idempotency("k", b"another body"))
    assert (made.number, replayed) == ("918888888888", False)


async def test_a_patch_changes_what_it_names_and_leaves_the_rest(queue: PhoneQueue) -> None:
    await queue.stores.phones.update_phone(
        queue.org_no, queue.phone_no, PhonePatch(name="Front queue", labels=("a", "ü"))
    )
    row = await queue.stores.phones.update_phone(queue.org_no, queue.phone_no, PhonePatch(pacing="linked-new"))
    assert row is not None
    assert (row.name, row.labels, row.pacing, row.config) == ("Front queue", ("a", "ü"), "linked-new", "{}")


async def test_an_organisation_sees_its_own_devices_and_whether_others_have_some(queue: PhoneQueue) -> None:
    async def share(org_no: int) -> tuple[tuple[str, ...] | None, bool]:
        found = await queue.stores.phones.device_scope(org_no, "simulator")
        return found.devices, found.alone

    async def add(org_no: int, number: str, provider: str = "simulator") -> PhoneRow:
        return await create_phone(queue.stores, org_no, number, provider)

    other = await queue.stores.accounts.create_org("another")
    assert await share(queue.org_no) == (None, True)  # the whole network
    assert await share(other.org_no) == ((), False)
    await add(other.org_no, "447700900001", "cloud")
    assert await share(queue.org_no) == (None, True)  # that one is not on this network
    theirs = await add(other.org_no, "447700900002")
    mine = await add(queue.org_no, "918888888888")
    own = (queue.phone.phone_id, mine.phone_id)
    assert await share(queue.org_no) == (own, False)
    assert await share(other.org_no) == ((theirs.phone_id,), False)
    await queue.stores.phones.delete_phone(other.org_no, theirs.phone_no, "api")
    await queue.stores.phones.delete_phone(queue.org_no, mine.phone_no, "api")
    assert await share(queue.org_no) == (own, True)  # what deleted phones sent is in the journal still


async def test_the_first_connection_is_remembered(queue: PhoneQueue) -> None:
    where = (queue.org_no, queue.phone_no, queue.token)
    first = queue.clock.now_us()
    for state in ("connected", "offline", "connected"):
        assert await queue.stores.sender.set_phone_state(*where, state=state, detail="")
        queue.clock.advance(60)
    row = await queue.stores.phones.phone_row(queue.org_no, queue.phone_no)
    assert row is not None
    assert (row.state, row.first_connected_at_us, row.state_at_us) == ("connected", first, first + 120_000_000)


async def test_two_organisations_never_see_each_other(queue: PhoneQueue) -> None:
    other = await queue.stores.accounts.create_org("another")
    job_id = await queue.put("a")
    heard = [Inbound("M1", "a@c.us", "a@c.us", queue.clock.now_us(), "chat", "hello")]
    await queue.stores.sender.keep_inbound(queue.phone_no, queue.org_no, heard)
    from heliograph.domain.jobs.ids import unique_id

    assert await queue.stores.jobs.job(other.org_no, unique_id(job_id)) is None
    assert await queue.stores.jobs.jobs(other.org_no, None) == []
    assert await queue.stores.jobs.history(other.org_no, job_id) == []
    assert (await queue.stores.jobs.health(other.org_no, None)).waiting == 0
    assert await queue.stores.phones.phones(other.org_no) == []
    assert await queue.stores.jobs.quotable(queue.org_no, queue.phone_no, "M1") == "false_a@c.us_M1"
    assert await queue.stores.jobs.quotable(other.org_no, queue.phone_no, "M1") is None
    assert await queue.stores.jobs.quotable(other.org_no, queue.phone_no, unique_id(job_id)) is None
