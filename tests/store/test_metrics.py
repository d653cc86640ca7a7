"""Tests of the backlog in /metrics against the rows of the store."""

import pytest

from heliograph.domain.errors import Unavailable
from heliograph.ports.meter import Backlog
from heliograph.store.metrics import BacklogReader
from tests.kit.phone_queue import SENT, PhoneQueue, retry, uncertain


async def read(queue: PhoneQueue) -> Backlog:
    return await BacklogReader(queue.stores.database, queue.clock)()


async def test_an_empty_store_has_no_backlog(queue: PhoneQueue) -> None:
    found = await read(queue)
    assert (found.waiting, found.sending, found.uncertain, found.oldest_waiting_s) == (0, 0, 0, 0.0)
    assert found.phones_connected + found.phones_down == 1


async def test_the_backlog_counts_all_phones_and_knows_its_oldest(queue: PhoneQueue) -> None:
    other = await queue.add_phone("447700900123")
    await queue.put("a")
    queue.clock.advance(5)
    await other.put("b")
    queue.clock.advance(2)
    found = await read(queue)
    assert (found.waiting, found.oldest_waiting_s) == (2, 7.0)
    assert found.phones_connected + found.phones_down == 2
    (one,) = await queue.start()
    found = await read(queue)
    assert (found.waiting, found.sending, found.oldest_waiting_s) == (1, 1, 2.0)
    await queue.settle(one, uncertain())
    assert (await read(queue)).uncertain == 1
    await other.send_next(SENT)
    found = await read(queue)
    assert (found.waiting, found.sending, found.oldest_waiting_s) == (0, 0, 0.0)


async def test_a_message_that_waits_for_its_retry_grows_old_too(queue: PhoneQueue) -> None:
    await queue.put("a")
    (one,) = await queue.start()
    await queue.settle(one, retry(60.0))
    queue.clock.advance(9)
    assert (await read(queue)).oldest_waiting_s == 9.0


async def test_an_unreachable_database_is_named_as_the_cause(
    queue: PhoneQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_unit: object) -> None:
        raise Unavailable("The database is away.")

    monkeypatch.setattr(queue.stores.database, "read", away)
    with pytest.raises(Unavailable):
        await read(queue)
