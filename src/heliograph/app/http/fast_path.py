"""The fast path for sends, as a connection calls it."""

from typing import Any, Protocol

Headers = list[tuple[bytes, bytes]]


class Takes(Protocol):
    """`api.messages.fast_path.FastPath`."""

    def take(self, headers: Headers, body: bytes | bytearray, answer: Any) -> bool: ...

    def knows(self, headers: Headers) -> bool: ...
