"""Tests of the assignment of phones: all senders that see the same fleet reach fair shares without talking."""

from hypothesis import given
from hypothesis import strategies as st

from heliograph.ports.stores.lease_store import Fleet, LeaseRow
from heliograph.sender.assignment import HeartbeatWatch, assign_phones

NAMES = ("ada", "bob", "cyd", "dan", "eve")
TTL_S = 10.0


def _watching(fleet: Fleet, now: float, still: set[str]) -> HeartbeatWatch:
    """A watch that saw each heartbeat rise just now, except those that stood still for a whole lease."""
    watch = HeartbeatWatch()
    before = {name: beat if name in still else beat - 1 for name, beat in fleet.beats.items()}
    watch.look(Fleet(alive=True, beats=before, leases=fleet.leases), now - TTL_S)
    watch.look(fleet, now)
    return watch


def _round(owners: list[str | None], alive: list[str], dead: set[str]) -> list[str | None]:
    """All senders see the same fleet and act; of two that claim one phone the first gets it."""
    leases = [LeaseRow(1, n, owner, 7) for n, owner in enumerate(owners)]
    fleet = Fleet(alive=True, beats=dict.fromkeys({*alive, *dead}, 5), leases=leases)
    after = list(owners)
    taken: set[int] = set()
    for name in alive:
        todo = assign_phones(fleet, name, _watching(fleet, 100.0, dead), now=100.0, ttl_s=TTL_S, sole=False)
        assert not ({one.phone_no for one in todo.take} & {one.phone_no for one in todo.release})
        assert all(one.owner == name for one in todo.release)
        assert all(one.owner is None or one.owner in dead or one.owner not in alive for one in todo.take)
        assert set(todo.dead) == dead
        for one in todo.release:
            after[one.phone_no] = None
        for one in todo.take:
            if one.phone_no not in taken:
                taken.add(one.phone_no)
                after[one.phone_no] = name
    return after


@given(
    alive=st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
    owners=st.lists(st.sampled_from([*NAMES, "ghost", None]), max_size=40),
)
def test_any_fleet_comes_to_fair_shares_and_stays_there(alive: list[str], owners: list[str | None]) -> None:
    dead = set(NAMES) - set(alive)  # still in the fleet, but their beat stands still; the ghost is not even there
    for _ in range(2 * len(NAMES) + 2):
        owners = _round(owners, alive, dead)
    shares = [owners.count(name) for name in alive]
    assert sum(shares) == len(owners)
    assert max(shares) - min(shares) <= 1 if owners else True
    assert _round(owners, alive, dead) == owners


@given(
    alive=st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
    owners=st.lists(st.sampled_from([*NAMES, None]), max_size=40),
)
def test_no_two_senders_that_see_the_same_reach_for_one_phone(alive: list[str], owners: list[str | None]) -> None:
    fleet = Fleet(
        alive=True, beats=dict.fromkeys(NAMES, 5), leases=[LeaseRow(1, n, each, 7) for n, each in enumerate(owners)]
    )
    watch = _watching(fleet, 100.0, set(NAMES) - set(alive))
    plans = [assign_phones(fleet, name, watch, now=100.0, ttl_s=TTL_S, sole=False) for name in alive]
    taken = [one.phone_no for todo in plans for one in todo.take]
    assert len(taken) == len(set(taken))
    free = sum(owner not in alive for owner in owners)
    assert len(taken) == free or any(todo.release for todo in plans)


def test_a_sender_is_dead_only_when_its_heartbeat_did_not_change_for_a_whole_lease() -> None:
    lease = [LeaseRow(1, 1, "bob", 3)]
    watch = HeartbeatWatch()
    for now, beat, taken in ((0.0, 1, False), (9.9, 1, False), (10.1, 1, True), (10.2, 2, False), (20.1, 2, False)):
        fleet = Fleet(alive=True, beats={"ada": round(now * 10), "bob": beat}, leases=lease)
        watch.look(fleet, now)
        todo = assign_phones(fleet, "ada", watch, now=now, ttl_s=TTL_S, sole=False)
        assert bool(todo.take) is taken
        assert (list(todo.dead) == ["bob"]) is taken


def test_a_phone_of_somebody_who_left_is_free_at_once() -> None:
    fleet = Fleet(alive=True, beats={"ada": 1}, leases=[LeaseRow(1, 1, "bob", 3), LeaseRow(1, 2, None, 0)])
    todo = assign_phones(fleet, "ada", _watching(fleet, 5.0, set()), now=5.0, ttl_s=TTL_S, sole=False)
    assert [one.phone_no for one in todo.take] == [1, 2]


def test_a_sole_sender_claims_every_phone_at_once() -> None:
    fleet = Fleet(
        alive=True, beats={"ada": 1, "earlier": 9}, leases=[LeaseRow(1, 1, "earlier", 3), LeaseRow(1, 2, "ada", 4)]
    )
    todo = assign_phones(fleet, "ada", _watching(fleet, 5.0, set()), now=5.0, ttl_s=TTL_S, sole=True)
    assert ([one.phone_no for one in todo.take], list(todo.dead)) == ([1], ["earlier"])
