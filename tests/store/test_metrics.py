"""What /metrics says of the backlog is what stands in the store."""

import pytest

from heliograph.domain.errors import Unavailable
from heliograph.ports.meter import Backlog
from heliograph.store.metrics import BacklogReader
from tests.kit.store import SENT, Desk, another_phone, retry, uncertain


async def read(desk: Desk) -> Backlog:
    return await BacklogReader(desk.store.shell, desk.clock)()


async def test_an_empty_store_has_no_backlog(desk: Desk) -> None:
    found = await read(desk)
    assert (found.waiting, found.sending, found.uncertain, found.oldest_waiting_s) == (0, 0, 0, 0.0)
    assert found.phones_connected + found.phones_down == 1


async def test_the_backlog_counts_all_phones_and_knows_its_oldest(desk: Desk) -> None:
    other = await another_phone(desk, "447700900123")
    await desk.put("a")
    desk.clock.turn(5)
    await other.put("b")
    desk.clock.turn(2)
    found = await read(desk)
    assert (found.waiting, found.oldest_waiting_s) == (2, 7.0)
    assert found.phones_connected + found.phones_down == 2
    (one,) = await desk.start()
    found = await read(desk)
    assert (found.waiting, found.sending, found.oldest_waiting_s) == (1, 1, 2.0)
    await desk.settle(one, uncertain())
    assert (await read(desk)).uncertain == 1
    await other.send(SENT)
    found = await read(desk)
    assert (found.waiting, found.sending, found.oldest_waiting_s) == (0, 0, 0.0)


async def test_a_message_that_waits_for_its_retry_grows_old_too(desk: Desk) -> None:
    await desk.put("a")
    (one,) = await desk.start()
    await desk.settle(one, retry(60.0))
    desk.clock.turn(9)
    assert (await read(desk)).oldest_waiting_s == 9.0


async def test_a_database_that_is_away_is_said_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_make: object) -> None:
        raise Unavailable("The database is away.")

    monkeypatch.setattr(desk.store.shell, "read", away)
    with pytest.raises(Unavailable):
        await read(desk)
