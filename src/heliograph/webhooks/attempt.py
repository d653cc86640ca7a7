"""The stored result of one delivery attempt: outcome, status, sentence, answer."""

from dataclasses import dataclass
from typing import assert_never

from heliograph.domain.webhooks.retry_policy import DeliveryOutcome, outcome_of_status, parse_retry_after
from heliograph.ports.fetch import Fetched, FetchResponse, Forbidden, NoAnswer


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """Result of an attempt. `outcome`: a DeliveryOutcome or a failure code of ports.fetch. `status` 0: no answer."""

    outcome: str
    status: int
    detail: str
    took_ms: int
    answer: bytes = b""
    retry_after_s: float | None = None

    @property
    def delivered(self) -> bool:
        return self.outcome == DeliveryOutcome.DELIVERED

    @property
    def gone(self) -> bool:
        return self.outcome == DeliveryOutcome.GONE


def attempt_of(fetched: Fetched, *, now_us: int) -> AttemptResult:
    match fetched:
        case FetchResponse():
            outcome = outcome_of_status(fetched.status)
            return AttemptResult(
                outcome,
                fetched.status,
                _sentence(outcome, fetched),
                fetched.took_ms,
                fetched.body,
                _retry_after_s(fetched, now_us) if outcome is not DeliveryOutcome.DELIVERED else None,
            )
        case NoAnswer():
            return AttemptResult(fetched.code, 0, fetched.detail, fetched.took_ms)
        case Forbidden():
            return AttemptResult(DeliveryOutcome.FORBIDDEN, 0, fetched.detail, 0)
        case _:
            assert_never(fetched)


def _retry_after_s(answer: FetchResponse, now_us: int) -> float | None:
    return parse_retry_after(answer.headers.get("retry-after"), date=answer.headers.get("date"), now_us=now_us)


def _sentence(outcome: DeliveryOutcome, answer: FetchResponse) -> str:
    if outcome is DeliveryOutcome.DELIVERED:
        return f"Answered {answer.status}."
    if outcome is DeliveryOutcome.REDIRECTED:
        # a header may hold any bytes, but the store needs text
        where = answer.headers.get("location", "nowhere")[:200].encode("ascii", "replace").decode()
        return f"Answered {answer.status} to {where}: redirects are not followed, set the new URL on the webhook."
    if outcome is DeliveryOutcome.GONE:
        return "Answered 410: the receiver wants no more, the webhook is disabled."
    return f"Answered {answer.status}."
