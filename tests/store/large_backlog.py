"""A database with a large backlog, 100 phones with 1,000 chats each and one with 100,000, and hot queries on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from heliograph.store.database.queries import NamedQuery

PHONES, CHATS, CROWD = 100, 1_000, 100_000
BIG = PHONES + 1  # the phone with the crowd
NOW_US = 1_760_000_000_000_000
LIMIT = 10

_SERIES = {
    "sqlite": "(WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < {most}) SELECT i FROM s)",
    "postgresql": "(SELECT i FROM generate_series(1, {most}) AS g(i))",
}


def fill(dialect: str) -> list[str]:
    """Statements that make the backlog in an empty schema: phones 1 … 100, then the big one."""

    def series(most: int) -> str:
        return _SERIES[dialect].format(most=most)

    phones, few, many = series(BIG), series(CHATS), series(CROWD)
    each = f"(SELECT p.i AS phone, c.i FROM {phones} p CROSS JOIN {few} c WHERE p.i < {BIG} "
    each += f"UNION ALL SELECT {BIG}, c.i FROM {many} c) AS x"
    job = "CAST(x.phone AS BIGINT) * 1000000 + x.i"
    chat = "'c' || CAST(x.i AS TEXT) || '@c.us'"
    state = "CASE WHEN x.i <= 3 THEN 'sending' ELSE 'queued' END"
    status = "CASE WHEN x.i <= 3 THEN 'busy' WHEN x.i <= 23 THEN 'delayed' ELSE 'ready' END"
    return [
        f"INSERT INTO orgs (org_no, org_id, name, created_at) VALUES (1, 'org', 'crowd', {NOW_US})",
        f"INSERT INTO orgs (org_no, org_id, name, created_at) SELECT i + 1, 'o' || CAST(i AS TEXT), 'n' || "
        f"CAST(i AS TEXT), 0 FROM {few} AS x",
        f"INSERT INTO api_keys (org_no, name, prefix, digest, created_at) SELECT i, 'k', 'p', CAST(i AS TEXT), 0 "
        f"FROM {few} AS x",
        f"INSERT INTO phones (phone_no, org_no, phone_id, number, provider, state_at, created_at, updated_at) "
        f"SELECT i, 1, 'phone-' || CAST(i AS TEXT), CAST(900000 + i AS TEXT), 'simulator', 0, 0, 0 FROM {phones} AS x",
        f"INSERT INTO leases (org_no, phone_no, owner, token) SELECT 1, i, 'a', 1 FROM {phones} AS x",
        "INSERT INTO senders (owner, heartbeat, seen_at) VALUES ('a', 1, 0)",
        "INSERT INTO queue_counters (org_no, phone_no, priority, side, next_seq, waiting) "
        f"SELECT 1, x.i, l.i - 1, s.i - 1, {CROWD}, 10 "
        f"FROM {phones} x CROSS JOIN {series(3)} l CROSS JOIN {series(2)} s",
        "INSERT INTO jobs (org_no, job_id, phone_no, chat_id, priority, seq, state, content, token, performed_by, "
        "queued_at) "
        f'SELECT 1, {job}, x.phone, {chat}, 1, x.i, {state}, \'{{"type":"chat","body":"hello"}}\', 1, \'api\', '
        f"{NOW_US} FROM {each}",
        "INSERT INTO lanes (org_no, phone_no, chat_id, priority, new_chat, status, head_seq, head_job, not_before) "
        f"SELECT 1, x.phone, {chat}, 1, x.i % 2, {status}, x.i, {job}, "
        f"CASE WHEN x.i > 3 AND x.i <= 23 THEN {NOW_US} END FROM {each}",
        "INSERT INTO events (org_no, job_id, n, at, kind, after, ack, attempt, token, actor) "
        f"SELECT 1, {job}, 9, {NOW_US}, 'queued', 'queued', 0, 0, 0, 'api' FROM {each}",  # 9: out of new events' way
        f"INSERT INTO chats (org_no, phone_no, chat_id, first_at) SELECT 1, x.phone, {chat}, 0 FROM {each} "
        "WHERE x.i % 2 = 0",
        "INSERT INTO provider_message_ids (org_no, alias, job_id) "
        f"SELECT 1, 'wamid.' || CAST({job} AS TEXT), {job} FROM {each} WHERE x.i % 5 = 0",
        "INSERT INTO unmatched_receipts (org_no, phone_no, provider_message_id, ack, at, created_at) "
        f"SELECT 1, x.phone, 'wamid.X' || CAST(x.i AS TEXT), 3, 0, {NOW_US} FROM {each} WHERE x.i % 10 = 0",
        "INSERT INTO inbound (org_no, phone_no, message_id, chat_id, author, type, body, raw, at, created_at) "
        f"SELECT 1, x.phone, 'M' || CAST(x.i AS TEXT), {chat}, {chat}, 'chat', 'hello', '{{}}', 0, {NOW_US} "
        f"FROM {each} WHERE x.i % 5 = 0",
        "INSERT INTO idempotency (org_no, key, fingerprint, job_id, created_at) "
        f"SELECT 1, 'key' || CAST({job} AS TEXT), 'f', {job}, {NOW_US} FROM {each} WHERE x.i % 5 = 0",
        *_steering(few),
        *_webhooks(few, many),
    ]


def _steering(few: str) -> list[str]:
    """Broadcasts, schedules and what people did, by the thousand."""
    return [
        "INSERT INTO holds (org_no, phone_no, target, actor, created_at) "
        f"SELECT 1, i % 100, 'chat:c' || CAST(i AS TEXT) || '@c.us', 'api', 0 FROM {few} AS x",
        "INSERT INTO pace_log (org_no, phone_no, at, chat_id, new_chat) "
        f"SELECT 1, i % 100, i, 'c' || CAST(i AS TEXT) || '@c.us', 0 FROM {few} AS x",
        "INSERT INTO suppressions (org_no, chat_id, reason, actor, created_at) "
        f"SELECT 1, 's' || CAST(i AS TEXT) || '@c.us', 'STOP', 'api', 0 FROM {few} AS x",
        "INSERT INTO broadcasts (org_no, broadcast_no, phone_no, state, content, priority, delay_us, feed_at, "
        f"performed_by, created_at) SELECT i % 100 + 1, i, {BIG}, CASE WHEN i % 10 = 0 THEN 'running' "
        f"ELSE 'completed' END, '{{}}', 1, 0, i, 'api', 0 FROM {few} AS x",
        f"INSERT INTO broadcast_counts (org_no, broadcast_no) SELECT i % 100 + 1, i FROM {few} AS x",
        "INSERT INTO broadcast_recipients (org_no, broadcast_no, n, chat_id, vars, job_id) "
        f"SELECT 1, i % 10, i, 'c' || CAST(i AS TEXT) || '@c.us', '{{}}', i FROM {few} AS x",
        "INSERT INTO schedules (org_no, schedule_no, phone_no, chat_id, content, priority, state, first_at, next_at, "
        "missed, performed_by, created_at, updated_at) SELECT 1, i, i % 100, 'c@c.us', '{}', 1, 'scheduled', i, i, "
        f"'late', 'api', 0, 0 FROM {few} AS x",
        "INSERT INTO schedule_runs (org_no, schedule_no, at, outcome, created_at) "
        f"SELECT 1, i % 100, i, 'queued', i FROM {few} AS x",
        f"INSERT INTO audit_log (org_no, act_no, at, actor, act) SELECT 1, i, 0, 'api', 'pause' FROM {few} AS x",
        "INSERT INTO provider_inbox (org_no, phone_no, inbox_no, received_at, payload) "
        f"SELECT 1, i % 100, i, i, '{{}}' FROM {few} AS x",
    ]


def _webhooks(few: str, many: str) -> list[str]:
    """A thousand endpoints, a few of them of this organisation, and a hundred thousand deliveries."""
    org = "CASE WHEN i <= 20 THEN 1 ELSE i END"
    return [
        f"INSERT INTO fanouts (org_no, next_no) SELECT i, {CROWD} FROM {few} AS x",
        f"INSERT INTO signing_keys (org_no, current, created_at) SELECT i, 'k', 0 FROM {few} AS x",
        f"INSERT INTO endpoints (endpoint_no, org_no, url) SELECT i, {org}, 'http://x/' || CAST(i AS TEXT) "
        f"FROM {few} AS x",
        "INSERT INTO hooks (hook_no, org_no, hook_id, endpoint_no, event, integration_type, integration_id, metadata, "
        f"type, name, subscribed_at, created_at) SELECT i, {org}, CAST(i AS TEXT), i, 'message.sent', 'h', 'i', "
        f"'{{}}', 't', '', 0, 0 FROM {few} AS x",
        "INSERT INTO deliveries (org_no, no, place, hook_no, endpoint_no, stream, event, source, job_id, n, ack, "
        "ack_before, sequence, state, created_at) SELECT 1, i, i, i % 20 + 1, i % 20 + 1, "
        "'c' || CAST(i % 20000 AS TEXT), 'message.sent', 'job', i % 50000, 1, 1, 0, 1, "
        f"CASE WHEN i % 4 = 0 THEN 'delivered' ELSE 'pending' END, i FROM {many} AS x",
        "INSERT INTO streams (org_no, endpoint_no, stream, status, head_no) SELECT 1, endpoint_no, stream, 'ready', "
        "min(no) FROM deliveries GROUP BY endpoint_no, stream",
        f"INSERT INTO delivery_bodies (org_no, no, body) SELECT 1, i * 4, 'b' FROM {few} AS x",
        "INSERT INTO delivery_attempts (org_no, no, attempt, at, took_ms, outcome, status, detail, answer) "
        f"SELECT 1, i * 4, 1, 0, 1, 'delivered', 200, '', '' FROM {few} AS x",
        f"INSERT INTO org_events (org_no, at, name, fanned_out) SELECT 1, i, 'n', 1 FROM {few} AS x",
    ]


_FRESH = CROWD + 10  # numbers from here on are of nothing that is there
# values that find something, by query and parameter, where the parameter's name alone does not say them
_SPECIAL: dict[tuple[str, str], Any] = {
    ("broadcast_end", "state"): "completed",
    ("broadcast_waiting", "after"): NOW_US,
    ("deliveries_insert", "source"): "job",
    ("deliveries_of_hook", "state"): "pending",
    ("deliveries_settle", "state"): "pending",
    ("events_insert", "before"): None,
    ("pace_log_recent", "after"): 0,
    ("delivery_attempts_insert", "status"): 200,
    ("schedule_insert", "every"): "day",
    ("schedule_insert", "missed"): "late",
    ("schedule_update", "every"): "day",
    ("schedule_update", "missed"): "late",
    ("schedule_run_insert", "outcome"): "queued",
}
_NEW_NUMBERS = {
    ("audit_log_insert", "act_no"), ("broadcast_insert", "broadcast_no"), ("broadcast_counts_insert", "broadcast_no"),
    ("deliveries_insert", "no"), ("inbox_insert", "inbox_no"), ("recipients_insert", "n"),
    ("schedule_insert", "schedule_no"),
}  # fmt: skip
_NEW = {
    "jobs_enqueue", "jobs_insert", "jobs_insert_plain", "events_queued", "events_insert", "idempotency_claim",
    "inbound_insert",
}  # fmt: skip
_TEXTS = {
    "fingerprint", "reason", "detail", "performed_by", "kind", "actor", "code", "author", "type", "body", "raw",
    "response", "channel", "payload", "outcome",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """A query with values that find something on one phone."""

    params: Mapping[str, Any]
    rows: Sequence[Sequence[Any]] | None


def call(query: NamedQuery, phone_no: int) -> Call:
    """Three rows for a batch; every value by the name of its parameter."""
    of_jobs = query.name.startswith(("jobs_", "events_"))  # which are of no broadcast and no schedule

    def value(name: str, n: int) -> Any:
        if (query.name, name) in _SPECIAL:
            return _SPECIAL[query.name, name]
        if (query.name, name) in _NEW_NUMBERS:
            return _FRESH + n
        job_id = phone_no * 1_000_000 + n
        new = query.name in _NEW
        known = {
            "org_no": 1, "phone_no": phone_no, "chat_id": f"c{n}@c.us", "priority": 1, "side": 0, "new_chat": 1,
            "seq": n, "job_id": -job_id if new else job_id, "head_job": job_id, "head_seq": n, "waits_for": None,
            "status": "ready", "state": "queued", "not_before": None, "expires_at": None, "token": 1,
            "started_token": 1, "now": NOW_US, "at": NOW_US, "before": NOW_US - 1, "below": 2**62, "after": "queued",
            "limit": LIMIT, "offset": 0, "maybe_sent": 0,
            "key": f"new{n}" if new else f"key{job_id}", "alias": f"wamid.{job_id}",
            "provider_message_id": f"wamid.X{n}", "message_id": f"N{n}" if new else f"M{n}", "ack": 3, "n": 1,
            "owner": "a", "count": 1, "position": 1, "content": "{}", "phones": str(phone_no), "zone": "UTC",
            "broadcast_no": None if of_jobs else 1, "schedule_no": None if of_jobs else 1,
            "endpoint_no": n // 50, "hook_no": n // 50, "no": n * 4, "stream": f"c{n}", "head_no": n, "claim": 1,
            "wanted": 4, "until": NOW_US, "worker": "w", "hook_id": str(n), "url": f"http://x/{n}",
        }  # fmt: skip
        return known.get(name, "text" if name in _TEXTS else 1)

    batch = [name for name in query.columns if name not in query.params or query.each]
    params = {name: value(name, 200) for name in query.params if name != "rows" and name not in query.columns}
    if query.each or query.columns:
        return Call(params, [tuple(value(name, n) for name in batch) for n in (200, 300, 400)])
    return Call(params, None)
