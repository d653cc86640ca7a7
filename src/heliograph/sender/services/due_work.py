"""Steps of the services that turn due broadcasts and schedules into jobs."""

from collections.abc import Awaitable, Callable

from heliograph.ports.clock import Clock
from heliograph.ports.wake import Wake

DueStep = Callable[[], Awaitable[tuple[set[int], int | None]]]


async def run_due_step(step: DueStep, wake: Wake, clock: Clock, *, soonest_s: float, latest_s: float) -> float:
    """Runs one step of the store, wakes the phones that got jobs, and returns the seconds until the next step.

    Promise: any number of processes may do this at the same time; the store lets each run happen once.
    """
    phones, due_us = await step()
    wake.phones(phones)
    return latest_s if due_us is None else min(max((due_us - clock.now_us()) / 1e6, soonest_s), latest_s)
