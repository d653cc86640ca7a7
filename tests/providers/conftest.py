"""The list of provider cases: each is held to test_contract.py."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.kit.provider import ProviderCase
from tests.providers.cloud.provider_case import cloud_api
from tests.providers.simulator.provider_case import in_process, over_a_socket

CASES: dict[str, Callable[[Path], AbstractAsyncContextManager[ProviderCase]]] = {
    "simulator": in_process,
    "simulator over a socket": over_a_socket,
    "cloud": cloud_api,
}


@pytest.fixture(params=list(CASES))
async def case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ProviderCase]:
    async with CASES[request.param](tmp_path) as made:
        yield made
