"""Consistency checks of a database: counters, lanes and histories against the rows they describe."""

from collections import Counter, defaultdict
from typing import Any

from heliograph.domain.jobs.states import TRANSITIONS, State
from tests.kit.database import Location, fetch_rows


async def find_faults(location: Location) -> list[str]:
    """Lists counters that differ from the rows, lanes that lose a message, and gaps in histories."""
    jobs = await fetch_rows(location, "SELECT * FROM jobs ORDER BY org_no, phone_no, chat_id, priority, seq")
    lanes = await fetch_rows(location, "SELECT * FROM lanes")
    queues = await fetch_rows(location, "SELECT * FROM queue_counters")
    events = await fetch_rows(location, "SELECT * FROM events ORDER BY org_no, job_id, n")
    stray = await fetch_rows(location, _HELD_BY_NOTHING)
    held = [f"lane {tuple(row.values())}: put aside, and nothing holds it" for row in stray]
    return [*_counters(jobs, queues), *_lanes(jobs, lanes), *held, *_histories(jobs, events)]


_HELD_BY_NOTHING = """
    SELECT l.phone_no, l.chat_id, l.priority FROM lanes l LEFT JOIN jobs j ON j.job_id = l.head_job
    WHERE l.status = 'held' AND NOT EXISTS (SELECT 1 FROM holds h WHERE h.phone_no = l.phone_no
      AND h.target IN ('chat:' || l.chat_id, 'broadcast:' || CAST(j.broadcast_no AS TEXT)))
"""


_COUNTED = {
    "queued": "waiting", "sending": "active", "uncertain": "active", "sent": "completed", "failed": "failed",
    "cancelled": "failed", "expired": "failed",
}  # fmt: skip


def _counters(jobs: list[dict[str, Any]], queues: list[dict[str, Any]]) -> list[str]:
    said: Counter[tuple[int, int, str]] = Counter()
    for row in queues:
        for name in set(_COUNTED.values()):
            said[row["phone_no"], row["priority"], name] += row[name]
    counted = {row["phone_no"] for row in queues}
    there = Counter(
        (job["phone_no"], job["priority"], _COUNTED[job["state"]]) for job in jobs if job["phone_no"] in counted
    )
    return [
        f"counter {key}: says {said[key]}, there are {there[key]}"
        for key in sorted(said.keys() | there.keys())
        if said[key] != there[key]
    ]


def _lanes(jobs: list[dict[str, Any]], lanes: list[dict[str, Any]]) -> list[str]:
    by_lane: dict[tuple[int, int, str, int], list[dict[str, Any]]] = defaultdict(list)
    for job in jobs:
        by_lane[job["org_no"], job["phone_no"], job["chat_id"], job["priority"]].append(job)
    rows = {(row["org_no"], row["phone_no"], row["chat_id"], row["priority"]): row for row in lanes}
    wrong = []
    for key, found in by_lane.items():
        if len({job["seq"] for job in found}) != len(found):
            wrong.append(f"lane {key}: two messages at one place in the order")
    for key in sorted(by_lane.keys() | rows.keys()):
        queued = [job for job in by_lane[key] if job["state"] == "queued"]
        sending = [job["job_id"] for job in by_lane[key] if job["state"] == "sending"]
        job_of = {job["job_id"]: job for job in by_lane[key]}
        row = rows.get(key)
        if row is None:
            if queued or sending:
                wrong.append(f"lane {key}: {len(queued)} queued and {len(sending)} sending, but no row leads to them")
            continue
        if row["status"] == "busy":
            if len(sending) != 1:
                wrong.append(f"lane {key}: busy, but {sending} are on their way")
            elif row["head_seq"] > (on_its_way := job_of[sending[0]]["seq"]):
                wrong.append(f"lane {key}: {sending[0]} is on its way before {row['head_seq']}, where it begins")
            elif early := [job["job_id"] for job in queued if job["seq"] < on_its_way]:
                wrong.append(f"lane {key}: {early} wait before the message on its way, and would be passed over")
        elif sending:
            wrong.append(f"lane {key}: {sending} on their way, but it is {row['status']}")
        elif queued:
            if (row["head_job"], row["head_seq"]) != (queued[0]["job_id"], queued[0]["seq"]):
                wrong.append(f"lane {key}: its head is {row['head_seq']}, the first that waits {queued[0]['seq']}")
        elif row["status"] != "delayed" or row["not_before"] is None:
            wrong.append(f"lane {key}: {row['status']} without work or wait")
        elif row["head_job"] is not None:
            wrong.append(f"lane {key}: its head {row['head_job']} does not wait")
    return wrong


def _histories(jobs: list[dict[str, Any]], events: list[dict[str, Any]]) -> list[str]:
    by_job: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        by_job[event["job_id"]].append(event)
    wrong = []
    for job in jobs:
        found = by_job.pop(job["job_id"], [])
        name = f"message {job['job_id']}"
        if [event["n"] for event in found] != list(range(1, job["events"] + 1)):
            wrong.append(f"{name}: {job['events']} changes, events {[event['n'] for event in found]}")
            continue
        before: str | None = None
        for event in found:
            if event["before"] != before:
                wrong.append(f"{name}: event {event['n']} leaves {event['before']}, it was {before}")
            if before is not None and event["after"] != before and event["after"] not in TRANSITIONS[State(before)]:
                wrong.append(f"{name}: from {before} to {event['after']}")
            before = event["after"]
        if before != job["state"] or found[-1]["ack"] != job["ack"]:
            wrong.append(f"{name}: ends {before} ack {found[-1]['ack']}, the row says {job['state']} {job['ack']}")
        tokens = [event["token"] for event in found if event["token"]]
        if tokens != sorted(tokens):
            wrong.append(f"{name}: fencing tokens go down: {tokens}")
    wrong += [f"events of {job_id}, which is no job" for job_id in by_job]
    return wrong
