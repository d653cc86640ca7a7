"""The time that a connection waits for its client: for a head, a body, the next request, or room to write.

Looked at once a second from outside, so that a request costs no timer of its own.
"""

from typing import TYPE_CHECKING

from heliograph.app.http.refusals import RequestTimeout

if TYPE_CHECKING:
    from heliograph.app.http.connection import Connection

_HEAD = 0


class Patience:
    """The waits of one connection. `read` counts how often a client that did not read went on."""

    __slots__ = ("_connection", "_lingers", "_mark", "_paused", "_since", "read")

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._mark: tuple[int, int, bool] | None = None
        self._since = 0.0
        self._lingers = False
        self._paused: tuple[int, float] | None = None
        self.read = 0

    def linger(self) -> None:
        """After a refusal: the client is given time to read it, and what it still sends is thrown away."""
        self._lingers = True
        self._mark = None
        transport = self._connection.transport
        if transport.can_write_eof():
            transport.write_eof()

    def look(self, now: float) -> None:
        """Ends the connection if it waited too long."""
        one = self._connection
        limits = one.limits
        if one.flow.write_paused or one.transport.is_closing():
            if self._paused is None or self._paused[0] != self.read:
                self._paused = (self.read, now)
            elif now - self._paused[1] >= limits.write_s:
                one.transport.abort()
            return
        self._paused = None
        # a head that began is another wait than for the first byte of one
        mark = (one.requests, one.part, one.waits_for_head)
        if mark != self._mark:
            self._mark, self._since = mark, now
        elif self._lingers:
            if now - self._since >= limits.linger_s:
                one.transport.abort()
        elif one.part == _HEAD:
            self._look_at_head(now)
        elif one.flow.read_paused or one.cycle.waiting_for_100_continue:
            self._since += limits.sweep_s  # the client waits for us
        elif now - self._since >= limits.body_s + one.taken / limits.body_rate:
            one.refuse(RequestTimeout("The body of the request did not come in time"))

    def _look_at_head(self, now: float) -> None:
        one = self._connection
        limits, waited = one.limits, now - self._since
        if one.cycle is not None and not one.cycle.response_complete:
            self._since = now  # ours to answer
        elif one.waits_for_head:
            if waited >= limits.head_s:
                one.refuse(RequestTimeout("The head of the request did not come in time"))
        elif waited >= (limits.idle_s if one.requests else limits.head_s):
            one.transport.close()
