"""Tests of the test recipients: each behaves as the interface page says."""

import pytest

from heliograph.domain.jobs.outcome import Accepted, NotSent, Rejected, Scope, SessionDown, Throttled, Unknown
from heliograph.ports.provider import SessionState
from tests.simulator.network_client import Client

ID = "3EB0AAAAAAAAAAAAAAAAAA"
ANYONE = "919537851844@c.us"


def chat(suffix: str) -> str:
    return f"120255501{suffix}@c.us"


async def test_any_number_gets_it_at_once_delivered_after_200_ms_read_after_500_ms(client: Client) -> None:
    assert await client.send(ANYONE, unique_id=ID) == Accepted()
    await client.until(lambda: client.sink.acks(ID) == [3, 4])
    (delivered, read), (first, second) = client.sink.times, client.sink.got
    assert 0.2 <= delivered < 0.25 and 0.5 <= read < 0.55
    assert second.at_us - first.at_us == 300_000


@pytest.mark.parametrize(
    ("suffix", "acks"),
    [("00", [3, 4]), ("01", [3]), ("02", [2]), ("04", [3, 4, 5]), ("60", [4, 3]), ("61", [3, 3, 4, 4]), ("03", [3, 4])],
)
async def test_receipts_come_as_the_recipient_is_known_for(client: Client, suffix: str, acks: list[int]) -> None:
    assert await client.send(chat(suffix), unique_id=ID) == Accepted()
    await client.pass_time(2)
    assert client.sink.acks(ID) == acks
    (message,) = await client.journal()
    assert (message["ack"], message["shown"], message["transmissions"]) == (max(acks), 1, 1)


async def test_05_echoes_06_answers_stop_and_07_reacts(client: Client) -> None:
    for suffix in ("05", "06", "07"):
        await client.send(chat(suffix), "ahoy", unique_id=f"3EB0{suffix}")
    await client.until(lambda: len(client.sink.messages) == 3)
    said = {message.chat_id: (message.type, message.body) for message in client.sink.messages}
    assert said == {chat("05"): ("chat", "ahoy"), chat("06"): ("chat", "STOP"), chat("07"): ("reaction", "👍")}
    assert client.sink.messages[2].raw == {"reacted_to": "3EB007"}


@pytest.mark.parametrize(("suffix", "failures"), [("10", 1), ("11", 2), ("65", 1)])
async def test_a_transient_failure_ends_after_its_count_for_each_message_anew(
    client: Client, suffix: str, failures: int
) -> None:
    for unique_id in ("3EB01", "3EB02"):
        for _ in range(failures):
            assert isinstance(await client.send(chat(suffix), unique_id=unique_id), NotSent)
        assert await client.send(chat(suffix), unique_id=unique_id) == Accepted()
    assert [message["transmissions"] for message in await client.journal()] == [1, 1]


async def test_12_fails_every_time(client: Client) -> None:
    for _ in range(6):
        assert isinstance(await client.send(chat("12"), unique_id=ID), NotSent)
    assert await client.journal() == []


async def test_13_asks_to_wait_a_second_once(client: Client) -> None:
    asked = await client.send(chat("13"), unique_id=ID)
    assert isinstance(asked, Throttled) and (asked.retry_after_s, asked.scope) == (1.0, Scope.CHAT)
    assert await client.send(chat("13"), unique_id=ID) == Accepted()


async def test_14_takes_ten_seconds(client: Client) -> None:
    assert await client.send(chat("14")) == Accepted()
    assert 10 <= client.clock.monotonic() < 10.1


@pytest.mark.parametrize(
    ("suffix", "code"), [("40", "not_on_whatsapp"), ("41", "blocked"), ("42", "invalid_chat"), ("45", "media_rejected")]
)
async def test_a_permanent_failure_is_rejected_in_plain_words(client: Client, suffix: str, code: str) -> None:
    outcome = await client.send(chat(suffix))
    assert isinstance(outcome, Rejected) and outcome.code == code and outcome.detail.endswith(".")
    assert await client.journal() == []


async def test_43_stops_new_chats_for_a_minute_and_lets_known_ones_go_on(client: Client) -> None:
    await client.send(ANYONE)
    held = await client.send(chat("43"), unique_id=ID)
    assert isinstance(held, Throttled) and (held.retry_after_s, held.scope) == (60.0, Scope.NEW_CHATS)
    other = await client.send("919537851845@c.us")
    assert isinstance(other, Throttled) and other.scope is Scope.NEW_CHATS
    assert await client.send(ANYONE) == Accepted()
    await client.pass_time(60)
    assert await client.send(chat("43"), unique_id=ID) == Accepted()


async def test_44_restricts_the_phone_for_a_minute(client: Client) -> None:
    held = await client.send(chat("44"), unique_id=ID)
    assert isinstance(held, Throttled) and (held.code, held.retry_after_s) == ("restricted", 60.0)
    assert held.scope is Scope.PHONE
    assert isinstance(await client.send(ANYONE), Throttled)
    await client.until(lambda: client.sink.state() is SessionState.RESTRICTED)
    await client.until(lambda: client.sink.state() is SessionState.CONNECTED)
    assert await client.send(chat("44"), unique_id=ID) == Accepted()


async def test_62_is_taken_but_never_acknowledged(client: Client) -> None:
    outcome = await client.send(chat("62"), unique_id=ID)
    assert isinstance(outcome, Unknown) and outcome.taken and outcome.waited
    assert 20 <= client.clock.monotonic() < 20.1
    await client.pass_time(60)
    (message,) = await client.journal()
    assert (client.sink.got, message["ack"], message["shown"]) == ([], 0, 1)


async def test_63_is_acknowledged_after_the_gateway_stopped_waiting(client: Client) -> None:
    outcome = await client.send(chat("63"), unique_id=ID)
    assert isinstance(outcome, Unknown) and outcome.taken and outcome.waited and client.sink.got == []
    await client.until(lambda: client.sink.acks(ID) == [2])
    assert 20.9 < client.clock.monotonic() < 21.2


async def test_64_is_taken_and_its_answer_lost_once_and_a_repeat_is_recognised(client: Client) -> None:
    lost = await client.send(chat("64"), unique_id=ID)
    assert isinstance(lost, Unknown) and not lost.taken and not lost.waited
    assert await client.send(chat("64"), unique_id=ID) == Accepted()
    await client.until(lambda: 4 in client.sink.acks(ID))
    (message,) = await client.journal()
    assert (message["shown"], message["transmissions"]) == (1, 2)


async def test_66_is_never_answered_and_a_repeat_would_be_a_second_message(client: Client) -> None:
    assert not client.provider.honours_client_id(client.request(chat("66")).content, chat("66"))
    for _ in range(2):
        assert isinstance(await client.send(chat("66"), unique_id=ID), Unknown)
    await client.pass_time(2)
    (message,) = await client.journal()
    assert (message["shown"], message["transmissions"], client.sink.got) == (2, 2, [])


@pytest.mark.parametrize(("suffix", "state"), [("80", SessionState.LOGGED_OUT), ("82", SessionState.REPLACED)])
async def test_a_phone_that_was_thrown_out_comes_back_by_a_restart(
    client: Client, suffix: str, state: SessionState
) -> None:
    down = await client.send(chat(suffix), unique_id=ID)
    assert isinstance(down, SessionDown) and down.retry_after_s is None
    await client.until(lambda: client.sink.state() is state)
    await client.pass_time(300)
    assert isinstance(await client.send(ANYONE), SessionDown)
    await client.provider.restart(1)
    await client.until(lambda: client.sink.state() is SessionState.CONNECTED)
    assert await client.send(chat(suffix), unique_id=ID) == Accepted()


async def test_81_takes_the_phone_offline_for_half_a_minute(client: Client) -> None:
    down = await client.send(chat("81"), unique_id=ID)
    assert isinstance(down, SessionDown) and down.retry_after_s == 30.0
    await client.until(lambda: client.sink.state() is SessionState.OFFLINE)
    await client.until(lambda: client.sink.state() is SessionState.CONNECTED)
    assert 30 <= client.clock.monotonic() < 30.2
    assert await client.send(chat("81"), unique_id=ID) == Accepted()


async def test_a_group_behaves_by_its_suffix_and_its_three_members_send_the_receipts(client: Client) -> None:
    await client.send("120363000000000101@g.us", unique_id=ID)
    await client.pass_time(2)
    assert client.sink.acks(ID) == [3, 3, 3]
    assert len({receipt.participant for receipt in client.sink.got}) == 3


async def test_any_other_group_is_like_any_number(client: Client) -> None:
    await client.send("120363111111111111@g.us", unique_id=ID)
    await client.pass_time(2)
    assert client.sink.acks(ID) == [3, 4]
