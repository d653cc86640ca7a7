"""Tests of pause, resume, cancel, retry and explain over HTTP, for a phone, a chat and a message."""

from typing import Any

import pytest

from heliograph.domain.jobs.states import State
from heliograph.domain.jobs.verdict import Verdict
from heliograph.domain.pacing.policy_parser import parse_policy
from heliograph.ports.stores.lease_store import LeaseRow
from heliograph.ports.stores.sender_store import Settlement, StartRequest
from tests.api.gateway import Gateway

UNCERTAIN = Verdict(State.UNCERTAIN, "uncertain", "no_answer", "No answer.", lane_wait_s=600.0, maybe_sent=True)
FAILED = Verdict(State.FAILED, "failed", "gone", "Not on WhatsApp.")
RETRY = Verdict(State.QUEUED, "retry", "net", "The connection was lost.", lane_wait_s=600.0)
SENT = Verdict(State.SENT, "sent", ack=1)


async def settle_next(gateway: Gateway, verdict: Verdict) -> None:
    """Starts and settles the next message, as the phone's owner does."""
    fleet = await gateway.stores.leases.heartbeat("tester", first=True)
    token = next(seen.token for seen in fleet.leases if seen.phone_no == gateway.phone.phone_no)
    seen = LeaseRow(gateway.org.org_no, gateway.phone.phone_no, None, token)
    (lease,) = await gateway.stores.leases.claim_leases("tester", [seen])
    request = StartRequest(gateway.phone.phone_no, gateway.org.org_no, lease.token)
    (one,) = (await gateway.stores.sender.settle_and_start([], [request])).started
    await gateway.stores.sender.settle_and_start([Settlement(one.job, lease.token, one.token, verdict)], [])


async def send(gateway: Gateway, **body: Any) -> str:
    return str((await gateway.send(**body)).json()["queue_id"])


async def test_a_phone_is_paused_and_resumed_and_its_messages_say_so(gateway: Gateway) -> None:
    paused = await gateway.http.post("/v1/phones/pause", json={"by": "Asha", "reason": "new SIM"})
    assert paused.json() == {"what": gateway.phone.phone_id, "state": "paused", "changed": True}
    assert (await gateway.http.post("/v1/phones/pause")).json()["changed"] is False
    name = await send(gateway)
    why = (await gateway.http.get(f"/v1/message/{name}/explain")).json()
    assert why["sentence"].startswith("Waits: the phone was paused by Asha at")
    assert why["sentence"].endswith(": new SIM.")
    assert why["blockers"][0]["code"] == "phone_paused" and why["eta"] is None
    holds = (await gateway.http.get("/v1/queue/holds")).json()
    assert [(hold["what"], hold["by"], hold["reason"]) for hold in holds] == [("phone", "Asha", "new SIM")]
    status = (await gateway.http.get(f"/v1/message/{name}/status")).json()
    assert why["sentence"].startswith(status["status_description"].removesuffix("."))
    assert (await gateway.http.post("/v1/phones/resume")).json()["changed"] is True
    assert gateway.wake.phone_nos[-1] == gateway.phone.phone_no


async def test_a_chat_is_paused_and_resumed(gateway: Gateway) -> None:
    name = await send(gateway)
    answer = await gateway.http.post("/v1/chats/919537851844/pause", json={"by": "Asha"})
    assert answer.json()["what"] == "919537851844@c.us"
    why = (await gateway.http.get(f"/v1/message/{name}/explain")).json()
    assert "chat_paused" in [blocker["code"] for blocker in why["blockers"]]
    assert (await gateway.http.post("/v1/chats/919537851844@c.us/resume")).json()["changed"] is True
    assert (await gateway.http.post("/v1/chats/nonsense/pause")).status_code == 422


async def test_a_waiting_message_is_cancelled_and_then_refused(gateway: Gateway) -> None:
    name = await send(gateway)
    answer = await gateway.http.post(f"/v1/message/{name}/cancel", json={"by": "Asha"})
    assert answer.json()["status"] == "failed"
    assert answer.json()["status_description"] == "Purged before it was sent."
    again = await gateway.http.post(f"/v1/message/{name}/cancel")
    assert again.status_code == 409 and again.json()["fields"]["state"]["value"] == "cancelled"
    history = (await gateway.http.get(f"/v1/message/{name}/history")).json()
    assert history[-1]["actor"] == "Asha"


async def test_a_failed_message_is_sent_again_and_a_sent_one_is_not(gateway: Gateway) -> None:
    name = await send(gateway)
    await settle_next(gateway, FAILED)
    again = await gateway.http.post(f"/v1/message/{name}/retry", json={"by": "Asha"})
    assert again.status_code == 200 and again.json()["status"] == "queued"
    await settle_next(gateway, SENT)
    refused = await gateway.http.post(f"/v1/message/{name}/retry")
    assert refused.status_code == 409 and refused.json()["fields"]["state"]["value"] == "sent"


async def test_a_message_behind_another_cannot_be_hurried_and_says_why(gateway: Gateway) -> None:
    first, second = await send(gateway), await send(gateway)
    await settle_next(gateway, RETRY)
    refused = await gateway.http.post(f"/v1/message/{second}/retry")
    assert refused.status_code == 409 and refused.json()["fields"]["state"]["value"] == "queued"
    assert "not the next of its chat" in refused.json()["message"]
    some = await gateway.http.post("/v1/message/queues/retry", json={"queue_ids": [first, second]})
    assert some.json() == {"retried": 1}


@pytest.mark.parametrize(("outcome", "status"), [("arrived", "sent"), ("again", "queued"), ("give_up", "failed")])
async def test_an_uncertain_message_is_settled_by_hand(gateway: Gateway, outcome: str, status: str) -> None:
    name = await send(gateway)
    await settle_next(gateway, UNCERTAIN)
    why = (await gateway.http.get(f"/v1/message/{name}/explain")).json()
    assert why["status"] == "pending" and why["blockers"][0]["code"] == "uncertain"
    answer = await gateway.http.post(f"/v1/message/{name}/resolve", json={"outcome": outcome, "by": "Asha"})
    assert answer.json()["status"] == status
    refused = await gateway.http.post(f"/v1/message/{name}/resolve", json={"outcome": outcome})
    assert refused.status_code == 409


async def test_failed_messages_are_retried_by_id_or_by_time(gateway: Gateway) -> None:
    names = [await send(gateway, chat_id=f"91953785180{n}") for n in range(4)]
    for _ in names:
        await settle_next(gateway, FAILED)
    answer = await gateway.http.post("/v1/message/queues/retry", json={"queue_ids": names[:2]})
    assert answer.json() == {"retried": 2}
    since = {"since": "2026-01-01T00:00:00Z"}
    headers = {"x-phone": gateway.phone.number}
    assert (await gateway.http.post("/v1/message/queues/retry", json=since, headers=headers)).json() == {"retried": 2}
    assert (await gateway.http.post("/v1/message/queues/retry", json={})).status_code == 422
    assert (await gateway.http.post("/v1/message/queues/retry", json=since)).status_code == 422
    for late in ("2095-06-01T00:00:00Z", "2199-12-31T00:00:00Z"):  # later than the last id that 63 bits can hold
        answer = await gateway.http.post("/v1/message/queues/retry", json={"since": late}, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"retried": 0})


async def test_a_message_may_have_a_lane_and_an_end(gateway: Gateway) -> None:
    await send(gateway, priority="urgent", ttl_seconds=60)
    (job,) = await gateway.jobs()
    assert job.priority == 0 and job.expires_at_us == gateway.clock.now_us() + 60_000_000
    for wrong in ({"priority": "now"}, {"ttl_seconds": -1}, {"expires_at": "2020-01-01T00:00:00Z"}):
        answer = await gateway.send(**wrong)
        assert answer.status_code == 422 and list(answer.json()["fields"]) == list(wrong)


async def test_the_suppression_list_is_kept_by_hand_too(gateway: Gateway) -> None:
    made = await gateway.http.post("/v1/suppressions", json={"chat_id": "919537851844", "reason": "asked by phone"})
    assert made.json() == {"what": "919537851844@c.us", "state": "suppressed", "changed": True}
    (row,) = (await gateway.http.get("/v1/suppressions")).json()
    assert (row["chat_id"], row["reason"]) == ("919537851844@c.us", "asked by phone")
    assert (await gateway.http.delete("/v1/suppressions/919537851844")).status_code == 200
    assert (await gateway.http.delete("/v1/suppressions/919537851844")).status_code == 404


@pytest.mark.parametrize("act", ["cancel", "retry", "resolve"])
async def test_an_unknown_message_is_a_404(gateway: Gateway, act: str) -> None:
    answer = await gateway.http.post(f"/v1/message/nonsense/{act}", json={"outcome": "again"})
    assert answer.status_code == 404


async def test_a_bad_actor_or_reason_is_refused(gateway: Gateway) -> None:
    for wrong in ({"by": "x" * 101}, {"by": "a\nb"}, {"reason": "x" * 501}):
        answer = await gateway.http.post("/v1/phones/pause", json=wrong)
        assert answer.status_code == 422 and list(answer.json()["fields"]) == list(wrong)


async def test_a_message_explains_its_turn_and_its_time(gateway: Gateway) -> None:
    first = await send(gateway)
    second = await send(gateway)
    why = (await gateway.http.get(f"/v1/message/{second}/explain")).json()
    assert "Waits behind 1 earlier message to the same chat." in [b["text"] for b in why["blockers"]]
    await settle_next(gateway, SENT)
    why = (await gateway.http.get(f"/v1/message/{first}/explain")).json()
    assert (why["sentence"], why["blockers"]) == ("Successfully submitted.", [])


async def test_a_phone_takes_a_preset_or_a_policy_of_its_own(gateway: Gateway) -> None:
    preset = await gateway.http.patch("/v1/phones/update", json={"pacing": "linked-warm"})
    assert preset.json()["pacing"] == "linked-warm"
    own = {"base": "linked-warm", "per_hour": 40, "quiet_hours": {"start": "21:00", "end": "08:00"}}
    kept = (await gateway.http.patch("/v1/phones/update", json={"pacing": own})).json()["pacing"]
    assert parse_policy(kept).per_hour == 40 and parse_policy(kept).quiet is not None


@pytest.mark.parametrize(
    ("pacing", "field"),
    [
        ("fast", "pacing"),
        ({"base": "fast"}, "base"),
        ({"per_hour": 0}, "per_hour"),
        ({"per_hour": "many"}, "per_hour"),
        ({"gap_min_s": 5, "gap_max_s": 1}, "gap_max_s"),
        ({"speed": 1}, "speed"),
        ({"quiet_hours": {"start": "25:00", "end": "08:00"}}, "quiet_hours"),
        ({"warm_up": [{"until_day": 2, "per_day": 50}, {"until_day": 1}]}, "warm_up"),
        ({"per_day": 10, "warm_up": [{"until_day": 2, "per_day": 50}]}, "warm_up"),
    ],
)
async def test_a_policy_that_cannot_be_kept_is_refused_by_field(gateway: Gateway, pacing: Any, field: str) -> None:
    answer = await gateway.http.patch("/v1/phones/update", json={"pacing": pacing})
    assert answer.status_code == 422 and field in answer.json()["fields"]
    shown = (await gateway.http.get("/v1/phones")).json()
    assert shown["pacing"] == "none"


async def test_lists_status_and_explain_say_the_same(gateway: Gateway) -> None:
    name = await send(gateway)
    await gateway.http.post("/v1/chats/919537851844/pause", json={"by": "Asha"})
    why = (await gateway.http.get(f"/v1/message/{name}/explain")).json()["sentence"]
    (listed,) = (await gateway.http.post("/v1/message/queues", json={"queue_id": name})).json()
    (legacy,) = (await gateway.http.get("/v1/queue/jobs")).json()
    status = (await gateway.http.get(f"/v1/message/{name}/status")).json()
    assert [one["status_description"] for one in (listed, legacy, status)] == [why] * 3


async def test_bulk_messages_to_who_said_stop_are_refused_and_others_go(gateway: Gateway) -> None:
    keyed = {"Idempotency-Key": "before"}
    body = {"chat_id": "919537851844", "message": "News", "priority": "bulk"}
    before = await gateway.http.post("/v1/message/send", json=body, headers=keyed)
    assert before.status_code == 200
    await gateway.http.post("/v1/suppressions", json={"chat_id": "919537851844", "reason": "STOP", "by": "them"})
    count = len(await gateway.jobs())
    for path in ("/v1/message/send", "/v1/message/send-sync"):
        refused = await gateway.http.post(path, json=body, headers={"Idempotency-Key": path})
        assert refused.status_code == 422
        assert "on the suppression list since" in refused.json()["fields"]["chat_id"]["message"]
        assert refused.json()["reason"] == "suppressed"  # what is only wrong has none
        assert "STOP, by them" in refused.json()["message"]
    assert len(await gateway.jobs()) == count
    again = await gateway.http.post("/v1/message/send", json=body, headers=keyed)
    assert again.json() == before.json() and again.headers["idempotent-replayed"] == "true"
    for priority in ("normal", "urgent", None):
        sent = await gateway.http.post("/v1/message/send", json=body | {"priority": priority})
        assert sent.status_code == 200
    assert (await gateway.http.post("/v1/message/send", json=body | {"chat_id": "919537851845"})).status_code == 200
    await gateway.http.delete("/v1/suppressions/919537851844")
    taken_back = {"Idempotency-Key": "/v1/message/send"}
    assert (await gateway.http.post("/v1/message/send", json=body, headers=taken_back)).status_code == 200
