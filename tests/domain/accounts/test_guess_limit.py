"""Wrong keys of an address are slowed down and then refused; right ones are not."""

from heliograph.domain.accounts.guess_limit import BURST, MAX_WAIT_S, GuessLimit

MINE = "192.0.2.1"


def test_a_burst_is_free_then_each_guess_waits_for_its_turn_and_too_many_are_refused() -> None:
    limit = GuessLimit()
    waits = [limit.wait_s(MINE, b"%d" % n, 1000.0) for n in range(BURST + 200)]
    assert waits[:BURST] == [0.0] * BURST
    turns = [wait for wait in waits[BURST:] if wait is not None]
    assert turns == sorted(turns)
    assert len(turns) in (99, 100)
    assert turns[-1] <= MAX_WAIT_S
    assert waits[-1] is None
    assert limit.wait_s(MINE, b"later", 1000.0 + 60) == 0.0


def test_a_key_that_was_right_is_never_limited_until_it_is_wrong() -> None:
    limit = GuessLimit()
    limit.right(MINE, b"right")
    for n in range(1000):
        limit.wait_s(MINE, b"%d" % n, 0.0)
    assert limit.wait_s(MINE, b"right", 0.0) == 0.0
    limit.wrong(b"right")
    assert limit.wait_s(MINE, b"right", 0.0) is None


def test_right_keys_of_an_address_use_nothing_up() -> None:
    limit = GuessLimit()
    for n in range(1000):
        assert limit.wait_s(MINE, b"%d" % n, 5.0) == 0.0
        limit.right(MINE, b"%d" % n)


def test_other_addresses_and_those_without_one_are_not_limited() -> None:
    limit = GuessLimit()
    for n in range(1000):
        limit.wait_s(MINE, b"%d" % n, 0.0)
    assert [limit.wait_s(f"198.51.100.{n}", b"x", 0.0) for n in range(20)].count(0.0) >= 19  # one may share a counter
    assert limit.wait_s("", b"x", 0.0) == 0.0
