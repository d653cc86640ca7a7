"""The simulated network as a provider: what other rooms know of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from heliograph.providers.spec import OpenProvider, ProviderContext, ProviderSpec


@asynccontextmanager
async def _open(context: ProviderContext) -> AsyncIterator[OpenProvider]:
    from heliograph.providers.simulator.provider import SimulatorProvider

    provider = SimulatorProvider(context.network, context.clock, ack_timeout_s=context.settings.ack_timeout_seconds)
    try:
        yield OpenProvider(provider)
    finally:
        await provider.shutdown()


SPEC = ProviderSpec(name="simulator", preset="none", open=_open, pairing_code="heliograph-simulator:{}".format)
