"""Test numbers: +44 7700 900xxx, a range reserved for fiction, whose last three digits choose what happens.

Where the number's end means something for the simulated network too (interface, "The simulator"), it means the same.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from heliograph.simulator.graph.errors import GraphError, fault

_TEST = re.compile(r"447700900([0-9]{3})", re.ASCII)


class Way(StrEnum):
    """How the answer to a POST goes out."""

    NORMAL = "normal"
    LOST = "lost"  # taken, then the connection closes
    CUT = "cut"  # the connection closes, nothing was taken
    LATE = "late"  # taken, answered after `slow_answer_ms`
    HTML_502 = "html_502"  # taken
    HTML_503 = "html_503"  # not taken
    HTML_404 = "html_404"  # not taken
    NOT_JSON = "not_json"  # taken


@dataclass(frozen=True, slots=True)
class TestNumberBehaviour:
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

_ORDINARY = TestNumberBehaviour()
_TABLE: dict[str, TestNumberBehaviour] = {
    "001": replace(_ORDINARY, statuses=("sent", "delivered")),
    "002": replace(_ORDINARY, statuses=("sent",)),
    "003": replace(_ORDINARY, statuses=("sent", "read")),
    "004": replace(_ORDINARY, statuses=("sent", "delivered", "read", "played")),
    "005": replace(_ORDINARY, says="echo"),
    "006": replace(_ORDINARY, says="STOP"),
    "010": TestNumberBehaviour(answer=fault(131016), times=1),
    "011": TestNumberBehaviour(answer=fault(131016), times=2),
    "012": TestNumberBehaviour(answer=fault(131016)),
    "014": TestNumberBehaviour(answer=fault(131000), times=1),
    "015": TestNumberBehaviour(answer=fault(2, headers={"Retry-After": "1"}), times=1),
    "020": TestNumberBehaviour(answer=fault(131056), times=1),
    "021": TestNumberBehaviour(answer=fault(130429, headers={"Retry-After": "1"}), times=1),
    "022": TestNumberBehaviour(answer=fault(4), times=1),
    "023": TestNumberBehaviour(answer=fault(80007, headers={"X-Business-Use-Case-Usage": _USAGE}), times=1),
    "024": TestNumberBehaviour(answer=fault(131057), times=1),
    "030": TestNumberBehaviour(answer=fault(190)),
    "031": TestNumberBehaviour(answer=fault(131031)),
    "032": TestNumberBehaviour(answer=fault(368)),
    "033": TestNumberBehaviour(answer=fault(131042)),
    "034": TestNumberBehaviour(answer=fault(131048)),
    "035": TestNumberBehaviour(answer=fault(133010)),
    "040": TestNumberBehaviour(failed=fault(131026)),
    "041": TestNumberBehaviour(
        failed=fault(131047, "More than 24 hours have passed since the recipient last replied.")
    ),
    "042": TestNumberBehaviour(failed=fault(131049)),
    "043": TestNumberBehaviour(answer=fault(131030)),
    "044": TestNumberBehaviour(failed=fault(131050)),
    "045": TestNumberBehaviour(failed=fault(131053)),
    "046": TestNumberBehaviour(answer=fault(130497)),
    "050": TestNumberBehaviour(way=Way.HTML_502, times=1),
    "051": TestNumberBehaviour(way=Way.HTML_503, times=1),
    "052": TestNumberBehaviour(way=Way.NOT_JSON, times=1),
    "053": TestNumberBehaviour(way=Way.HTML_404, times=1),
    "060": replace(_ORDINARY, statuses=("read", "delivered", "sent")),
    "061": replace(_ORDINARY, twice=True),
    "062": replace(_ORDINARY, statuses=()),
    "063": TestNumberBehaviour(way=Way.LATE, times=1),
    "064": TestNumberBehaviour(way=Way.LOST, times=1),
    "065": TestNumberBehaviour(way=Way.CUT, times=1),
    "066": TestNumberBehaviour(way=Way.LOST, times=1, statuses=()),
}


def behaviour_of(number: str) -> TestNumberBehaviour:
    match = _TEST.fullmatch(number)
    return _TABLE.get(match[1], _ORDINARY) if match else _ORDINARY


def ordinary_after(behaviour: TestNumberBehaviour) -> TestNumberBehaviour:
    """What holds when `times` is used up."""
    return replace(behaviour, way=Way.NORMAL, answer=None, failed=None, times=None)
