"""Tests of lost wake-ups: the periodic sweep of a sender finds the work all the same."""

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.errors import Unavailable
from heliograph.domain.jobs.states import State
from heliograph.domain.pacing.next_start import PRESETS, Policy
from tests.kit.database import execute_sql
from tests.sender.senders import Senders


async def test_a_delayed_chat_that_no_hint_told_of_goes_on_when_its_time_comes(senders: Senders) -> None:
    await senders.join()
    await senders.clock.forward(3)
    job = await senders.put("chat1")
    due_us = senders.clock.now_us() + 1_500_000
    await execute_sql(senders.location, f"UPDATE lanes SET status = 'delayed', not_before = {due_us}")
    await senders.until_state(job, State.SENT, limit_s=5)


async def test_a_phone_whose_settings_cannot_be_read_does_not_stop_the_sweep_of_others(
    fleet: Senders,
) -> None:
    broken, whole = fleet.phones[0], fleet.phones[1]

    def policy(row: PhoneRow) -> Policy:
        if row.pacing == "broken":
            raise ValueError(row.pacing)
        return PRESETS[row.pacing]

    await fleet.join(changes={"policy": policy})
    await fleet.clock.forward(3)
    await execute_sql(
        fleet.location,
        f"UPDATE phones SET pacing = 'broken', updated_at = updated_at + 1 WHERE phone_no = {broken.phone_no}",
    )
    await fleet.clock.forward(3)
    job = await fleet.put("chat1", phone=whole)
    await fleet.until_state(job, State.SENT, limit_s=5)


async def test_a_pause_is_written_when_the_database_is_back(senders: Senders) -> None:
    held: list[int] = []
    refusals = [Unavailable("The database is away.")] * 3

    async def hold(_org_no: int, phone_no: int, _why: str) -> None:
        if refusals:
            raise refusals.pop()
        held.append(phone_no)

    member = await senders.join(changes={"hold": hold})
    await senders.clock.forward(3)
    (owned,) = member.sender.owned.values()
    member.sender._pause(owned, "Look at it.")  # private: the failure breaker calls it, after many failures
    await senders.clock.forward(5)
    assert held == [senders.phone.phone_no]
