"""Tests from the queue over the Cloud API and back by webhooks: nothing is sent twice, and every job is settled."""

import asyncio
import json
import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import aiohttp
import msgspec
import pytest

from heliograph.domain.accounts.phone import PhonePatch
from heliograph.domain.jobs.ids import queue_id
from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Limits
from heliograph.simulator.graph.webhooks import sign
from tests.kit.until import until
from tests.providers.cloud.gateway import CLOCK, QUICK, Gateway, open_gateway
from tests.providers.cloud.session import text
from tests.providers.cloud.webhooks import change, raw, status

PHONE = "100000000000001"
NUMBER = "447700900000"


async def test_a_message_reaches_each_ack_level_by_its_webhooks(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        phone = await gateway.add_phone(PHONE, NUMBER)
        await gateway.connected(phone)
        job_id = await gateway.send(phone, "447700900777")
        (job,) = await gateway.until_ack([job_id], 4)
        assert (job.state, job.ack) == (State.SENT, 4)
        assert job.provider_message_id and job.provider_message_id.startswith("wamid.")
        assert [row["shown"] for row in gateway.journal(job_id)] == [1]


@pytest.mark.parametrize("ending", ["064", "050", "052", "051"])
async def test_a_lost_answer_is_uncertain_until_its_status_settles_it(ending: str, tmp_path: Path) -> None:
    slow = replace(QUICK, sent_after_s=0.4, delivered_after_s=0.5, read_after_s=0.6)
    async with open_gateway(tmp_path, slow) as gateway:
        phone = await gateway.add_phone(PHONE, NUMBER)
        await gateway.connected(phone)
        job_id = await gateway.send(phone, f"447700900{ending}")
        job = await gateway.until_state(job_id, State.UNCERTAIN)
        if ending == "051":  # nothing was taken: it stays uncertain, and is never sent again by itself
            assert gateway.journal(job_id) == []
            return
        (job,) = await gateway.until_ack([job_id], 4)
        assert job.state is State.SENT
        assert [row["shown"] for row in gateway.journal(job_id)] == [1]


async def test_statuses_that_come_before_the_answer_settle_the_message_when_it_is_known(tmp_path: Path) -> None:
    rules = replace(QUICK, slow_answer_ms=600)
    async with open_gateway(tmp_path, rules) as gateway:
        phone = await gateway.add_phone(PHONE, NUMBER)
        await gateway.connected(phone)
        job_id = await gateway.send(phone, "447700900063")
        (job,) = await gateway.until_ack([job_id], 4)
        assert job.state is State.SENT


async def test_a_refusal_after_acceptance_fails_the_message_with_what_to_do(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        phone = await gateway.add_phone(PHONE, NUMBER)
        await gateway.connected(phone)
        job_id = await gateway.send(phone, "447700900041")
        (job,) = await gateway.until_ack([job_id], 4)
        assert (job.state, job.reason) == (State.FAILED, "window_closed")
        assert job.detail and "template" in job.detail


async def test_a_reply_to_a_message_of_ours_names_the_id_that_whatsapp_gave(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        phone = await gateway.add_phone(PHONE, NUMBER)
        await gateway.connected(phone)
        first = await gateway.send(phone, "447700900777")
        (job,) = await gateway.until_ack([first], 4)
        answer = await gateway.send(
            phone, "447700900777", msgspec.structs.replace(text("and this"), reply_to=queue_id(first))
        )
        await gateway.until_ack([answer], 4)
        (row,) = gateway.journal(answer)
        assert row["body"]["context"] == {"message_id": job.provider_message_id}


async def test_an_inbound_message_is_stored_once_with_any_number_of_webhooks(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        phone = await gateway.add_phone(PHONE, NUMBER)
        await gateway.connected(phone)
        await gateway.send(phone, "447700900006")
        await until(lambda: any(b"STOP" in post for post in gateway.graph.callbacks.posts))
        posts = list(gateway.graph.callbacks.posts)
        async with aiohttp.ClientSession() as http:
            for post in posts * 3:
                headers = {"X-Hub-Signature-256": sign(post, "graph-test-app-secret")}
                async with http.post(gateway.webhook_url, data=post, headers=headers) as response:
                    assert response.status == 200
        await drained(gateway)
        with sqlite3.connect(tmp_path / "gateway.db") as database:
            assert database.execute("SELECT body FROM inbound").fetchall() == [("STOP",)]


async def drained(gateway: Gateway) -> None:
    """Waits until the inbox is empty."""
    end = CLOCK.monotonic() + 10
    phones = [(gateway.org_no, phone_no) for phone_no in gateway.sender.owned]
    while await gateway.inbox.deliveries(phones, 1):
        assert CLOCK.monotonic() < end
        await asyncio.sleep(0.01)


async def test_webhooks_wait_in_the_inbox_while_the_phone_has_no_owner(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        phone = await gateway.add_phone(PHONE, NUMBER)
        await gateway.connected(phone)
        job_id = await gateway.send(phone, "447700900002")
        await gateway.until_ack([job_id], 2)
        await gateway.sender.stop()
        late = raw(change({"statuses": [status("read", biz_opaque_callback_data=queue_id(job_id))]}))
        async with aiohttp.ClientSession() as http:
            headers = {"X-Hub-Signature-256": sign(late, "graph-test-app-secret")}
            async with http.post(gateway.webhook_url, data=late, headers=headers) as response:
                assert response.status == 200
        waiting = await gateway.inbox.deliveries([(phone.org_no, phone.phone_no)], 10)
        assert [one.payload for one in waiting] == [late]
        assert (await gateway.job(job_id)).ack == 2


async def test_a_thousand_replayed_webhooks_change_nothing(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        phone = await gateway.add_phone(PHONE, NUMBER)
        await gateway.connected(phone)
        jobs = [await gateway.send(phone, f"447911{n:06d}") for n in range(10)]
        jobs.append(await gateway.send(phone, "447700900005"))
        await gateway.until_ack(jobs, 4)
        await drained(gateway)
        before = [await gateway.job(one) for one in jobs]
        events = [await gateway.stores.jobs.history(gateway.org_no, one) for one in jobs]
        dice = random.Random(4)
        posts = list(gateway.graph.callbacks.posts)
        async with aiohttp.ClientSession() as http:
            for _ in range(1_000):
                post = dice.choice(posts)
                headers = {"X-Hub-Signature-256": sign(post, "graph-test-app-secret")}
                async with http.post(gateway.webhook_url, data=post, headers=headers) as response:
                    assert response.status == 200
        await drained(gateway)
        assert [await gateway.job(one) for one in jobs] == before
        assert [await gateway.stores.jobs.history(gateway.org_no, one) for one in jobs] == events


async def test_statuses_for_unknown_messages_and_unknown_phones_do_no_harm(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        phone = await gateway.add_phone(PHONE, NUMBER)
        await gateway.connected(phone)
        strange = [
            change({"statuses": [status("read", wamid="wamid.nobody", biz_opaque_callback_data="not-ours")]}),
            change(
                {
                    "statuses": [
                        status("read", wamid="wamid.nobody", biz_opaque_callback_data=queue_id(gateway.ids.make()))
                    ]
                }
            ),
            change({"statuses": [status("read", wamid="wamid.nobody")], "messages": [{"from": "x"}]}),
            change({"statuses": [status("read")]}, phone="999999999999999"),
        ]
        body = raw(*strange)
        async with aiohttp.ClientSession() as http:
            headers = {"X-Hub-Signature-256": sign(body, "graph-test-app-secret")}
            async with http.post(gateway.webhook_url, data=body, headers=headers) as response:
                assert response.status == 200
        await drained(gateway)
        job_id = await gateway.send(phone, "447700900777")
        await gateway.until_ack([job_id], 4)
        assert [event for event in gateway.log.events if event.endswith("failed")] == []


async def test_a_revoked_token_keeps_the_messages_and_a_new_one_sends_them(tmp_path: Path) -> None:
    async with open_gateway(tmp_path) as gateway:
        phone = await gateway.add_phone(PHONE, NUMBER)
        await gateway.connected(phone)
        gateway.graph.network.rules = replace(gateway.graph.network.rules, token="graph-renewed-token")
        job_id = await gateway.send(phone, "447700900777")
        owned = gateway.sender.owned[phone.phone_no]
        await until(lambda: owned.session.value == "unauthorized")
        job = await gateway.until_state(job_id, State.QUEUED)
        assert job.attempts == 0
        stored = (await gateway.stores.phones.phone(phone.org_no, phone.phone_id)) or phone
        assert stored.state == "unauthorized" and "token" in stored.state_detail
        config = json.loads(gateway.vault.open(stored.config, about=phone.phone_id)) | {"token": "graph-renewed-token"}
        sealed = gateway.vault.seal(json.dumps(config), about=phone.phone_id)
        await gateway.stores.phones.update_phone(phone.org_no, phone.phone_no, PhonePatch(config=sealed))
        (job,) = await gateway.until_ack([job_id], 4)
        assert (job.state, job.attempts) == (State.SENT, 1)
        assert "graph-renewed-token" not in repr(owned) and "graph-renewed-token" not in str(gateway.log)


async def test_one_phone_keeps_each_chats_order_under_load(tmp_path: Path) -> None:
    async with open_gateway(tmp_path, replace(QUICK, latency_ms=30)) as gateway:
        phone = await gateway.add_phone(PHONE, NUMBER)
        await gateway.connected(phone)
        jobs = [await gateway.send(phone, f"447911{n % 40:06d}", text(f"{n // 40}")) for n in range(400)]
        await until(lambda: len(gateway.graph.network.journal(limit=1_000)) == 400, limit_s=60)
        rows = gateway.graph.network.journal(limit=1_000)
        for to in {row["to"] for row in rows}:
            order = [int(row["body"]["text"]["body"]) for row in rows if row["to"] == to]
            assert order == sorted(order) and len(order) == 10
        await gateway.until_ack(jobs[-40:], 4)


async def test_with_lost_answers_nothing_is_doubled_and_every_message_is_settled_by_its_status(tmp_path: Path) -> None:
    rules = replace(QUICK, lost_answer_rate=0.05, repeat_rate=0.1, shuffle_rate=0.2, skip_delivered_rate=0.2, seed=3)
    async with open_gateway(tmp_path, rules, limits=Limits(ack_timeout_s=0.5)) as gateway:
        phone = await gateway.add_phone(PHONE, NUMBER)
        await gateway.connected(phone)
        jobs = [await gateway.send(phone, f"447911{n % 50:06d}", text(str(n))) for n in range(400)]
        settled = await gateway.until_ack(jobs, 4, seconds=40)
        assert {(job.state, job.ack) for job in settled} == {(State.SENT, 4)}
        assert all(len(gateway.journal(one)) == 1 for one in jobs)
        histories = [await gateway.stores.jobs.history(gateway.org_no, one) for one in jobs]
        assert sum(any(event.kind == "uncertain" for event in history) for history in histories) >= 10
