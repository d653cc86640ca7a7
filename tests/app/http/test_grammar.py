"""The server reads generated streams as h11 does, or refuses them."""

from collections import Counter

import pytest

from tests.app.http.grammar import Grammar
from tests.app.http.oracle import STRICTER, compare


@pytest.mark.parametrize("first", range(0, 4000, 500))
async def test_a_generated_stream_is_read_as_by_h11_or_refused(first: int) -> None:
    counted: Counter[str] = Counter()
    for seed in range(first, first + 500):
        counted[await compare(Grammar(seed).stream(), seed)] += 1
    assert counted[""] > 250
    assert set(counted) <= {"", *STRICTER}


def test_a_seed_always_makes_the_same_stream() -> None:
    assert Grammar(7).stream() == Grammar(7).stream()
    assert len({Grammar(seed).stream() for seed in range(100)}) == 100
