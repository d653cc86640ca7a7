"""The local WhatsApp behind the Graph paths: what was taken, what was uploaded, and which statuses follow.

No I/O: the server asks, and hands what is to be called back to `Callbacks`. Every accepted POST is a message that the
person sees; two with the same `biz_opaque_callback_data` are a double, and the journal shows it.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from heliograph.ports.clock import Clock
from heliograph.simulator.graph.config import Rules, draw
from heliograph.simulator.graph.errors import GraphError, fault, unknown_object
from heliograph.simulator.graph.rate_limit import Rate
from heliograph.simulator.graph.test_numbers import NumberBehaviour, Way, behaviour_of, ordinary_after
from heliograph.simulator.graph.validation import check_message, message_type, recipient

_DAY_S = 24 * 3600.0

Say = Callable[[float, str, str, dict[str, Any]], None]
"""(delay in seconds, phone number id, `statuses` or `messages`, item)"""


@dataclass(slots=True)
class Shown:
    """One message as the person sees it."""

    n: int
    wamid: str
    phone_number_id: str
    number: str
    to: str
    type: str
    body: Mapping[str, Any]
    tracker: str | None
    received_at_us: int
    statuses: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class File:
    media_id: str
    phone_number_id: str
    mimetype: str
    filename: str
    data: bytes
    sha256: str


@dataclass(frozen=True, slots=True)
class GraphReply:
    """Reply of the server: `way` first, then the fault or the wamid. `late_s`: before the answer."""

    way: Way
    fault: GraphError | None = None
    to: str = ""
    wamid: str = ""
    late_s: float = 0.0


class GraphNetwork:
    def __init__(self, rules: Rules, clock: Clock, say: Say) -> None:
        self.rules = rules
        self._clock = clock
        self._say = say
        self._requests = 0
        self._events = 0
        self._messages: list[Shown] = []
        self._trackers: Counter[str] = Counter()
        self._files: dict[str, File] = {}
        self._chosen: dict[str, NumberBehaviour] = {}
        self._used: Counter[str] = Counter()
        self._wrote_at: dict[str, float] = {}
        self._throughput = Rate()
        self._pairs = Rate()
        self.uploads = 0

    @property
    def taken(self) -> int:
        """Messages in the journal."""
        return len(self._messages)

    def choose(self, number: str, behaviour: NumberBehaviour) -> None:
        """Gives any number a behaviour; it begins anew."""
        self._chosen[number] = behaviour
        self._used.pop(number, None)

    def post(self, phone_number_id: str, body: Mapping[str, Any], *, bad_file: GraphError | None = None) -> GraphReply:
        """One POST to /messages by a token that is right. `bad_file`: what is behind its link cannot be used."""
        if phone_number_id not in self.rules.phones:
            return GraphReply(Way.NORMAL, unknown_object(phone_number_id))
        self._requests += 1
        if (bad := check_message(body, self._files.__contains__)) is not None:
            return GraphReply(Way.NORMAL, bad)
        to = recipient(body)
        behaviour = self._behaviour(to)
        if bad_file is not None:
            behaviour = replace(behaviour, failed=bad_file)
        if behaviour.way is Way.CUT:
            return GraphReply(Way.CUT)
        if behaviour.way in (Way.HTML_503, Way.HTML_404):
            return GraphReply(behaviour.way)
        refused = behaviour.answer or self._over_limit(phone_number_id, to) or self._chance()
        if refused is not None:
            return GraphReply(Way.NORMAL, refused)
        message = self._take(phone_number_id, to, body)
        self._follow(message, behaviour)
        return self._reply(message, behaviour)

    def _reply(self, message: Shown, behaviour: NumberBehaviour) -> GraphReply:
        rules = self.rules
        way = behaviour.way
        if way is Way.NORMAL and draw(rules.seed, "lost", self._requests) < rules.lost_answer_rate:
            way = Way.LOST
        late = way is Way.LATE or draw(rules.seed, "late", self._requests) < rules.delayed_answer_rate
        late_ms = rules.slow_answer_ms if late else rules.latency_ms
        return GraphReply(way, to=message.to, wamid=message.wamid, late_s=late_ms / 1000)

    def _behaviour(self, number: str) -> NumberBehaviour:
        behaviour = self._chosen.get(number) or behaviour_of(number)
        if behaviour.times is None:
            return behaviour
        self._used[number] += 1
        return behaviour if self._used[number] <= behaviour.times else ordinary_after(behaviour)

    def _over_limit(self, phone_number_id: str, to: str) -> GraphError | None:
        rules, now = self.rules, self._clock.monotonic()
        pair = f"{phone_number_id}/{to}"
        if not self._pairs.take(pair, now, interval_s=rules.pair_interval_s, burst=rules.pair_burst):
            return fault(131056, "Too many messages to this person in a short time.")
        interval = 1 / rules.throughput_per_s if rules.throughput_per_s else 0.0
        if not self._throughput.take(phone_number_id, now, interval_s=interval, burst=rules.throughput_per_s):
            return fault(130429, "The throughput of this phone was reached.")
        return None

    def _chance(self) -> GraphError | None:
        happens = draw(self.rules.seed, "transient", self._requests) < self.rules.transient_rate
        return fault(131016, "Try again.") if happens else None

    def _take(self, phone_number_id: str, to: str, body: Mapping[str, Any]) -> Shown:
        n = len(self._messages) + 1
        tracker = body.get("biz_opaque_callback_data")
        message = Shown(
            n=n,
            wamid=_wamid(self.rules.seed, n, to),
            phone_number_id=phone_number_id,
            number=self.rules.phones[phone_number_id],
            to=to,
            type=message_type(body),
            body=body,
            tracker=tracker if isinstance(tracker, str) else None,
            received_at_us=self._clock.now_us(),
        )
        self._messages.append(message)
        if message.tracker is not None:
            self._trackers[message.tracker] += 1
        return message

    def _follow(self, message: Shown, behaviour: NumberBehaviour) -> None:
        """Puts the statuses that will follow on their way, and what the person writes back."""
        rules = self.rules
        if rules.window and message.type != "template" and not self._in_window(message):
            behaviour = replace(behaviour, failed=fault(131047, "Send a template first."))
        if behaviour.failed is not None:
            self._status(message, "failed", rules.sent_after_s, behaviour.failed)
            return
        if message.type == "reaction":  # a reaction is sent and delivered, never read
            behaviour = replace(behaviour, statuses=behaviour.statuses[:2])
        delays = [rules.sent_after_s, rules.delivered_after_s, rules.read_after_s, rules.read_after_s * 2]
        names = list(behaviour.statuses)
        if len(names) > 2 and draw(rules.seed, "skip", message.n) < rules.skip_delivered_rate:
            names = [name for name in names if name != "delivered"]
        if draw(rules.seed, "shuffle", message.n) < rules.shuffle_rate:
            names.reverse()
        for name, delay in zip(names, delays, strict=False):
            self._status(message, name, delay)
            if behaviour.twice or draw(rules.seed, f"repeat-{name}", message.n) < rules.repeat_rate:
                self._status(message, name, delay + rules.read_after_s)
        if behaviour.says:
            said = _said(message) if behaviour.says == "echo" else behaviour.says
            self.write(message.phone_number_id, message.to, said, after_s=rules.delivered_after_s)

    def _in_window(self, message: Shown) -> bool:
        wrote = self._wrote_at.get(f"{message.phone_number_id}/{message.to}")
        return wrote is not None and self._clock.monotonic() - wrote < _DAY_S

    def _status(self, message: Shown, name: str, after_s: float, failed: GraphError | None = None) -> None:
        status: dict[str, Any] = {
            "id": message.wamid,
            "status": name,
            "timestamp": str((message.received_at_us + int(after_s * 1_000_000)) // 1_000_000),
            "recipient_id": message.to,
        }
        if message.tracker is not None:
            status["biz_opaque_callback_data"] = message.tracker
        if failed is not None:
            status["errors"] = [failed.in_status()]
        message.statuses.append(name)
        self._say(after_s, message.phone_number_id, "statuses", status)

    def write(self, phone_number_id: str, sender: str, text: str, *, after_s: float = 0.0, **parts: Any) -> str:
        """A person writes to the phone. `parts` replaces the text by another type: {"type": …, that type: {…}}."""
        self._events += 1
        self._wrote_at[f"{phone_number_id}/{sender}"] = self._clock.monotonic()
        wamid = _wamid(self.rules.seed, -self._events, sender)
        message = {
            "from": sender,
            "id": wamid,
            "timestamp": str(self._clock.now_us() // 1_000_000),
            **(parts or {"type": "text", "text": {"body": text}}),
        }
        self._say(after_s, phone_number_id, "messages", message)
        return wamid

    def keep_file(self, phone_number_id: str, mimetype: str, filename: str, data: bytes) -> File:
        self.uploads += 1
        digest = hashlib.sha256(data).hexdigest()
        file = File(str(300_000_000_000_000 + self.uploads), phone_number_id, mimetype, filename, data, digest)
        self._files[file.media_id] = file
        return file

    def file(self, media_id: str) -> File | None:
        return self._files.get(media_id)

    def drop_file(self, media_id: str) -> bool:
        return self._files.pop(media_id, None) is not None

    def journal(
        self, *, tracker: str = "", to: str = "", phone_number_id: str = "", limit: int = 1000
    ) -> list[dict[str, Any]]:
        """Oldest first. `shown`: how many messages the person sees for this tracker; above 1 is a double."""
        wanted = [
            m
            for m in self._messages
            if (not tracker or m.tracker == tracker)
            and (not to or m.to == to)
            and (not phone_number_id or m.phone_number_id == phone_number_id)
        ]
        return [self._row(message) for message in wanted[:limit]]

    def _row(self, message: Shown) -> dict[str, Any]:
        return {
            "id": message.wamid,
            "phone_number_id": message.phone_number_id,
            "from": message.number,
            "to": message.to,
            "type": message.type,
            "body": message.body,
            "tracker": message.tracker,
            "shown": self._trackers[message.tracker] if message.tracker is not None else 1,
            "received_at_us": message.received_at_us,
            "statuses": message.statuses,
        }

    def forget_messages(self) -> None:
        self._messages.clear()
        self._trackers.clear()


def _said(message: Shown) -> str:
    text = message.body.get("text")
    return str(text.get("body", "")) if isinstance(text, dict) else f"[{message.type}]"


def _wamid(seed: int, n: int, to: str) -> str:
    digest = hashlib.blake2b(f"{seed}/{n}/{to}".encode(), digest_size=12).digest()
    return "wamid." + base64.b64encode(b"\x1d\x0b" + to.encode() + digest).decode()
