"""Why a job is where it is, in plain words: one table for the API, the command line and the pages.

Two sentences are fixed by the interface: `Successfully submitted.` and `Read by recipient.`
"""

from datetime import UTC, datetime

from heliograph.domain.job import Job, PhoneRow
from heliograph.domain.states import Ack, State

SUBMITTED = "Successfully submitted."
PURGED = "Purged before it was sent."

_LADDER = {
    Ack.DELIVERED: "Delivered to recipient.",
    Ack.READ: "Read by recipient.",
    Ack.PLAYED: "Played by recipient.",
}
_PHONE = {
    "connecting": "the phone is connecting",
    "offline": "the phone is offline",
    "logged_out": "the phone is logged out, and must be connected again",
    "replaced": "the phone's connection was taken over elsewhere; restart the phone",
    "restricted": "WhatsApp has restricted the phone",
    "unauthorized": "WhatsApp refuses the phone's credentials; a person must renew them",
}


def describe(job: Job, *, now_us: int, phone: PhoneRow | None = None, ahead: int | None = None) -> str:
    """The state of a job in a sentence or two. `ahead`: jobs of the phone and lane before it, where that is known."""
    match job.state:
        case State.QUEUED:
            return _waiting(job, now_us=now_us, phone=phone, ahead=ahead)
        case State.SCHEDULED:
            when = "" if job.not_before_us is None else f" Goes out at {clock_time(job.not_before_us, now_us)}."
            return f"Scheduled.{when}"
        case State.SENDING:
            return f"Being sent, attempt {max(job.attempts, 1)}."
        case State.UNCERTAIN:
            return _with_detail(
                "WhatsApp may have taken it, but did not answer; it is not sent again unless a person asks for it", job
            )
        case State.SENT:
            return _LADDER.get(Ack(max(job.ack, 0)), SUBMITTED)
        case State.FAILED:
            return _sentence(job.detail or job.reason or "Failed")
        case State.CANCELLED:
            return PURGED if job.reason in (None, "purged") else _sentence(job.detail or "Cancelled before it was sent")
        case State.EXPIRED:
            when = "" if job.expires_at_us is None else f" at {clock_time(job.expires_at_us, now_us)}"
            return f"Expired{when}, before it was sent."


def _waiting(job: Job, *, now_us: int, phone: PhoneRow | None, ahead: int | None) -> str:
    """The first thing that holds the message back, then what it has been through."""
    blocked = _blocked_phone(phone, now_us) if phone else None
    if blocked:
        return blocked
    later = job.not_before_us is not None and job.not_before_us > now_us
    if later and job.not_before_us is not None:
        at = clock_time(job.not_before_us, now_us)
        if job.attempts:
            return _with_detail(f"Attempt {job.attempts} did not succeed, the next is at {at}", job)
        return _with_detail(f"Waits until {at}", job)
    if job.attempts:
        return _with_detail(f"Attempt {job.attempts} did not succeed, the next is about to start", job)
    if job.detail:
        return _with_detail("Waits", job)
    if ahead:
        return f"Waits behind {ahead} other{'s' if ahead > 1 else ''}."
    return "Waits to be sent."


def _blocked_phone(phone: PhoneRow, now_us: int) -> str | None:
    if phone.paused_at_us is not None:
        by = f" by {phone.paused_by}" if phone.paused_by else ""
        return f"Waits: the phone was paused{by} at {clock_time(phone.paused_at_us, now_us)}."
    if phone.hold_until_us is not None and phone.hold_until_us > now_us:
        reason = f": {phone.hold_reason}" if phone.hold_reason else ""
        return _sentence(f"Waits: WhatsApp holds the phone until {clock_time(phone.hold_until_us, now_us)}{reason}")
    if said := _PHONE.get(phone.state):
        detail = f": {phone.state_detail}" if phone.state_detail else ""
        return _sentence(f"Waits: {said}{detail}")
    return None


def _with_detail(start: str, job: Job) -> str:
    return _sentence(f"{start}: {job.detail}" if job.detail else start)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def clock_time(at_us: int, now_us: int) -> str:
    """`14:03:22 UTC`, with the date when it is not today.

    >>> clock_time(1_775_053_401_279_999, 1_775_053_000_000_000)
    '14:23:21 UTC'
    """
    at, now = (datetime.fromtimestamp(us // 1_000_000, UTC) for us in (at_us, now_us))
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S} UTC"
