"""The outcome of one attempt as it is kept: one word, the status, the words, what the receiver answered."""

from dataclasses import dataclass
from typing import assert_never

from heliograph.domain.webhooks.retry_policy import Outcome, outcome_of_status, parse_retry_after
from heliograph.ports.fetch import Answer, Fetched, Forbidden, NoAnswer


@dataclass(frozen=True, slots=True)
class Attempt:
    """`outcome`: a domain.delivery.Outcome or a ports.fetch.Failure. `status` 0: no answer."""

    outcome: str
    status: int
    detail: str
    took_ms: int
    answer: bytes = b""
    retry_after_s: float | None = None

    @property
    def delivered(self) -> bool:
        return self.outcome == Outcome.DELIVERED

    @property
    def gone(self) -> bool:
        return self.outcome == Outcome.GONE


def attempt_of(fetched: Fetched, *, now_us: int) -> Attempt:
    match fetched:
        case Answer():
            outcome = outcome_of_status(fetched.status)
            return Attempt(
                outcome,
                fetched.status,
                _words(outcome, fetched),
                fetched.took_ms,
                fetched.body,
                _asked_wait(fetched, now_us) if outcome is not Outcome.DELIVERED else None,
            )
        case NoAnswer():
            return Attempt(fetched.code, 0, fetched.detail, fetched.took_ms)
        case Forbidden():
            return Attempt(Outcome.FORBIDDEN, 0, fetched.detail, 0)
        case _:
            assert_never(fetched)


def _asked_wait(answer: Answer, now_us: int) -> float | None:
    return parse_retry_after(answer.headers.get("retry-after"), date=answer.headers.get("date"), now_us=now_us)


def _words(outcome: Outcome, answer: Answer) -> str:
    if outcome is Outcome.DELIVERED:
        return f"Answered {answer.status}."
    if outcome is Outcome.REDIRECTED:
        # a header's bytes may be anything; what is kept must be text
        where = answer.headers.get("location", "nowhere")[:200].encode("ascii", "replace").decode()
        return f"Answered {answer.status} to {where}: redirects are not followed, set the new URL on the webhook."
    if outcome is Outcome.GONE:
        return "Answered 410: the receiver wants no more, the webhook is disabled."
    return f"Answered {answer.status}."
