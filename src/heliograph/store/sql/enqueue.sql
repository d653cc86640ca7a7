-- name: idempotency_claim
-- plan: hot
-- Those keys that are new are ours; the others give no row.
INSERT INTO idempotency (org_no, key, fingerprint, job_id, position, response, created_at)
SELECT r.org_no, r.key, r.fingerprint, r.job_id, NULL, NULL, :now
FROM $rows(org_no bigint, key text, fingerprint text, job_id bigint) WHERE true
ON CONFLICT (org_no, key) DO NOTHING
RETURNING org_no, key, job_id

-- name: idempotency_find
-- plan: hot
-- What stands for a key.
SELECT fingerprint, job_id, position, response FROM idempotency WHERE org_no = :org_no AND key = :key

-- name: idempotency_answer
-- plan: hot
-- The positions that a replay repeats.
UPDATE idempotency SET position = r.position FROM $rows(org_no bigint, key text, position bigint)
WHERE idempotency.org_no = r.org_no AND idempotency.key = r.key

-- name: idempotency_release
-- plan: hot
-- A key whose request stored nothing is free again.
DELETE FROM idempotency WHERE org_no = :org_no AND key = :key

-- name: queue_lock
-- plan: hot
-- only: postgresql
-- An UPDATE from unnest does not sort: two batches over several phones would deadlock.
SELECT 1 FROM queue_counters q JOIN $rows(org_no bigint, phone_no bigint, priority int, side int)
ON q.org_no = r.org_no AND q.phone_no = r.phone_no AND q.priority = r.priority AND q.side = r.side
ORDER BY q.org_no, q.phone_no, q.priority /*lock of q*/

-- name: queue_reserve_and_count
-- plan: hot
-- Takes places in the order and counts them as waiting. The commit order of this row is the order of sending.
UPDATE queue_counters SET next_seq = queue_counters.next_seq + r.count, waiting = queue_counters.waiting + r.count
FROM $rows(org_no bigint, phone_no bigint, priority int, side int, count bigint)
WHERE queue_counters.org_no = r.org_no AND queue_counters.phone_no = r.phone_no AND queue_counters.priority = r.priority AND queue_counters.side = r.side
RETURNING queue_counters.phone_no, queue_counters.priority, queue_counters.next_seq, queue_counters.waiting + queue_counters.active + (
  SELECT e.waiting + e.active FROM queue_counters e
  WHERE e.org_no = queue_counters.org_no AND e.phone_no = queue_counters.phone_no AND e.priority = queue_counters.priority AND e.side = 1) AS ahead

-- name: jobs_enqueue
-- plan: hot
-- only: postgresql
-- New jobs in state queued, their first events and their lanes, in one journey to the server. On SQLite, where a
-- statement costs no journey, jobs_insert, lanes_feed and events_queued say the same.
-- Locks: the places in the order before (intake_lock, intake_advance), here only lanes, sorted as everywhere.
WITH r AS (
  SELECT * FROM $rows(org_no bigint, job_id bigint, phone_no bigint, chat_id text, priority int, seq bigint, content text,
    expires_at bigint, broadcast_no bigint, schedule_no bigint, actor text)
), made AS (
  INSERT INTO jobs (org_no, job_id, phone_no, chat_id, priority, seq, state, content, expires_at, broadcast_no,
    schedule_no, performed_by, queued_at, watched)
  SELECT r.org_no, r.job_id, r.phone_no, r.chat_id, r.priority, r.seq, 'queued', r.content, r.expires_at, r.broadcast_no,
    r.schedule_no, r.actor, :now, CASE WHEN r.expires_at IS NOT NULL OR r.broadcast_no IS NOT NULL THEN 1 END FROM r
), told AS (
  INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, fanned_out)
  SELECT r.org_no, r.job_id, 1, :now, 'queued', NULL, 'queued', 0, 0, 0, r.actor,
    CASE WHEN (SELECT o.hooks FROM orgs o WHERE o.org_no = r.org_no) > 0 THEN 0 ELSE 1 END FROM r
)
INSERT INTO lanes (org_no, phone_no, chat_id, priority, new_chat, status, head_seq, head_job)
SELECT h.org_no, h.phone_no, h.chat_id, h.priority,
  coalesce((SELECT 0 FROM chats c WHERE c.org_no = h.org_no AND c.phone_no = h.phone_no AND c.chat_id = h.chat_id
    LIMIT 1), 1),
  'ready', h.seq, h.job_id
FROM (SELECT DISTINCT ON (r.org_no, r.phone_no, r.chat_id, r.priority) r.* FROM r
  ORDER BY r.org_no, r.phone_no, r.chat_id, r.priority, r.seq) h
ORDER BY h.org_no, h.phone_no, h.chat_id, h.priority
ON CONFLICT (org_no, phone_no, chat_id, priority)
DO UPDATE SET head_seq = excluded.head_seq, head_job = excluded.head_job WHERE lanes.head_job IS NULL

-- name: jobs_insert_plain
-- plan: hot
-- only: sqlite
-- New jobs in state queued, all of one actor, none of which ends by itself or comes from a broadcast or schedule: a
-- column that is not asked for is not looked for in each row of the batch.
INSERT INTO jobs (org_no, job_id, phone_no, chat_id, priority, seq, state, content, performed_by, queued_at)
SELECT r.org_no, r.job_id, r.phone_no, r.chat_id, r.priority, r.seq, 'queued', r.content, :actor, :now
FROM $rows(org_no bigint, job_id bigint, phone_no bigint, chat_id text, priority int, seq bigint, content text)

-- name: jobs_insert
-- plan: hot
-- only: sqlite
-- New jobs in state queued, of every kind.
INSERT INTO jobs (org_no, job_id, phone_no, chat_id, priority, seq, state, content, expires_at, broadcast_no, schedule_no,
  performed_by, queued_at, watched)
SELECT r.org_no, r.job_id, r.phone_no, r.chat_id, r.priority, r.seq, 'queued', r.content, r.expires_at, r.broadcast_no,
  r.schedule_no, :actor, :now, CASE WHEN r.expires_at IS NOT NULL OR r.broadcast_no IS NOT NULL THEN 1 END
FROM $rows(org_no bigint, job_id bigint, phone_no bigint, chat_id text, priority int, seq bigint, content text,
  expires_at bigint, broadcast_no bigint, schedule_no bigint)

-- name: jobs_set_author
-- plan: hot
-- Whose a message to a group is: the number that its phone has now. The message's id names it for good.
UPDATE jobs SET author = (
  SELECT p.number || '@c.us' FROM phones p WHERE p.phone_no = jobs.phone_no AND p.org_no = jobs.org_no)
FROM $rows(org_no bigint, job_id bigint) WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id

-- name: lanes_feed
-- plan: hot
-- only: sqlite
-- A lane without work gets this head; one with work stays as it is, but is locked until we commit.
INSERT INTO lanes (org_no, phone_no, chat_id, priority, new_chat, status, head_seq, head_job)
SELECT r.org_no, r.phone_no, r.chat_id, r.priority,
  coalesce((SELECT 0 FROM chats c WHERE c.org_no = r.org_no AND c.phone_no = r.phone_no AND c.chat_id = r.chat_id
    LIMIT 1), 1),
  'ready', r.head_seq, r.head_job
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, head_seq bigint, head_job bigint) WHERE true
ORDER BY r.org_no, r.phone_no, r.chat_id, r.priority
ON CONFLICT (org_no, phone_no, chat_id, priority)
DO UPDATE SET head_seq = excluded.head_seq, head_job = excluded.head_job WHERE lanes.head_job IS NULL

-- name: events_queued
-- plan: hot
-- only: sqlite
-- The first event of new jobs.
INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, fanned_out)
SELECT r.org_no, r.job_id, 1, :now, 'queued', NULL, 'queued', 0, 0, 0, :actor,
  CASE WHEN (SELECT o.hooks FROM orgs o WHERE o.org_no = r.org_no) > 0 THEN 0 ELSE 1 END
FROM $rows(org_no bigint, job_id bigint)

-- name: events_insert
-- plan: hot
-- History, one row for each change; to be fanned out only where somebody listens.
INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, reason, detail, fanned_out)
SELECT r.org_no, r.job_id, r.n, r.at, r.kind, r.before, r.after, r.ack, r.attempt, r.token, r.actor, r.reason, r.detail,
  coalesce((SELECT 0 FROM orgs o WHERE o.org_no = r.org_no AND o.hooks > 0 LIMIT 1), 1)
FROM $rows(org_no bigint, job_id bigint, n int, at bigint, kind text, before text, after text, ack int, attempt int,
  token bigint, actor text, reason text, detail text)

-- name: idempotency_save_response
-- plan: hot
-- What a request made, for its replays.
UPDATE idempotency SET response = :response WHERE org_no = :org_no AND key = :key
