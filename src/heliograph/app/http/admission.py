"""Counts connections, in all and for each address, and ends those that wait for their client too long.

Promise: at most `limits.connections` and `limits.connections_per_address` are served; a connection whose client neither
sends nor reads is ended within its limit and one sweep. Memory held for incomplete heads is bounded over all of them.
Known weakness: behind a proxy all clients have the proxy's address; then both limits should be the same.
"""

import asyncio
from typing import Protocol

from heliograph.app.http.limits import HttpLimits
from heliograph.domain.accounts.client_address import client_address
from heliograph.domain.errors import Unavailable


class Swept(Protocol):
    """A connection as it is looked at once a second."""

    def sweep(self, now: float) -> None: ...


class Admission:
    """One for all connections of a server; of one event loop."""

    def __init__(self, limits: HttpLimits) -> None:
        self.limits = limits
        self._open: dict[Swept, str | None] = {}  # a refused one has no address: None
        self._of: dict[str, int] = {}
        self._refused = 0
        self._held = 0
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, connection: Swept, host: str | None) -> Unavailable | None:
        """Counts a new connection. A refusal if there is no place for it; it is swept all the same."""
        limits, address = self.limits, client_address(host)
        mine = self._of.get(address, 0)
        refusal = None
        if len(self._open) - self._refused >= limits.connections:
            refusal = Unavailable("This server has as many connections as it may. Try again later.", retry_after_s=5)
        elif address and mine >= limits.connections_per_address:
            refusal = Unavailable("Your address has as many connections as it may.", retry_after_s=5)
        if refusal is None:
            self._of[address] = mine + 1
        else:
            self._refused += 1
        self._open[connection] = address if refusal is None else None
        if self._timer is None:
            self._later(asyncio.get_running_loop())
        return refusal

    @property
    def may_linger(self) -> bool:
        """Says whether one more refused connection may wait until its client has read the answer."""
        return self._refused <= self.limits.refusals

    def leave(self, connection: Swept) -> None:
        """Idempotent."""
        if connection not in self._open:
            return
        address = self._open.pop(connection)
        if address is None:
            self._refused -= 1
        elif (left := self._of[address] - 1) > 0:
            self._of[address] = left
        else:
            del self._of[address]

    def hold(self, size: int) -> bool:
        """Takes `size` bytes (negative: gives them back) of what all connections may hold."""
        if size > 0 and self._held + size > self.limits.held_bytes:
            return False
        self._held += size
        return True

    def _later(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(self.limits.sweep_s, self._sweep, loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if not self._open:
            return
        now = loop.time()
        for connection in list(self._open):
            connection.sweep(now)
        self._later(loop)
