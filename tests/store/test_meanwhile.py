"""PostgreSQL: what one transaction does while another is on its way, and has seen less."""

from collections.abc import AsyncIterator

import pytest

from heliograph.domain.broadcasts.broadcast import NewBroadcast
from heliograph.domain.broadcasts.csv_recipients import recipient
from heliograph.domain.jobs.job import Enqueued
from heliograph.domain.jobs.states import State
from heliograph.domain.messages.content import Content, Kind
from heliograph.ports.provider import Inbound
from heliograph.ports.sender_store import StartRequest
from heliograph.store.control import holds
from heliograph.store.control_store import ControlStoreUnits
from heliograph.store.jobs import prune, receipts, retry_and_resolve
from heliograph.store.jobs.settle_and_start import settle_and_start
from tests.store.stepwise import Stepwise, meeting_desk, waits
from tests.store.world import REFUSED, SENT, Desk

DAY_US = 86_400_000_000


@pytest.fixture
async def desk(postgres_url: str) -> AsyncIterator[Desk]:
    async with meeting_desk(postgres_url) as opened:
        yield opened


def _wish(desk: Desk) -> StartRequest:
    return StartRequest(desk.phone_no, desk.org_no, desk.token)


async def test_a_chat_that_is_resumed_while_its_lane_is_put_aside_goes_on(desk: Desk) -> None:
    job_id = await desk.put("a")
    now_us = desk.clock.now_us()
    await desk.store.shell.write(lambda: holds.hold(desk.org_no, desk.phone_no, "chat:a@c.us", "ada", "", now_us))
    owner = await (await Stepwise.begin(desk.where, settle_and_start([], [_wish(desk)], now_us))).until("lanes_hold")
    resumed = await waits(
        desk.where, desk.store.shell.write(lambda: holds.release_chat(desk.org_no, desk.phone_no, "a@c.us"))
    )
    assert (await owner.end()).started == []
    assert await resumed
    assert [one.job.job_id for one in await desk.start()] == [job_id]


async def test_a_broadcast_that_is_resumed_while_its_lane_is_put_aside_goes_on(desk: Desk) -> None:
    steering = ControlStoreUnits(desk.store.shell, desk.clock, desk.ids)
    content = Content(Kind.TEXT, "hello")
    new = NewBroadcast(desk.ids.make(), desk.org_no, desk.phone_no, content, delay_s=0.0)
    made, _ = await steering.broadcast(new, [recipient("919537851844@c.us", {})])
    await steering.feed()
    await steering.pause_broadcast(desk.org_no, made, "ada")
    now_us = desk.clock.now_us()
    owner = await (await Stepwise.begin(desk.where, settle_and_start([], [_wish(desk)], now_us))).until("lanes_hold")
    resumed = await waits(desk.where, steering.resume_broadcast(desk.org_no, made, "bob"))
    assert (await owner.end()).started == []
    await resumed
    assert len(await desk.start()) == 1


async def test_a_key_that_is_used_anew_while_two_processes_prune_stays(desk: Desk) -> None:
    await desk.put(key="k", body="x")
    desk.clock.turn(86_401)
    before_us = desk.clock.now_us() - DAY_US
    slow = await Stepwise.begin(desk.where, prune.keys(before_us, 100))
    await slow.until("idempotency_old")
    await desk.store.shell.write(lambda: prune.keys(before_us, 100))
    made = await desk.put_job(desk.job(key="k", body="x"))
    await slow.end()
    again = await desk.put_job(desk.job(key="k", body="x"))
    assert isinstance(made, Enqueued) and not made.replayed
    assert isinstance(again, Enqueued) and again.replayed and again.job_id == made.job_id


async def test_a_message_that_is_pruned_while_somebody_puts_it_back_is_unknown(desk: Desk) -> None:
    job_id = await desk.put("a")
    await desk.send(REFUSED)
    asked = retry_and_resolve.retry_now(desk.org_no, [job_id], "ada", desk.clock.now_us())
    late = await (await Stepwise.begin(desk.where, asked)).until("jobs_for_operator")
    desk.clock.turn(1)
    assert (await desk.store.prune(desk.clock.now_us(), 10))[0] == 1
    assert await late.end() == {job_id: "unknown"}
    assert await desk.look("SELECT 1 FROM lanes") == []
    last = await desk.put("a")
    assert await desk.send() == last
    assert (await desk.get(last)).state is State.SENT


async def test_what_comes_while_the_first_message_of_its_chat_is_settled_is_to_a_known_chat(desk: Desk) -> None:
    await desk.put("a")
    (a,) = await desk.start()
    ended = settle_and_start([desk.settlement(a, SENT)], [], desk.clock.now_us())
    settle = await (await Stepwise.begin(desk.where, ended)).until("lanes_delete")
    second = await waits(desk.where, desk.put("a"))
    await settle.end()
    assert [one.job.job_id for one in await desk.start(new_limit=0)] == [await second]


async def test_a_person_who_writes_while_the_first_message_to_them_is_settled_waits_for_it(desk: Desk) -> None:
    await desk.put("a")
    (a,) = await desk.start()
    ended = settle_and_start([desk.settlement(a, SENT)], [], desk.clock.now_us())
    settle = await (await Stepwise.begin(desk.where, ended)).until("jobs_sent")
    at_us = desk.clock.now_us()
    said = Inbound("M1", "a@c.us", "a@c.us", at_us, "chat", "hello")
    heard = await Stepwise.begin(desk.where, receipts.keep_inbound(desk.org_no, desk.phone_no, [said], at_us))
    await heard.until("lanes_known")
    ending = await waits(desk.where, settle.end())
    assert await heard.end() == 1
    await ending
