"""Heap of due events of the whole network, in groups of messages that fall due together.

Nothing here needs to survive: what is owed stands in the journal, and is put back at the start.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from heliograph.ports.simulated_network import DeviceScope
from heliograph.simulator.behaviours import Behaviour


@dataclass(frozen=True, slots=True)
class Owed:
    """A message whose next step comes. `left` counts this step too."""

    no: int
    device_id: str
    message_id: str
    chat_id: str


@dataclass(slots=True)
class Group:
    """Messages of one behaviour that stand before the same step."""

    behaviour: Behaviour
    step: int
    owed: list[Owed]


@dataclass(slots=True)
class DueEvents:
    _heap: list[tuple[int, int, Group | Callable[[], None]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def add(self, due_us: int, item: Group | Callable[[], None]) -> None:
        heapq.heappush(self._heap, (due_us, next(self._numbers), item))

    def due(self, now_us: int) -> Iterator[tuple[int, Group | Callable[[], None]]]:
        while self._heap and self._heap[0][0] <= now_us:
            due_us, _, item = heapq.heappop(self._heap)
            yield due_us, item

    def next_us(self) -> int | None:
        return self._heap[0][0] if self._heap else None

    def forget_messages(self, share: DeviceScope) -> None:
        kept: list[tuple[int, int, Group | Callable[[], None]]] = []
        for due_us, number, item in self._heap:
            if not isinstance(item, Group):
                kept.append((due_us, number, item))
            elif left := [owed for owed in item.owed if owed.device_id not in share]:
                kept.append((due_us, number, replace(item, owed=left)))
        self._heap = kept
        heapq.heapify(self._heap)
