"""Why a message is where it is, and when it will go: one function for every place that says so.

`explain(facts)` gives what holds the message back, the most decisive first, one sentence, and the expected moment.
Facts that were not looked up are None, and then nothing is said of them; the rest is true of the facts that were given.

Weakness: the moment is a forecast by the pace and the queue as they stand; a throttle or a pause is not foreseen.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from heliograph.domain.accounts.phone import PhoneRow
from heliograph.domain.jobs.ids import queue_id
from heliograph.domain.jobs.job import Job
from heliograph.domain.jobs.states import Ack, State

SUBMITTED = "Successfully submitted."
PURGED = "Purged before it was sent."
ACK_SENTENCES = {
    Ack.DELIVERED: "Delivered to recipient.",
    Ack.READ: "Read by recipient.",
    Ack.PLAYED: "Played by recipient.",
}


@dataclass(frozen=True, slots=True)
class Hold:
    """A chat, a broadcast or a phone that somebody stopped."""

    by: str
    at_us: int
    reason: str = ""
    until_us: int | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """A rule of the pacing policy that binds. `rule`: a name of `next_start.py`; `limit`: its number, if it has one."""

    until_us: int | None
    rule: str
    limit: float | None = None


MAX_AHEAD = 100


@dataclass(frozen=True, slots=True)
class ExplanationFacts:
    """`uncertain_since_us`: of an uncertain message.

    `ahead`: others of the phone that go first; `ahead_in_chat`: of the same chat and lane, not counted beyond
    MAX_AHEAD and one.

    `unowned`: no sender process has the phone. `waits_for_until_us`: an earlier message of the chat is uncertain.
    `chat_until_us`: the chat was told to wait. `forecast_s`: of domain/pacing/forecast.py, what stands above aside.
    """

    job: Job
    now_us: int
    phone: PhoneRow | None = None
    uncertain_since_us: int | None = None
    ahead: int | None = None
    ahead_in_chat: int | None = None
    unowned: bool = False
    phone_hold: Hold | None = None
    chat_hold: Hold | None = None
    broadcast_hold: Hold | None = None
    new_chat: bool = False
    quiet_until_us: int | None = None
    waits_for_until_us: int | None = None
    chat_until_us: int | None = None
    pace: Wait | None = None
    forecast_s: float | None = None


@dataclass(frozen=True, slots=True)
class Blocker:
    """`code` is stable; `text` a sentence; `until_us` None: until somebody or something acts, see `action`."""

    code: str
    text: str
    until_us: int | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """`eta_us`: when it will go, as far as can be foreseen; None for settled messages, and where an act is needed."""

    sentence: str
    blockers: tuple[Blocker, ...] = ()
    eta_us: int | None = None


_PHONE = {
    "connecting": ("the phone is connecting", None),
    "offline": ("the phone is offline", "Check the phone's connection; it is retried by itself."),
    "logged_out": ("the phone is logged out", "Restart it, to connect it again: heliograph phones restart {number}"),
    "replaced": (
        "the phone's connection was taken over, another took its place",
        "Restart the phone: heliograph phones restart {number}",
    ),
    "restricted": ("WhatsApp has restricted the phone", "Wait; write to fewer new chats."),
    "unauthorized": (
        "WhatsApp refuses the phone's credentials; a person must renew them",
        "Renew the phone's credentials.",
    ),
}
_RULES = {
    "in_flight": "another message of the phone is under way",
    "gap": "the phone keeps a gap between messages",
    "per_second": "the phone sends at most {limit:g} a second",
    "per_minute": "the phone sends at most {limit:g} a minute",
    "per_hour": "the phone sends at most {limit:g} an hour",
    "per_day": "the phone sends at most {limit:g} a day",
    "new_chats": "the phone opens at most {limit:g} new chats a day",
    "chat_gap": "the phone keeps a gap between messages to one chat",
}


def explain(facts: ExplanationFacts) -> Explanation:
    """Gives the blockers, the most decisive first, a sentence, and the expected moment."""
    job, now_us = facts.job, facts.now_us
    match job.state:
        case State.QUEUED:
            return _waiting(facts)
        case State.SCHEDULED:
            return _scheduled(facts)
        case State.SENDING:
            return Explanation(f"Being sent, attempt {max(job.attempts, 1)}.")
        case State.UNCERTAIN:
            return _uncertain(facts)
        case State.SENT:
            return Explanation(ACK_SENTENCES.get(Ack(max(job.ack, 0)), SUBMITTED))
        case State.FAILED:
            return Explanation(as_sentence(job.detail or job.reason or "Failed"))
        case State.CANCELLED:
            purged = job.reason in (None, "purged")
            return Explanation(PURGED if purged else as_sentence(job.detail or "Cancelled before it was sent"))
        case State.EXPIRED:
            when = "" if job.expires_at_us is None else f" at {clock_time(job.expires_at_us, now_us)}"
            return Explanation(f"Expired{when}, before it was sent.")


def describe(job: Job, *, now_us: int, phone: PhoneRow | None = None, ahead: int | None = None) -> str:
    """Gives the state of a job in a sentence or two. `ahead`: jobs that go first, where that is known."""
    return explain(ExplanationFacts(job=job, now_us=now_us, phone=phone, ahead=ahead)).sentence


def _scheduled(facts: ExplanationFacts) -> Explanation:
    at_us = facts.job.not_before_us
    when = "" if at_us is None else f" Goes out at {clock_time(at_us, facts.now_us)}."
    text = f"Scheduled.{when}"
    return Explanation(text, (Blocker("scheduled", text, at_us),), at_us)


def _uncertain(facts: ExplanationFacts) -> Explanation:
    job, since_us = facts.job, facts.uncertain_since_us
    since = "" if since_us is None else f" Since {clock_time(since_us, facts.now_us)}."
    text = with_detail(
        "It may have been sent, and nobody knows; it is not sent again unless a person asks for it", job.detail
    )
    action = f"Look at the chat, then: heliograph queue resolve {queue_id(job.job_id)} arrived (or again, or give-up)"
    return Explanation(text, (Blocker("uncertain", text + since, None, action),))


def _waiting(facts: ExplanationFacts) -> Explanation:
    blockers = tuple(_blockers(facts))
    expires_at_us = facts.job.expires_at_us
    eta_us = _eta(facts, blockers)
    if eta_us is not None and expires_at_us is not None and expires_at_us < eta_us:
        text = f"It expires at {clock_time(expires_at_us, facts.now_us)}, before its turn comes."
        blockers += (Blocker("expires", text, expires_at_us),)
        eta_us = None
    job = facts.job
    if blockers and (blockers[0].code not in _QUEUE or not (job.attempts or job.detail)):
        return Explanation(blockers[0].text, blockers, eta_us)
    # nothing but its turn: then what it has been through says more
    if job.attempts:
        text = with_detail(f"Attempt {job.attempts} did not succeed, the next is about to start", job.detail)
        return Explanation(text, blockers, eta_us)
    return Explanation(with_detail("Waits", job.detail) if job.detail else "Waits to be sent.", blockers, eta_us)


def _blockers(facts: ExplanationFacts) -> Iterator[Blocker]:
    now_us = facts.now_us
    if facts.phone is not None:
        yield from _of_phone(facts.phone, now_us, facts.phone_hold)
    if facts.unowned:
        text = "Waits: no sender process is running for this phone."
        yield Blocker("no_sender", text, None, "Start heliograph with the sender role.")
    if facts.chat_hold is not None:
        yield _held("chat_paused", "the chat", facts.chat_hold, now_us, "Resume the chat.")
    if facts.broadcast_hold is not None:
        yield _held("broadcast_paused", "its broadcast", facts.broadcast_hold, now_us, "Resume the broadcast.")
    if facts.phone is not None and facts.new_chat:
        until_us = facts.phone.new_chats_until_us
        if until_us is not None and until_us > now_us:
            text = f"Waits: WhatsApp lets this phone open no new chats until {clock_time(until_us, now_us)}."
            yield Blocker("new_chats_restricted", text, until_us)
    if facts.quiet_until_us is not None and facts.quiet_until_us > now_us:
        text = f"Waits: it is night where the recipient lives, until {clock_time(facts.quiet_until_us, now_us)}."
        yield Blocker("quiet_hours", text, facts.quiet_until_us)
    yield from _of_chat(facts)
    if facts.pace is not None:
        yield _paced(facts.pace, now_us)
    if facts.ahead:
        yield Blocker("behind", f"Waits behind {facts.ahead} other{'s' if facts.ahead > 1 else ''}.")


def _of_phone(phone: PhoneRow, now_us: int, hold: Hold | None) -> Iterator[Blocker]:
    if phone.paused_at_us is not None:
        hold = hold or Hold(phone.paused_by or "", phone.paused_at_us)
        yield _held("phone_paused", "the phone", hold, now_us, "Resume the phone.")
    if phone.hold_until_us is not None and phone.hold_until_us > now_us:
        reason = f": {phone.hold_reason}" if phone.hold_reason else ""
        text = as_sentence(f"Waits: WhatsApp holds the phone until {clock_time(phone.hold_until_us, now_us)}{reason}")
        yield Blocker("phone_held", text, phone.hold_until_us)
    elif found := _PHONE.get(phone.state):
        said, action = found
        advice = None if action is None else action.format(number=phone.number)
        detail = f": {phone.state_detail}" if adds(phone.state_detail, f"{said} {advice}") else ""
        yield Blocker(f"phone_{phone.state}", as_sentence(f"Waits: {said}{detail}"), None, advice)


def _held(code: str, what: str, hold: Hold, now_us: int, action: str) -> Blocker:
    by = f" by {hold.by}" if hold.by else ""
    reason = f": {hold.reason}" if hold.reason else ""
    until = f" until {clock_time(hold.until_us, now_us)}" if hold.until_us is not None else ""
    text = f"Waits: {what} was paused{by} at {clock_time(hold.at_us, now_us)}{until}{reason}"
    return Blocker(code, as_sentence(text), hold.until_us, action)


def _of_chat(facts: ExplanationFacts) -> Iterator[Blocker]:
    job, now_us = facts.job, facts.now_us
    if facts.waits_for_until_us is not None and facts.waits_for_until_us > now_us:
        at = clock_time(facts.waits_for_until_us, now_us)
        text = f"Waits: nobody knows yet whether the message before it arrived; the chat goes on at {at} at the latest."
        yield Blocker("chat_uncertain", text, facts.waits_for_until_us)
    if job.not_before_us is not None and job.not_before_us > now_us:
        at = clock_time(job.not_before_us, now_us)
        if job.attempts:
            said = f"Attempt {job.attempts} did not succeed, the next is at {at}"
            yield Blocker("retry", with_detail(said, job.detail), job.not_before_us, "Retry it now, or wait.")
        else:
            yield Blocker("throttled", with_detail(f"Waits until {at}", job.detail), job.not_before_us)
    elif facts.chat_until_us is not None and facts.chat_until_us > now_us:
        at = clock_time(facts.chat_until_us, now_us)
        yield Blocker("chat_throttled", f"Waits: the chat goes on at {at}.", facts.chat_until_us)
    if facts.ahead_in_chat:
        others = "message" if facts.ahead_in_chat == 1 else "messages"
        count = f"more than {MAX_AHEAD}" if facts.ahead_in_chat > MAX_AHEAD else facts.ahead_in_chat
        text = f"Waits behind {count} earlier {others} to the same chat."
        yield Blocker("behind_in_chat", text)


def _paced(wait: Wait, now_us: int) -> Blocker:
    rule = _RULES.get(wait.rule, wait.rule).format(limit=wait.limit if wait.limit is not None else 0)
    if wait.until_us is None:
        return Blocker("pacing", f"Waits: {rule}.")
    return Blocker("pacing", f"Waits: {rule}; the next may go at {clock_time(wait.until_us, now_us)}.", wait.until_us)


_QUEUE = ("behind", "behind_in_chat", "pacing")


def _eta(facts: ExplanationFacts, blockers: tuple[Blocker, ...]) -> int | None:
    """None where somebody must act first, or a phone must come up: nobody knows how long that takes."""
    if any(b.until_us is None and b.code not in _QUEUE for b in blockers) or facts.forecast_s is None:
        return None
    if facts.forecast_s == float("inf"):
        return None
    paced_us = facts.now_us + round(facts.forecast_s * 1_000_000)
    return max([paced_us, *(b.until_us for b in blockers if b.until_us is not None)])


def adds(detail: str, said: str) -> bool:
    """Tells whether a provider's words add to our own, by the words in them that bear a meaning.

    >>> adds("The phone is offline.", "the phone is offline"), adds("no network", "the phone is offline")
    (False, True)
    """
    return not _stems(detail) <= _stems(said)


def _stems(text: str) -> set[str]:
    return {word[:7] for word in re.findall(r"\w+", text.lower()) if len(word) > 4}


def with_detail(start: str, detail: str | None) -> str:
    return as_sentence(f"{start}: {detail}" if detail else start)


def as_sentence(text: str) -> str:
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def clock_time(at_us: int, now_us: int) -> str:
    """`14:03:22 UTC`, with the date when it is not today.

    >>> clock_time(1_775_053_401_279_999, 1_775_053_000_000_000)
    '14:23:21 UTC'
    """
    at, now = (datetime.fromtimestamp(us // 1_000_000, UTC) for us in (at_us, now_us))
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S} UTC"
