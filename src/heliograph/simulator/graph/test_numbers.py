"""Test numbers: +44 7700 900xxx, a range reserved for fiction, whose last three digits choose what happens.

Where the number's end means something for the simulated network too (interface, "The simulator"), it means the same.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from heliograph.simulator.graph.errors import GraphError, fault

_TEST = re.compile(r"447700900([0-9]{3})", re.ASCII)


class Way(StrEnum):
    """Delivery of the answer to a POST."""

    NORMAL = "normal"
    LOST = "lost"  # taken, then the connection closes
    CUT = "cut"  # the connection closes, nothing was taken
    LATE = "late"  # taken, answered after `slow_answer_ms`
    HTML_502 = "html_502"  # taken
    HTML_503 = "html_503"  # not taken
    HTML_404 = "html_404"  # not taken
    NOT_JSON = "not_json"  # taken


@dataclass(frozen=True, slots=True)
class NumberBehaviour:
    """`times`: for how many messages it holds (None: all). `statuses`: in the order they are sent.

    `says`: what the person writes back (`echo`: the same text).
    """

    way: Way = Way.NORMAL
    answer: GraphError | None = None
    times: int | None = None
    statuses: tuple[str, ...] = ("sent", "delivered", "read")
    failed: GraphError | None = None
    twice: bool = False
    says: str = ""


_USAGE = (
    '{"200000000000001":[{"type":"messages","call_count":100,"total_time":10,"estimated_time_to_regain_access":1}]}'
)

_ORDINARY = NumberBehaviour()
_TABLE: dict[str, NumberBehaviour] = {
    "001": replace(_ORDINARY, statuses=("sent", "delivered")),
    "002": replace(_ORDINARY, statuses=("sent",)),
    "003": replace(_ORDINARY, statuses=("sent", "read")),
    "004": replace(_ORDINARY, statuses=("sent", "delivered", "read", "played")),
    "005": replace(_ORDINARY, says="echo"),
    "006": replace(_ORDINARY, says="STOP"),
    "010": NumberBehaviour(answer=fault(131016), times=1),
    "011": NumberBehaviour(answer=fault(131016), times=2),
    "012": NumberBehaviour(answer=fault(131016)),
    "014": NumberBehaviour(answer=fault(131000), times=1),
    "015": NumberBehaviour(answer=fault(2, headers={"Retry-After": "1"}), times=1),
    "020": NumberBehaviour(answer=fault(131056), times=1),
    "021": NumberBehaviour(answer=fault(130429, headers={"Retry-After": "1"}), times=1),
    "022": NumberBehaviour(answer=fault(4), times=1),
    "023": NumberBehaviour(answer=fault(80007, headers={"X-Business-Use-Case-Usage": _USAGE}), times=1),
    "024": NumberBehaviour(answer=fault(131057), times=1),
    "030": NumberBehaviour(answer=fault(190)),
    "031": NumberBehaviour(answer=fault(131031)),
    "032": NumberBehaviour(answer=fault(368)),
    "033": NumberBehaviour(answer=fault(131042)),
    "034": NumberBehaviour(answer=fault(131048)),
    "035": NumberBehaviour(answer=fault(133010)),
    "040": NumberBehaviour(failed=fault(131026)),
    "041": NumberBehaviour(failed=fault(131047, "More than 24 hours have passed since the recipient last replied.")),
    "042": NumberBehaviour(failed=fault(131049)),
    "043": NumberBehaviour(answer=fault(131030)),
    "044": NumberBehaviour(failed=fault(131050)),
    "045": NumberBehaviour(failed=fault(131053)),
    "046": NumberBehaviour(answer=fault(130497)),
    "050": NumberBehaviour(way=Way.HTML_502, times=1),
    "051": NumberBehaviour(way=Way.HTML_503, times=1),
    "052": NumberBehaviour(way=Way.NOT_JSON, times=1),
    "053": NumberBehaviour(way=Way.HTML_404, times=1),
    "060": replace(_ORDINARY, statuses=("read", "delivered", "sent")),
    "061": replace(_ORDINARY, twice=True),
    "062": replace(_ORDINARY, statuses=()),
    "063": NumberBehaviour(way=Way.LATE, times=1),
    "064": NumberBehaviour(way=Way.LOST, times=1),
    "065": NumberBehaviour(way=Way.CUT, times=1),
    "066": NumberBehaviour(way=Way.LOST, times=1, statuses=()),
}


def behaviour_of(number: str) -> NumberBehaviour:
    match = _TEST.fullmatch(number)
    return _TABLE.get(match[1], _ORDINARY) if match else _ORDINARY


def ordinary_after(behaviour: NumberBehaviour) -> NumberBehaviour:
    """Gives the behaviour after `times` is used up."""
    return replace(behaviour, way=Way.NORMAL, answer=None, failed=None, times=None)
