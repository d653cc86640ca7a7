"""A database in which much waits: 100 phones with 1,000 chats each, and one phone with 100,000; hot queries on it."""

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
    """The statements that make the crowd in an empty schema; phone 1 … 100, then the big one."""

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
    ]


@dataclass(frozen=True, slots=True)
class Call:
    """A query with values that find something on one phone."""

    params: Mapping[str, Any]
    rows: Sequence[Sequence[Any]] | None


def call(query: NamedQuery, phone_no: int) -> Call:
    """Three rows for a batch; every value by the name of its parameter."""

    def value(name: str, n: int) -> Any:
        job_id = phone_no * 1_000_000 + n
        new = query.name in (
            "jobs_enqueue",
            "jobs_insert",
            "jobs_insert_plain",
            "events_queued",
            "events_insert",
            "idempotency_claim",
            "inbound_insert",
        )
        known = {
            "org_no": 1, "phone_no": phone_no, "chat_id": f"c{n}@c.us", "priority": 1, "side": 0, "new_chat": 1,
            "seq": n,
            "job_id": -job_id if new else job_id, "head_job": job_id, "head_seq": n, "waits_for": None,
            "status": "ready", "state": "queued", "not_before": None, "expires_at": None, "token": 1,
            "started_token": 1, "now": NOW_US, "at": NOW_US, "before": NOW_US - 1, "below": 2**62, "after": "queued",
            "limit": LIMIT, "offset": 0, "maybe_sent": 0,
            "key": f"new{n}" if new else f"key{job_id}", "alias": f"wamid.{job_id}",
            "provider_message_id": f"wamid.X{n}", "message_id": f"N{n}" if new else f"M{n}", "ack": 3, "n": 1,
            "owner": "a", "count": 1, "position": 1, "broadcast_no": None, "schedule_no": None, "content": "{}",
            "phones": str(phone_no),
        }  # fmt: skip
        if name == "before" and query.name == "events_insert":
            return None
        if name in known:
            return known[name]
        texts = ("fingerprint", "reason", "detail", "performed_by", "kind", "actor", "code", "author", "type", "body",
                 "raw", "response", "channel", "payload")  # fmt: skip
        return "text" if name in texts else 1

    batch = [name for name in query.columns if name not in query.params or query.each]
    params = {name: value(name, 200) for name in query.params if name != "rows" and name not in query.columns}
    if query.each or query.columns:
        return Call(params, [tuple(value(name, n) for name in batch) for n in (200, 300, 400)])
    return Call(params, None)
