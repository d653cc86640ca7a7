"""Trace ids of requests: x-periskope-trace-id, 16 random hex digits."""

import secrets

_AHEAD = 128  # ids made by one call to the system


class Traces:
    def __init__(self) -> None:
        self._left: list[bytes] = []

    def make(self) -> bytes:
        if not self._left:
            text = secrets.token_hex(8 * _AHEAD).encode()
            self._left = [text[n : n + 16] for n in range(0, len(text), 16)]
        return self._left.pop()
