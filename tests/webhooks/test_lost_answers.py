"""Tests of a webhook worker whose database answers late or not at all: each event is delivered all the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from heliograph.clock import SystemClock
from heliograph.domain.errors import Unavailable
from heliograph.ports.stores.delivery_store import ClaimRequest
from heliograph.store.delivery_store import SqlDeliveryStore
from tests.kit.database import open_database
from tests.kit.until import until
from tests.webhooks.gateway import delivering, open_gateway, receiving


class LostAnswers:
    """Runs every unit, and loses the answers to the writes that `lost` names by their number."""

    def __init__(self, inner: Any, lost: Callable[[int], bool], *, before: Callable[[int], bool] = lambda _n: False):
        self._inner, self._lost, self._before, self.writes = inner, lost, before, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def write(self, *args: Any, **more: Any) -> Any:
        self.writes += 1
        n = self.writes
        if self._before(n):
            raise Unavailable("The connection broke before the transaction began.")
        result = await self._inner.write(*args, **more)
        if self._lost(n):
            raise Unavailable("The connection broke between the commit and its answer.")
        return result


def where(database: str, request: pytest.FixtureRequest, folder: Path) -> Path | str:
    return folder / "heliograph.db" if database == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_every_second_lost_answer_of_a_worker_leaves_no_event_untold(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    async with (
        open_database(where(database, request, tmp_path), SystemClock()) as inner,
        open_gateway(inner) as gateway,
        receiving() as receiver,
    ):
        await gateway.hook(receiver.url, "message.created")
        losing: Any = LostAnswers(inner, lambda n: 2 < n < 24 and n % 2 == 0)
        async with delivering(gateway, database=losing, alone=database == "sqlite"):
            for n in range(20):
                await gateway.enqueue(chat=f"91953785{n:04d}", text=str(n))
            await until(lambda: len({got.headers["webhook-id"] for got in receiver.got}) == 20, limit_s=60)
        assert losing.writes >= 24


async def test_a_write_that_is_refused_at_the_start_does_not_end_the_worker(tmp_path: Path) -> None:
    async with (
        open_database(tmp_path / "heliograph.db", SystemClock()) as inner,
        open_gateway(inner) as gateway,
        receiving() as receiver,
    ):
        await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        refusing: Any = LostAnswers(inner, lambda _n: False, before=lambda n: n == 1)
        async with delivering(gateway, database=refusing):
            await until(lambda: len(receiver.got) == 1, limit_s=30)


async def test_a_worker_that_is_alone_frees_the_claims_of_one_whose_clock_was_ahead(tmp_path: Path) -> None:
    async with (
        open_database(tmp_path / "heliograph.db", SystemClock()) as inner,
        open_gateway(inner) as gateway,
        receiving() as receiver,
    ):
        await gateway.hook(receiver.url, "message.created")
        await gateway.enqueue()
        ahead = SqlDeliveryStore(inner, SystemClock(), gateway.ids)
        await ahead.join("before the leap", alive_s=3_600 * 24, alone=True)
        (endpoint,) = await ahead.fan_out(100)
        claimed = await ahead.settle_and_claim(
            "before the leap", [], [ClaimRequest(*endpoint, 5)], at_once=1, probe_s=5
        )
        assert len(claimed.runs) == 1
        async with delivering(gateway, name="after it"):
            await until(lambda: len(receiver.got) == 1, limit_s=30)
