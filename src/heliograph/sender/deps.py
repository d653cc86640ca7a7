"""Dependencies that `app/` hands to the sender."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.jobs.verdict import Limits
from heliograph.domain.pacing.next_start import Policy
from heliograph.ports.clock import Chance, Clock
from heliograph.ports.logger import Logger
from heliograph.ports.meter import Meter
from heliograph.ports.provider import Provider
from heliograph.ports.stores.lease_store import LeaseStore
from heliograph.ports.stores.sender_store import SenderStore
from heliograph.sender.attempt import Prepare


async def _no_pause(_org_no: int, _phone_no: int, _why: str) -> None:
    """Default: the sender cannot pause phones."""


def _no_backpressure() -> bool:
    """Default: no API runs in this process."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderDeps:
    """Dependencies of the sender. `provider(name)`: None = unknown here. `config(row)`: decrypted."""

    store: SenderStore
    leases: LeaseStore
    clock: Clock
    meter: Meter
    chance: Chance
    limits: Limits
    lease_s: float
    owner: str
    sole: bool
    loops: int
    has_backpressure: Callable[[], bool] = _no_backpressure
    org_per_second: float = 0.0
    provider: Callable[[str], Provider | None]
    policy: Callable[[PhoneRow], Policy]
    config: Callable[[PhoneRow], Mapping[str, object]]
    prepare: Prepare
    freed: Callable[[], Awaitable[None]]
    hold: Callable[[int, int, str], Awaitable[object]] = _no_pause  # org_no, phone_no, why: pauses the phone
    approve_after_s: float = 0.0
    log: Logger
    log_attempts: bool = False
