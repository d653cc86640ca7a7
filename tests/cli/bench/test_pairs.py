"""Tests of the comparison in pairs: the median of the ratios, and its 95 % interval."""

from math import comb

import pytest

from heliograph.cli.bench.slow_receiver import compare, outside


@pytest.mark.parametrize("pairs", range(6, 200))
def test_the_interval_leaves_out_as_many_pairs_as_95_percent_allow(pairs: int) -> None:
    def sure(left_out: int) -> float:
        tail = sum(comb(pairs, n) for n in range(left_out + 1))
        return 1 - 2 * tail / float(2**pairs)

    assert sure(outside(pairs)) >= 0.95 > sure(outside(pairs) + 1)


def test_a_few_pairs_are_all_needed() -> None:
    assert [outside(pairs) for pairs in range(1, 6)] == [0] * 5


def test_one_slow_moment_of_the_machine_does_not_move_the_median() -> None:
    calm = [[10.0 + n / 1000 for n in range(200)] for _ in range(12)]
    disturbed = [*calm[:5], [each * 20 for each in calm[5]], *calm[6:]]
    figures = compare(calm, disturbed)
    assert figures["ratio of p99"] == figures["95 % from"] == figures["to"] == 1.0
    assert figures["deliveries a side"] == 2400 and figures["that hangs"] > figures["p99 ms beside one that answers"]
