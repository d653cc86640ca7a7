"""A hint that a phone may have work. It may be lost: a sweep finds the work all the same."""

from collections.abc import Iterable
from typing import Protocol


class Wake(Protocol):
    def phones(self, phone_nos: Iterable[int]) -> None: ...


class FleetWake(Wake, Protocol):
    def phones_freed(self) -> None:
        """Another sender gave phones up: they may be taken."""
        ...
