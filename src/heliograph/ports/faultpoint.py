"""Named moments between two steps of a message's way, where a test can kill the process. In service: nothing happens.

The program never arms a hook. The launcher of the fault tests does, before it calls the command line (tests/faults/).
"""

from collections.abc import Callable
from typing import Literal, get_args

Point = Literal[
    "enqueue.before",  # checked; nothing is stored
    "commit.before",  # rows are written, not committed
    "commit.after",  # committed; nobody has been told
    "enqueue.after",  # the message is on disk; its answer is not written
    "send.before",  # the start is on disk; the network has not been called
    "send.after",  # the network has answered; nothing is settled
    "settle.after",  # settled; the next start has not been acted on
    "receipts.before",  # receipts have come; nothing is stored
    "receipts.after",  # stored; not confirmed to the network
]
POINTS: tuple[Point, ...] = get_args(Point)

_hook: Callable[[Point], None] | None = None


def faultpoint(point: Point) -> None:
    if _hook is not None:
        _hook(point)


def arm(hook: Callable[[Point], None]) -> None:
    global _hook
    _hook = hook
