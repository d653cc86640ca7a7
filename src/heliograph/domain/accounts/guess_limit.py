"""A limit on guessed keys: how many wrong ones an address may give, at /v1 and at the page's login together.

Promise: memory is bounded, whatever comes. A key that was right in this process is never limited. A key that was not
seen yet waits for its turn behind its address's wrong ones, so a right one is late rather than refused; only when more
than `MAX_WAIT_S` of them wait already, it is refused and may be given again.
Known weakness: addresses that fall into one of the counters by chance share it, and each process counts for itself.
"""

from array import array

BURST = 50
INTERVAL_S = 0.1
MAX_WAIT_S = 10.0
_COUNTERS = 4096
_MAX_RIGHT = 10_000


class GuessLimit:
    """A counter holds the moment at which all guesses of its addresses are paid for, at one each `INTERVAL_S`."""

    def __init__(self) -> None:
        self._paid_at = array("d", bytes(8 * _COUNTERS))
        self._right: dict[bytes, None] = {}

    def wait_s(self, address: str, digest: bytes, now_s: float) -> float | None:
        """Counts one guess; gives how long its look-up has to wait, None if it is refused now."""
        if not address or digest in self._right:
            return 0.0
        counter = hash(address) % _COUNTERS
        paid_at = max(self._paid_at[counter], now_s)
        wait_s = paid_at - now_s - (BURST - 1) * INTERVAL_S
        if wait_s > MAX_WAIT_S:
            return None
        self._paid_at[counter] = paid_at + INTERVAL_S
        return wait_s if wait_s > INTERVAL_S / 2 else 0.0

    def right(self, address: str, digest: bytes) -> None:
        """The key was found: it was no guess."""
        if digest in self._right:
            return
        if len(self._right) >= _MAX_RIGHT:
            del self._right[next(iter(self._right))]
        self._right[digest] = None
        if address:
            self._paid_at[hash(address) % _COUNTERS] -= INTERVAL_S

    def wrong(self, digest: bytes) -> None:
        """The key is not, or no longer, known."""
        self._right.pop(digest, None)
