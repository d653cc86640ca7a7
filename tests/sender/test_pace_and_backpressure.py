"""What must hold from one moment to the next: a pace that a person sets, the way that sending gives."""

from itertools import pairwise

from heliograph.domain.jobs.job import PhonePatch
from heliograph.sender.send_loop import BACKPRESSURE_FACTOR, MAX_GIVE_WAY_S
from tests.sender.setup import World


async def test_a_pace_is_obeyed_by_the_first_message_after_it_was_set(world: World) -> None:
    member = await world.join()
    first = await world.put("00")
    await world.until_settled()
    await world.store.update_phone(world.phone.org_no, world.phone.phone_no, PhonePatch(pacing="linked-new"))
    # no look around of the sender lies between this and the change
    jobs = [await world.put(f"0{n}") for n in range(1, 4)]
    await world.clock.forward(2.0)
    sends = [unique for _, unique in member.sends]
    assert len(sends) <= 2, "the second of these messages has to wait for the gap of the new pace"
    await world.until_settled(limit_s=3600)
    times = [at for at, _ in member.sends]
    assert len(times) == 1 + len(jobs)
    assert min(b - a for a, b in pairwise(times[1:])) >= 3.0
    assert (await world.get(first)).attempts == 1


async def test_sending_leaves_callers_twice_the_time_that_a_round_took(world: World) -> None:
    pressed = True
    member = await world.join(changes={"has_backpressure": lambda: pressed})
    (shard,) = member.sender._loops
    assert shard._rest_s(0.010) == 0.010 * BACKPRESSURE_FACTOR
    assert shard._rest_s(5.0) == MAX_GIVE_WAY_S
    for n in range(20):
        await world.put(f"{n:02d}" if n < 4 else f"9198111{n:05d}")
    await world.until_settled()
    assert len(member.sends) == 20
    pressed = False
    assert shard._rest_s(5.0) == 0.0
