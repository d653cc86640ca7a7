"""Tests of incoming webhooks: every published shape is read, unsigned ones are refused, and repeats change nothing."""

import dataclasses
import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.ports.provider import Phone
from heliograph.ports.provider_inbox import InboxItem, NewInboxItem, ReceiveStatus
from heliograph.providers.cloud.webhook_payload import read_delivery
from heliograph.providers.cloud.webhook_payload import signed as is_signed
from heliograph.providers.cloud.webhook_receiver import CloudWebhookReceiver
from heliograph.vault import Vault
from tests.kit.clocks import ManualClock
from tests.providers.cloud.session import CLOCK, cloud_phone
from tests.providers.cloud.webhooks import (
    PERSON,
    PHONE,
    SECRET,
    SHAPES,
    change,
    from_person,
    message,
    payload,
    raw,
    signed,
    status,
)

OURS = cloud_phone("http://127.0.0.1:1")
NOW = 1_900_000_000_000_000


@pytest.mark.parametrize("name", SHAPES)
def test_each_published_shape_is_read(name: str) -> None:
    shape, kind, words = SHAPES[name]
    news = read_delivery(OURS, raw(shape), NOW)
    assert [(m.type, m.body, m.chat_id) for m in news.inbound] == ([(kind, words, f"{PERSON}@c.us")] if kind else [])
    assert news.receipts == ()


def test_a_voice_note_is_told_from_a_plain_audio_file() -> None:
    voice = from_person(message("audio", {"id": "1", "mime_type": "audio/ogg", "voice": True}))
    plain = from_person(message("audio", {"id": "1", "mime_type": "audio/mpeg", "voice": False}))
    assert [read_delivery(OURS, raw(one), NOW).inbound[0].type for one in (voice, plain)] == ["ptt", "audio"]


@pytest.mark.parametrize(("name", "ack"), [("sent", 2), ("delivered", 3), ("read", 4), ("played", 5), ("failed", -1)])
def test_statuses_become_ack_levels_without_contacts(name: str, ack: int) -> None:
    news = read_delivery(OURS, raw(change({"statuses": [status(name, biz_opaque_callback_data="q-1")]})), NOW)
    (receipt,) = news.receipts
    assert (receipt.ack, receipt.tracker, receipt.provider_message_id) == (ack, "q-1", "wamid.A")
    assert receipt.at_us == 1_763_000_000_999_999


def test_a_time_is_the_end_of_its_second_but_not_after_its_arrival() -> None:
    body = raw(change({"statuses": [status("read", at=1_763_000_000)]}))
    stamps = [1_763_000_000_400_000, 1_763_000_000_999_999, 1_763_000_600_000_000, 1_762_999_000_000_000]
    times = [read_delivery(OURS, body, received).receipts[0].at_us - 1_763_000_000_000_000 for received in stamps]
    assert times == [400_000, 999_999, 999_999, 0]
    odd = raw(change({"statuses": [status("read") | {"timestamp": "soon"}]}))
    assert read_delivery(OURS, odd, 77).receipts[0].at_us == 77


def test_a_failed_status_says_why_in_plain_words() -> None:
    why = {"code": 131047, "title": "Re-engagement", "error_data": {"details": "24 hours"}}
    (receipt,) = read_delivery(OURS, raw(change({"statuses": [status("failed", errors=[why])]})), NOW).receipts
    assert receipt.code == "window_closed"
    assert receipt.detail and "template" in receipt.detail and "131047" in receipt.detail


def test_several_statuses_and_phones_in_one_webhook_are_kept_apart() -> None:
    body = raw(
        change({"statuses": [status("read", wamid="wamid.1"), status("sent", wamid="wamid.2")]}),
        change({"statuses": [status("sent", wamid="wamid.3")]}, phone="555555555555555"),
        change({"statuses": [status("deleted"), {"status": "sent"}, 7, None], "messages": [{}, {"id": "x"}, "odd"]}),
    )
    assert [r.provider_message_id for r in read_delivery(OURS, body, NOW).receipts] == ["wamid.1", "wamid.2"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.binary(max_size=300))
def test_no_bytes_raise_an_error(body: bytes) -> None:
    assert read_delivery(OURS, body, NOW).inbound == ()


@given(_JSON, _JSON, _JSON)
def test_no_odd_value_inside_a_right_frame_raises_an_error(statuses: Any, messages: Any, metadata: Any) -> None:
    inside = {"metadata": {"phone_number_id": PHONE}, "statuses": [statuses], "messages": [messages, statuses]}
    odd = {"metadata": metadata, "statuses": statuses, "messages": messages}
    body = json.dumps(payload({"value": inside, "field": "messages"}, {"value": odd})).encode()
    news = read_delivery(OURS, body, NOW)
    assert all(r.ack for r in news.receipts) and all(m.message_id for m in news.inbound)


def test_the_signature_is_that_of_the_raw_bytes() -> None:
    body = raw(SHAPES["text"][0])
    again = json.dumps(json.loads(body), separators=(",", ":")).encode()
    assert is_signed(body, signed(body), SECRET)
    assert not is_signed(again, signed(body), SECRET)
    for wrong in (
        "",
        "sha256=",
        signed(body)[7:],
        signed(body).upper(),
        "sha1=" + signed(body)[7:],
        signed(body) + "0",
    ):
        assert not is_signed(body, wrong, SECRET)
    assert not is_signed(body, signed(body, ""), "")


class InMemoryInbox:
    """An inbox in memory."""

    def __init__(self) -> None:
        self.rows: list[NewInboxItem] = []

    async def keep_deliveries(self, deliveries: Sequence[NewInboxItem]) -> None:
        self.rows.extend(deliveries)

    async def deliveries(self, phones: Sequence[tuple[int, int]], limit: int) -> list[InboxItem]:
        raise AssertionError("the receiver only stores")

    async def drop_deliveries(self, deliveries: Sequence[InboxItem]) -> None:
        raise AssertionError("the receiver only stores")

    async def prune_deliveries(self, before_us: int) -> None:
        raise AssertionError("the receiver only stores")


def row(phone: Phone, vault: Vault, **config: str) -> PhoneRow:
    sealed = vault.seal(json.dumps({**phone.config, **config}), about=phone.phone_id)
    empty: dict[str, Any] = {f.name: None for f in dataclasses.fields(PhoneRow)}
    known = {"phone_no": phone.phone_no, "org_no": 1, "phone_id": phone.phone_id, "provider": "cloud", "config": sealed}
    return PhoneRow(**(empty | known))


class Phones:
    def __init__(self, *rows: PhoneRow) -> None:
        self.rows = list(rows)

    async def phones(self, org_no: int | None) -> list[PhoneRow]:
        assert org_no is None
        return self.rows


def webhook_receiver(*rows: PhoneRow, vault: Vault) -> tuple[CloudWebhookReceiver, InMemoryInbox]:
    kept = InMemoryInbox()
    return CloudWebhookReceiver(Phones(*rows), kept, vault, CLOCK), kept


VAULT = Vault("a key of the test, long enough")


async def test_a_signed_webhook_is_stored_as_it_came_before_it_is_confirmed() -> None:
    receiver, kept = webhook_receiver(row(OURS, VAULT), vault=VAULT)
    body = raw(SHAPES["text"][0])
    verdict = await receiver.receive(body, signed(body))
    assert verdict.answer is ReceiveStatus.STORED and verdict.phone_nos == (1,)
    assert [(r.org_no, r.phone_no, r.payload) for r in kept.rows] == [(1, 1, body)]


async def test_a_thousand_forged_and_altered_webhooks_store_nothing() -> None:
    receiver, kept = webhook_receiver(row(OURS, VAULT), vault=VAULT)
    dice = random.Random(6)
    body = raw(change({"statuses": [status("read", biz_opaque_callback_data="q-1")]}))
    good = signed(body)
    answers = []
    for n in range(1_000):
        altered, signature = bytearray(body), good
        match n % 5:
            case 0:  # one bit of the body
                altered[dice.randrange(len(altered))] ^= 1 << dice.randrange(8)
            case 1:  # another secret
                signature = signed(body, f"secret-{n}")
            case 2:  # one digit of the signature
                place = dice.randrange(7, len(good))
                signature = good[:place] + ("0" if good[place] != "0" else "1") + good[place + 1 :]
            case 3:  # cut or missing
                signature = good[: dice.randrange(len(good))]
            case _:  # another message under an old signature
                altered = bytearray(raw(change({"statuses": [status("failed", wamid=f"wamid.{n}")]})))
        answers.append((await receiver.receive(bytes(altered), signature)).answer)
    assert ReceiveStatus.STORED not in answers
    assert kept.rows == []
    assert {ReceiveStatus.FORGED} <= set(answers) <= {ReceiveStatus.FORGED, ReceiveStatus.MALFORMED}


async def test_a_phone_of_another_organisation_with_its_own_secret_proves_nothing_for_ours() -> None:
    intruder = cloud_phone("http://127.0.0.1:1", phone_no=2)
    receiver, kept = webhook_receiver(
        row(OURS, VAULT), row(intruder, VAULT, app_secret="secret-of-the-intruder"), vault=VAULT
    )
    body = raw(SHAPES["text"][0])
    verdict = await receiver.receive(body, signed(body, "secret-of-the-intruder"))
    assert verdict.phone_nos == (2,)
    assert [r.phone_no for r in kept.rows] == [2]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"object":"page","entry":[]}', b'{"entry":1}', b"\xff\xfe", b"[" * 99_999]
)
async def test_a_malformed_webhook_is_refused_with_a_reason(body: bytes) -> None:
    receiver, kept = webhook_receiver(row(OURS, VAULT), vault=VAULT)
    verdict = await receiver.receive(body, signed(body))
    assert verdict.answer is ReceiveStatus.MALFORMED and verdict.detail
    assert kept.rows == []


async def test_a_webhook_for_an_unknown_phone_is_refused() -> None:
    receiver, kept = webhook_receiver(row(OURS, VAULT), vault=VAULT)
    body = raw(change({"statuses": [status("sent")]}, phone="999999999999999"))
    assert (await receiver.receive(body, signed(body))).answer is ReceiveStatus.FORGED
    assert kept.rows == []


async def test_the_handshake_echoes_only_for_one_of_our_tokens() -> None:
    receiver, _ = webhook_receiver(row(OURS, VAULT), vault=VAULT)
    assert await receiver.challenge("subscribe", "graph-test-verify-token", "1158201444") == "1158201444"
    assert await receiver.challenge("subscribe", "another", "1158201444") is None
    assert await receiver.challenge("unsubscribe", "graph-test-verify-token", "1158201444") is None
    assert await receiver.challenge("subscribe", "", "1158201444") is None
    assert await receiver.challenge("subscribe", "graph-test-verify-token", "x" * 5_000) is None


async def test_a_phone_whose_credentials_do_not_open_does_not_stop_the_others() -> None:
    other = cloud_phone("http://127.0.0.1:1", phone_no=3, phone_number_id="300000000000003")
    receiver, _ = webhook_receiver(row(other, Vault("another key altogether")), row(OURS, VAULT), vault=VAULT)
    body = raw(SHAPES["text"][0])
    assert (await receiver.receive(body, signed(body))).answer is ReceiveStatus.STORED


async def test_a_new_phone_or_a_new_secret_is_known_within_a_second_and_a_flood_reads_the_phones_once() -> None:
    clock, kept = ManualClock(), InMemoryInbox()
    phones = Phones()
    reads = 0

    class Counted:
        async def phones(self, org_no: int | None) -> list[PhoneRow]:
            nonlocal reads
            reads += 1
            return await phones.phones(org_no)

    receiver = CloudWebhookReceiver(Counted(), kept, VAULT, clock)
    body = raw(SHAPES["text"][0])
    for _ in range(100):
        assert (await receiver.receive(body, signed(body))).answer is ReceiveStatus.FORGED
    assert reads == 1
    phones.rows.append(row(OURS, VAULT))
    clock.advance(1.1)
    assert (await receiver.receive(body, signed(body))).answer is ReceiveStatus.STORED
    phones.rows[0] = row(OURS, VAULT, app_secret="another-app-secret")
    clock.advance(1.1)
    assert (await receiver.receive(body, signed(body, "another-app-secret"))).answer is ReceiveStatus.STORED
    assert (await receiver.receive(body, signed(body))).answer is ReceiveStatus.FORGED
