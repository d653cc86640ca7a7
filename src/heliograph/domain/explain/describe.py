"""Why a job is where it is, in plain words, for lists and pages: the sentence of domain/explain/explanation.py.

Two sentences are fixed by the interface: `Successfully submitted.` and `Read by recipient.`
"""

from heliograph.domain.explain.explanation import PURGED, SUBMITTED, ExplanationFacts, clock_time, explain
from heliograph.domain.jobs.job import Job, PhoneRow

__all__ = ["PURGED", "SUBMITTED", "clock_time", "describe"]


def describe(job: Job, *, now_us: int, phone: PhoneRow | None = None, ahead: int | None = None) -> str:
    """The state of a job in a sentence or two. `ahead`: jobs of the phone and lane before it, where that is known."""
    return explain(ExplanationFacts(job=job, now_us=now_us, phone=phone, ahead=ahead)).sentence
