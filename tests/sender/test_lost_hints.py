"""What nobody told a sender of is found by its look around: nothing waits for ever because a hint was lost."""

from heliograph.domain.states import State
from tests.sender.world import World
from tests.store.world import change


async def test_a_delayed_chat_that_no_hint_told_of_goes_on_when_its_time_comes(world: World) -> None:
    await world.join()
    await world.clock.forward(3)
    job = await world.put("chat1")
    due_us = world.clock.now_us() + 1_500_000
    await change(world.where, f"UPDATE lanes SET status = 'delayed', not_before = {due_us}")
    await world.until_state(job, State.SENT, limit_s=5)
