"""Tests of the history checker: it accepts every healthy history, and no broken one."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from heliograph.domain.history_checker import Pace, PausedInterval, Record, check
from heliograph.domain.jobs.ids import JobId, queue_id, unique_id
from heliograph.domain.jobs.states import State
from tests.domain.random_histories import ARRIVES, FATES, PHONES, healthy, one
from tests.kit.replace import replace


def rules(record: Record) -> set[str]:
    return {violation.rule for violation in check(record)}


@given(healthy())
def test_a_healthy_history_has_no_violation(record: Record) -> None:
    assert check(record) == []


def _pick(data: st.DataObject, rows: Any) -> int:
    return data.draw(st.integers(0, len(rows) - 1))


def _without(rows: Any, at: int) -> list[Any]:
    return [*rows[:at], *rows[at + 1 :]]


@given(healthy(), st.data())
def test_a_dropped_event_is_flagged(record: Record, data: st.DataObject) -> None:
    assert "I7" in rules(replace(record, events=_without(record.events, _pick(data, record.events))))


@given(healthy(), st.data())
def test_a_doubled_event_is_flagged(record: Record, data: st.DataObject) -> None:
    again = record.events[_pick(data, record.events)]
    assert "I7" in rules(replace(record, events=[*record.events, again]))


@given(healthy(), st.data())
def test_two_swapped_events_of_a_message_are_flagged(record: Record, data: st.DataObject) -> None:
    first = data.draw(st.sampled_from(list(record.events)))
    others = [event for event in record.events if event.job_id == first.job_id and event.n != first.n]
    second = data.draw(st.sampled_from(others))
    swapped = {first: replace(first, n=second.n), second: replace(second, n=first.n)}
    assert "I7" in rules(replace(record, events=[swapped.get(event, event) for event in record.events]))


@given(healthy(), st.data(), st.booleans())
def test_an_event_under_another_id_is_flagged(record: Record, data: st.DataObject, elsewhere: bool) -> None:
    at = _pick(data, record.events)
    event = record.events[at]
    others = [job.job_id for job in record.jobs if job.job_id != event.job_id]
    other = data.draw(st.sampled_from(others)) if others and not elsewhere else JobId(event.job_id + 1_000_000)
    events = [*record.events[:at], replace(event, job_id=other), *record.events[at + 1 :]]
    assert "I7" in rules(replace(record, events=events))


@given(healthy(), st.data())
def test_a_lost_message_is_flagged(record: Record, data: st.DataObject) -> None:
    assert "I1" in rules(replace(record, jobs=_without(record.jobs, _pick(data, record.jobs))))


@given(healthy(), st.data())
def test_a_message_that_was_never_accepted_is_flagged(record: Record, data: st.DataObject) -> None:
    assert "I1" in rules(replace(record, accepted=_without(record.accepted, _pick(data, record.accepted))))


@given(healthy(), st.data())
def test_a_message_stored_twice_is_flagged(record: Record, data: st.DataObject) -> None:
    again = record.jobs[_pick(data, record.jobs)]
    assert "I1" in rules(replace(record, jobs=[*record.jobs, again]))
    renamed = replace(again, job_id=JobId(again.job_id + 1_000_000))
    assert "I1" in rules(replace(record, jobs=[*record.jobs, renamed]))


@given(healthy(), st.data(), st.sampled_from([State.QUEUED, State.SENDING, State.SCHEDULED]))
def test_a_message_that_never_ends_is_flagged(record: Record, data: st.DataObject, state: State) -> None:
    at = _pick(data, record.jobs)
    jobs = [*record.jobs[:at], replace(record.jobs[at], state=state), *record.jobs[at + 1 :]]
    assert "I1" in rules(replace(record, jobs=jobs))


SENT = [fate for fate in FATES if fate in ARRIVES and fate not in ("uncertain", "refused later")]


@given(healthy(SENT), st.data())
def test_a_sent_message_that_the_network_never_saw_is_flagged(record: Record, data: st.DataObject) -> None:
    assert "I2" in rules(replace(record, arrivals=_without(record.arrivals, _pick(data, record.arrivals))))


@given(healthy(["sent", "read"]), st.data())
def test_a_receipt_that_was_confirmed_and_not_stored_is_flagged(record: Record, data: st.DataObject) -> None:
    at = _pick(data, record.arrivals)
    known = {unique_id(job.job_id): job.ack for job in record.jobs}
    acks = [replace(arrival, ack=known[arrival.unique_id]) for arrival in record.arrivals]
    assert check(replace(record, arrivals=acks)) == []
    acks[at] = replace(acks[at], ack=acks[at].ack + 1)
    assert rules(replace(record, arrivals=acks)) == {"I2"}


@given(healthy(["cancelled", "expired", "rejected"]), st.data())
def test_a_message_that_was_surely_not_sent_and_arrived_is_flagged(record: Record, data: st.DataObject) -> None:
    job = data.draw(st.sampled_from(list(record.jobs)))
    arrival = replace(one().arrivals[0], unique_id=unique_id(job.job_id))
    assert "I2" in rules(replace(record, arrivals=[arrival]))


@given(healthy(sorted(ARRIVES)), st.data())
def test_a_message_that_arrived_twice_is_flagged(record: Record, data: st.DataObject) -> None:
    at = _pick(data, record.arrivals)
    assert "I3" in rules(replace(record, arrivals=[*record.arrivals, record.arrivals[at]]))
    shown = replace(record.arrivals[at], shown=2)
    arrivals = [*record.arrivals[:at], shown, *record.arrivals[at + 1 :]]
    assert rules(replace(record, arrivals=arrivals)) == {"I3"}


@given(healthy(sorted(ARRIVES)), st.data())
def test_a_message_that_arrived_under_another_id_is_flagged(record: Record, data: st.DataObject) -> None:
    at = _pick(data, record.arrivals)
    stranger = replace(record.arrivals[at], unique_id="3EB0" + "0" * 18)
    assert "I3" in rules(replace(record, arrivals=[*record.arrivals, stranger]))
    assert "I3" in rules(replace(record, arrivals=[*_without(record.arrivals, at), stranger]))


@given(healthy(sorted(ARRIVES), min_size=2), st.data())
def test_two_arrivals_of_a_chat_that_are_swapped_are_flagged(record: Record, data: st.DataObject) -> None:
    place = {unique_id(job.job_id): (job.phone_no, job.chat_id, job.priority) for job in record.jobs}
    first = _pick(data, record.arrivals)
    mates = [
        n
        for n, arrival in enumerate(record.arrivals)
        if n != first and place[arrival.unique_id] == place[record.arrivals[first].unique_id]
    ]
    assume(mates)
    second = data.draw(st.sampled_from(mates))
    arrivals = list(record.arrivals)
    arrivals[first], arrivals[second] = arrivals[second], arrivals[first]
    assert "I4" in rules(replace(record, arrivals=arrivals))


def test_messages_stored_in_another_order_than_they_were_accepted_are_flagged() -> None:
    record = one()
    first, second = record.jobs
    assert "I4" in rules(replace(record, jobs=[replace(first, seq=second.seq), replace(second, seq=first.seq)]))


def test_a_message_that_a_person_moved_may_arrive_out_of_order() -> None:
    record = one("sent")
    jobs = [replace(job, events=job.events + 1) for job in record.jobs[:1]] + list(record.jobs[1:])
    last = next(e for e in reversed(record.events) if e.job_id == jobs[0].job_id)
    moved = replace(last, n=last.n + 1, at_us=last.at_us + 1, kind="moved", before=last.after, ack=2)
    jobs[0] = replace(jobs[0], ack=2)
    arrivals = list(reversed(record.arrivals))
    assert "I4" not in rules(replace(record, jobs=jobs, events=[*record.events, moved], arrivals=arrivals))


def test_a_pace_faster_than_the_policy_is_flagged() -> None:
    record = one("sent", times=4)
    times = [arrival.at_us for arrival in record.arrivals]
    step = min(after - before for before, after in pairwise(times))
    assert rules(replace(record, paces={PHONES[1]: Pace(gap_us=step)})) == set()
    assert rules(replace(record, paces={PHONES[1]: Pace(gap_us=step + 1)})) == {"I5"}
    assert rules(replace(record, paces={PHONES[1]: Pace(most=3, window_us=3 * step)})) == set()
    assert rules(replace(record, paces={PHONES[1]: Pace(most=3, window_us=3 * step + 1)})) == {"I5"}


@given(healthy(sorted(ARRIVES)), st.data())
def test_a_write_of_a_former_owner_is_flagged(record: Record, data: st.DataObject) -> None:
    raised = [replace(event, token=event.token + 10 if event.token else 0) for event in record.events]
    owned = [n for n, event in enumerate(raised) if event.token and event.kind != "started"]
    at = data.draw(st.sampled_from(owned))
    raised[at] = replace(raised[at], token=1)
    assert "I6" in rules(replace(record, events=raised))


def test_two_answers_to_one_request_must_be_the_same() -> None:
    record = one()
    first, second = record.accepted
    assert check(replace(record, accepted=[first, first, second])) == []
    other = replace(first, queue_id=second.queue_id, unique_id=second.unique_id)
    assert "I3" in rules(replace(record, accepted=[first, other, second]))
    assert "I3" in rules(replace(record, accepted=[replace(first, unique_id=second.unique_id), second]))
    assert "I3" in rules(replace(record, accepted=[first, replace(first, key="another"), second]))


@pytest.mark.parametrize("wrong", [{"body": "another text"}, {"chat_id": "1@c.us"}, {"phone": PHONES[2]}])
def test_another_text_chat_or_phone_is_flagged(wrong: dict[str, Any]) -> None:
    record = one()
    assert "I1" in rules(replace(record, accepted=[replace(record.accepted[0], **wrong), record.accepted[1]]))
    assert "I2" in rules(replace(record, arrivals=[replace(record.arrivals[0], **wrong), record.arrivals[1]]))


def test_a_start_of_a_silent_phone_is_flagged() -> None:
    record = one()
    start = next(event for event in record.events if event.kind == "started")
    silent = PausedInterval(PHONES[1], start.at_us - 1, start.at_us + 1, "paused")
    assert rules(replace(record, silences=[silent])) == {"I8"}
    assert check(replace(record, silences=[replace(silent, phone=PHONES[2])])) == []


def test_a_violation_reads_as_a_sentence_with_the_id() -> None:
    record = one()
    lost = check(replace(record, jobs=record.jobs[1:]))[0]
    assert str(lost) == f"I1: {queue_id(record.jobs[0].job_id)} was accepted and is lost ('text 1')"
