"""Organisations, keys and phones: each sees its own only, and secrets are never stored."""

import asyncio
import hashlib

import pytest

from heliograph.domain.errors import Conflict, Invalid, Unavailable
from heliograph.domain.jobs.ids import new_phone_id
from heliograph.domain.jobs.job import Idempotency, NewPhone, PhonePatch, PhoneRow
from heliograph.ports.job_store import NewPageSession
from heliograph.ports.provider import Inbound
from heliograph.store.database.postgresql import PostgresDatabase
from heliograph.store.job_store import Store
from tests.kit.store import Desk


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def test_a_key_is_found_by_its_digest_until_it_is_revoked(desk: Desk) -> None:
    made = await desk.store.create_key(desk.org_no, "laptop", _digest("secret"), "hg_abc")
    found = await desk.store.key_by_digest(_digest("secret"))
    assert found is not None
    assert (found.org_no, found.name, found.key_no) == (desk.org_no, "laptop", made.key_no)
    assert await desk.store.key_by_digest(_digest("other")) is None
    revoked = await desk.store.revoke_key(desk.org_no, "hg_abc")
    assert revoked is not None
    assert revoked.revoked_at_us == desk.clock.now_us()
    assert await desk.store.key_by_digest(_digest("secret")) is None
    assert await desk.store.revoke_key(desk.org_no, "hg_abc") is None


async def test_a_login_ends_at_its_logout_with_its_key_and_at_its_time(desk: Desk) -> None:
    key = await desk.store.create_key(desk.org_no, "laptop", _digest("secret"), "hg_abc")
    ends_us = desk.clock.now_us() + 60_000_000
    for name, key_no in (("out", key.key_no), ("with-key", key.key_no), ("by-link", None)):
        assert await desk.store.begin_page_session(NewPageSession(name, f"link {name}", desk.org_no, key_no, ends_us))
        assert await desk.store.page_session(name) == desk.org_no
    assert not await desk.store.begin_page_session(NewPageSession("again", "link out", desk.org_no, None, ends_us))
    assert await desk.store.begin_page_session(NewPageSession("form", None, desk.org_no, key.key_no, ends_us))
    assert await desk.store.begin_page_session(NewPageSession("form 2", None, desk.org_no, key.key_no, ends_us))
    await desk.store.end_page_session("out")
    assert [await desk.store.page_session(name) for name in ("out", "with-key")] == [None, desk.org_no]
    assert not await desk.store.begin_page_session(NewPageSession("again", "link out", desk.org_no, None, ends_us))
    await desk.store.revoke_key(desk.org_no, "hg_abc")
    assert await desk.store.page_session("with-key") is None
    assert await desk.store.page_session("by-link") == desk.org_no
    desk.clock.turn(60)
    assert await desk.store.page_session("by-link") is None


async def test_an_organisation_revokes_only_its_own_keys(desk: Desk) -> None:
    other = await desk.store.create_org("another")
    await desk.store.create_key(other.org_no, "theirs", _digest("theirs"), "hg_xyz")
    assert await desk.store.revoke_key(desk.org_no, "hg_xyz") is None
    assert [key.name for key in await desk.store.keys(other.org_no)] == ["theirs"]
    assert await desk.store.keys(desk.org_no) == []


def _away() -> PostgresDatabase:
    """A database that cannot be reached: nobody has opened it."""
    return PostgresDatabase("postgresql://127.0.0.1/none", lambda _seconds, _units: None, lambda: 0.0)


async def _last_use(desk: Desk) -> int | None:
    [key] = await desk.store.keys(desk.org_no)
    return key.last_used_at_us


async def test_the_last_use_of_a_key_is_known_once_it_is_written(desk: Desk) -> None:
    await desk.store.create_key(desk.org_no, "laptop", _digest("secret"), "hg_abc")
    await desk.store.write_key_uses()
    assert await _last_use(desk) is None
    used = desk.clock.now_us()
    await desk.store.key_by_digest(_digest("secret"))
    desk.clock.turn(60)
    assert await _last_use(desk) is None  # no request waits for it
    await desk.store.write_key_uses()
    assert await _last_use(desk) == used


async def test_of_several_processes_the_latest_use_of_a_key_stays(desk: Desk) -> None:
    await desk.store.create_key(desk.org_no, "laptop", _digest("secret"), "hg_abc")
    slow = Store(desk.store.shell, desk.clock, desk.ids)
    await slow.key_by_digest(_digest("secret"))
    desk.clock.turn(60)
    await desk.store.key_by_digest(_digest("secret"))
    latest = desk.clock.now_us()
    await desk.store.write_key_uses()
    await slow.write_key_uses()
    assert await _last_use(desk) == latest


async def test_a_use_that_could_not_be_written_is_written_the_next_time(desk: Desk) -> None:
    await desk.store.create_key(desk.org_no, "laptop", _digest("secret"), "hg_abc")
    await desk.store.key_by_digest(_digest("secret"))
    used = desk.clock.now_us()
    there, desk.store.shell = desk.store.shell, _away()
    with pytest.raises(Unavailable):
        await desk.store.write_key_uses()
    desk.store.shell = there
    await desk.store.write_key_uses()
    assert await _last_use(desk) == used


async def test_a_name_belongs_to_one_organisation_also_when_two_take_it_at_once(desk: Desk) -> None:
    made = await asyncio.gather(*(desk.store.create_org("Beta") for _ in range(4)), return_exceptions=True)
    assert sorted(isinstance(one, Conflict) for one in made) == [False, True, True, True]
    assert [org.name for org in await desk.store.orgs()].count("Beta") == 1


async def test_a_number_belongs_to_one_phone_of_an_organisation(desk: Desk) -> None:
    again = NewPhone(desk.org_no, new_phone_id(), desk.phone.number, "simulator")
    with pytest.raises(Conflict):
        await desk.store.create_phone(again)
    other = await desk.store.create_org("another")
    made, _ = await desk.store.create_phone(NewPhone(other.org_no, new_phone_id(), desk.phone.number, "simulator"))
    assert made.org_no == other.org_no
    await desk.store.delete_phone(desk.org_no, desk.phone_no, "api")
    fresh, _ = await desk.store.create_phone(again)
    assert fresh.phone_no != desk.phone_no


async def test_a_phone_is_found_by_number_and_by_id_within_its_organisation(desk: Desk) -> None:
    other = await desk.store.create_org("another")
    for handle in (desk.phone.number, desk.phone.phone_id):
        found = await desk.store.phone(desk.org_no, handle)
        assert found is not None
        assert found.phone_no == desk.phone_no
        assert await desk.store.phone(other.org_no, handle) is None
    await desk.store.delete_phone(desk.org_no, desk.phone_no, "api")
    assert await desk.store.phone(desk.org_no, desk.phone.number) is None
    assert await desk.store.phone_row(desk.org_no, desk.phone_no) is not None


async def test_a_phone_asked_for_twice_under_one_key_is_made_once(desk: Desk) -> None:
    keyed = Idempotency("k", b"body")

    def ask() -> NewPhone:
        return NewPhone(desk.org_no, new_phone_id(), "918888888888", "simulator")

    made = await asyncio.gather(*(desk.store.create_phone(ask(), keyed) for _ in range(4)))
    assert len({row.phone_no for row, _ in made}) == 1
    assert sorted(replayed for _, replayed in made) == [False, True, True, True]
    with pytest.raises(Invalid):
        await desk.store.create_phone(ask(), Idempotency("k", b"another body"))


async def test_a_key_whose_phone_was_refused_is_free_again(desk: Desk) -> None:
    taken = NewPhone(desk.org_no, new_phone_id(), desk.phone.number, "simulator")
    with pytest.raises(Conflict):
        await desk.store.create_phone(taken, Idempotency("k", b"body"))
    fresh = NewPhone(desk.org_no, new_phone_id(), "918888888888", "simulator")
    made, replayed = await desk.store.create_phone(fresh, Idempotency("k", b"another body"))
    assert (made.number, replayed) == ("918888888888", False)


async def test_a_patch_changes_what_it_names_and_leaves_the_rest(desk: Desk) -> None:
    await desk.store.update_phone(desk.org_no, desk.phone_no, PhonePatch(name="Front desk", labels=("a", "ü")))
    row = await desk.store.update_phone(desk.org_no, desk.phone_no, PhonePatch(pacing="linked-new"))
    assert row is not None
    assert (row.name, row.labels, row.pacing, row.config) == ("Front desk", ("a", "ü"), "linked-new", "{}")


async def test_who_shares_a_network_is_told_its_own_devices_and_whether_others_have_some(desk: Desk) -> None:
    async def share(org_no: int) -> tuple[tuple[str, ...] | None, bool]:
        found = await desk.store.share(org_no, "simulator")
        return found.devices, found.alone

    async def add(org_no: int, number: str, provider: str = "simulator") -> PhoneRow:
        return (await desk.store.create_phone(NewPhone(org_no, new_phone_id(), number, provider)))[0]

    other = await desk.store.create_org("another")
    assert await share(desk.org_no) == (None, True)  # the whole network
    assert await share(other.org_no) == ((), False)
    await add(other.org_no, "447700900001", "cloud")
    assert await share(desk.org_no) == (None, True)  # that one is not on this network
    theirs = await add(other.org_no, "447700900002")
    mine = await add(desk.org_no, "918888888888")
    own = (desk.phone.phone_id, mine.phone_id)
    assert await share(desk.org_no) == (own, False)
    assert await share(other.org_no) == ((theirs.phone_id,), False)
    await desk.store.delete_phone(other.org_no, theirs.phone_no, "api")
    await desk.store.delete_phone(desk.org_no, mine.phone_no, "api")
    assert await share(desk.org_no) == (own, True)  # what deleted phones sent is in the journal still


async def test_the_first_connection_is_remembered(desk: Desk) -> None:
    where = (desk.org_no, desk.phone_no, desk.token)
    first = desk.clock.now_us()
    for state in ("connected", "offline", "connected"):
        assert await desk.store.phone_state(*where, state=state, detail="")
        desk.clock.turn(60)
    row = await desk.store.phone_row(desk.org_no, desk.phone_no)
    assert row is not None
    assert (row.state, row.first_connected_at_us, row.state_at_us) == ("connected", first, first + 120_000_000)


async def test_two_organisations_never_see_each_other(desk: Desk) -> None:
    other = await desk.store.create_org("another")
    job_id = await desk.put("a")
    heard = [Inbound("M1", "a@c.us", "a@c.us", desk.clock.now_us(), "chat", "hello")]
    await desk.store.inbound(desk.phone_no, desk.org_no, heard)
    from heliograph.domain.jobs.ids import unique_id

    assert await desk.store.job(other.org_no, unique_id(job_id)) is None
    assert await desk.store.jobs(other.org_no, None) == []
    assert await desk.store.history(other.org_no, job_id) == []
    assert (await desk.store.health(other.org_no, None)).waiting == 0
    assert await desk.store.phones(other.org_no) == []
    assert await desk.store.quotable(desk.org_no, desk.phone_no, "M1") == "false_a@c.us_M1"
    assert await desk.store.quotable(other.org_no, desk.phone_no, "M1") is None
    assert await desk.store.quotable(other.org_no, desk.phone_no, unique_id(job_id)) is None
