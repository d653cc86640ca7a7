"""Organisations, keys and phones: each sees its own only, and secrets are never stored."""

import asyncio
import hashlib

import pytest

from heliograph.domain.errors import Conflict, Invalid
from heliograph.domain.ids import new_phone_id
from heliograph.domain.job import Idempotency, NewPhone, PhonePatch
from heliograph.ports.provider import Inbound
from tests.store.world import Desk


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


async def test_an_organisation_revokes_only_its_own_keys(desk: Desk) -> None:
    other = await desk.store.create_org("another")
    await desk.store.create_key(other.org_no, "theirs", _digest("theirs"), "hg_xyz")
    assert await desk.store.revoke_key(desk.org_no, "hg_xyz") is None
    assert [key.name for key in await desk.store.keys(other.org_no)] == ["theirs"]
    assert await desk.store.keys(desk.org_no) == []


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
    from heliograph.domain.ids import unique_id

    assert await desk.store.job(other.org_no, unique_id(job_id)) is None
    assert await desk.store.jobs(other.org_no, None) == []
    assert await desk.store.history(other.org_no, job_id) == []
    assert (await desk.store.health(other.org_no, None)).waiting == 0
    assert await desk.store.phones(other.org_no) == []
    assert not await desk.store.known_message(other.org_no, desk.phone_no, "M1")
