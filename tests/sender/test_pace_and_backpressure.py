"""Tests of changes that apply at once: a new pacing policy, and longer pauses while callers wait."""

from itertools import pairwise

from heliograph.domain.accounts.phone import PhonePatch
from heliograph.sender.send_loop import BACKPRESSURE_FACTOR, MAX_BACKPRESSURE_PAUSE_S
from tests.sender.senders import Senders


async def test_a_new_pace_applies_to_the_first_message_after_it_was_set(senders: Senders) -> None:
    member = await senders.join()
    first = await senders.put("00")
    await senders.until_settled()
    await senders.stores.phones.update_phone(
        senders.phone.org_no, senders.phone.phone_no, PhonePatch(pacing="linked-new")
    )
    # no look around of the sender lies between this and the change
    jobs = [await senders.put(f"0{n}") for n in range(1, 4)]
    await senders.clock.forward(2.0)
    sends = [unique for _, unique in member.sends]
    assert len(sends) <= 2, "the second of these messages has to wait for the gap of the new pace"
    await senders.until_settled(limit_s=3600)
    times = [at for at, _ in member.sends]
    assert len(times) == 1 + len(jobs)
    assert min(b - a for a, b in pairwise(times[1:])) >= 3.0
    assert (await senders.get(first)).attempts == 1


async def test_while_callers_wait_a_sender_pauses_twice_as_long_as_its_round_took(senders: Senders) -> None:
    pressed = True
    member = await senders.join(changes={"has_backpressure": lambda: pressed})
    (loop,) = member.sender._loops  # private: the pause after a round shows nowhere else but in real time
    assert loop._rest_s(0.010) == 0.010 * BACKPRESSURE_FACTOR
    assert loop._rest_s(5.0) == MAX_BACKPRESSURE_PAUSE_S
    for n in range(20):
        await senders.put(f"{n:02d}" if n < 4 else f"9198111{n:05d}")
    await senders.until_settled()
    assert len(member.sends) == 20
    pressed = False
    assert loop._rest_s(5.0) == 0.0
