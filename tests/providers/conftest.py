"""The registry of the contract: each provider adds its ground here, and is then held to test_contract.py."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.kit.provider import Ground
from tests.providers.cloud.provider_case import cloud_api
from tests.providers.simulator.provider_case import in_process, over_a_socket

GROUNDS: dict[str, Callable[[Path], AbstractAsyncContextManager[Ground]]] = {
    "simulator": in_process,
    "simulator over a socket": over_a_socket,
    "cloud": cloud_api,
}


@pytest.fixture(params=list(GROUNDS))
async def ground(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ground]:
    async with GROUNDS[request.param](tmp_path) as made:
        yield made
