-- name: waiting_in_lanes
-- plan: hot
-- only: sqlite
-- What has not started, a bounded piece at a time: lane by lane, from a place in one of them on. `maybe_sent`: 1, only what
-- may have been sent; 0, only what was not.
SELECT j.job_id, j.phone_no, j.chat_id, j.priority, j.seq, j.state FROM lanes l CROSS JOIN jobs j /*index jobs_in_lane*/
ON j.org_no = l.org_no AND j.chat_id = l.chat_id AND j.phone_no = l.phone_no AND j.priority = l.priority
  AND j.seq >= CASE WHEN l.chat_id = :chat_id AND l.priority = :priority AND l.head_seq < :seq THEN :seq ELSE l.head_seq END
WHERE l.org_no = :org_no AND l.phone_no = :phone_no AND (l.chat_id, l.priority) >= (:chat_id, :priority) AND l.head_job IS NOT NULL
  AND j.state = 'queued' AND j.maybe_sent = :maybe_sent ORDER BY l.chat_id, l.priority, j.seq LIMIT :limit

-- name: waiting_in_lanes
-- plan: hot
-- only: postgresql
-- What has not started, a bounded piece at a time: lane by lane, from a place in one of them on. `maybe_sent`: 1, only what
-- may have been sent; 0, only what was not.
SELECT j.job_id, l.phone_no, l.chat_id, l.priority, j.seq, 'queued' AS state FROM lanes l CROSS JOIN LATERAL (
  SELECT j.job_id, j.seq FROM jobs j WHERE j.org_no = l.org_no AND j.chat_id = l.chat_id AND j.phone_no = l.phone_no
  AND j.priority = l.priority
  AND j.seq >= CASE WHEN l.chat_id = :chat_id AND l.priority = :priority AND l.head_seq < :seq THEN :seq ELSE l.head_seq END
  AND j.state = 'queued' AND j.maybe_sent = :maybe_sent ORDER BY j.seq LIMIT :limit) AS j
WHERE l.org_no = :org_no AND l.phone_no = :phone_no AND (l.chat_id, l.priority) >= (:chat_id, :priority) AND l.head_job IS NOT NULL
ORDER BY l.chat_id, l.priority, j.seq LIMIT :limit

-- name: purge_named
-- plan: hot
-- Those of the named jobs that have not started.
SELECT j.job_id, j.phone_no, j.chat_id, j.priority FROM jobs j JOIN $rows(org_no bigint, job_id bigint)
ON j.org_no = r.org_no AND j.job_id = r.job_id WHERE j.state = 'queued' AND j.maybe_sent = 0

-- name: jobs_cancel
-- plan: hot
-- Ends them if they still wait.
UPDATE jobs SET state = 'cancelled', reason = r.reason, detail = r.detail, settled_at = :now, watched = NULL,
  events = jobs.events + 1
FROM $rows(org_no bigint, job_id bigint, reason text, detail text)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = 'queued' AND jobs.maybe_sent = 0
RETURNING jobs.job_id, jobs.phone_no, jobs.chat_id, jobs.priority, jobs.events, jobs.attempts, jobs.ack, jobs.broadcast_no

-- name: lanes_headed_by
-- plan: hot
-- The lanes whose head was cancelled, unless an attempt is under way in them.
SELECT l.org_no, l.phone_no, l.chat_id, l.priority, l.not_before, l.waits_for FROM lanes l
JOIN $rows(org_no bigint, phone_no bigint, chat_id text, priority int, job_id bigint)
ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.priority = r.priority
WHERE l.head_job = r.job_id AND l.status <> 'busy'

-- name: jobs_orphan
-- plan: hot
-- Nobody knows whether they were sent, and the phone that could tell is gone.
UPDATE jobs SET state = 'uncertain', maybe_sent = 1, reason = 'phone_deleted', detail = r.detail, not_before = NULL,
  watched = 1, events = jobs.events + 1
FROM $rows(org_no bigint, job_id bigint, state text, detail text)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = r.state
RETURNING jobs.job_id, jobs.events, jobs.attempts, jobs.ack

-- part: told: NOT EXISTS (SELECT 1 FROM events e WHERE e.org_no = r.org_no AND e.job_id = r.job_id AND e.fanned_out = 0) AND NOT EXISTS (SELECT 1 FROM deliveries d /*index deliveries_telling*/ WHERE d.org_no = r.org_no AND d.job_id = r.job_id AND d.state = 'pending')

-- name: prune_page
-- plan: hot
-- The next of an organisation's old jobs, by key, waiting or not: so many rows are read and no more. `over`: settled in time.
SELECT job_id, phone_no, priority,
  CASE WHEN state IN ('sent', 'failed', 'cancelled', 'expired') AND settled_at < :before THEN 1 ELSE 0 END AS over
FROM jobs WHERE org_no = :org_no AND job_id > :above AND job_id < :below ORDER BY job_id LIMIT :limit

-- name: prune_told
-- plan: hot
-- Those of these that no webhook has to tell of any more.
SELECT r.job_id FROM $rows(org_no bigint, job_id bigint) WHERE $part(told)

-- name: prune_jobs
-- plan: background
-- Settled jobs past their retention; not one that was put back into the queue meanwhile, or is to be told of again.
DELETE FROM jobs WHERE (org_no, job_id) IN (
  SELECT r.org_no, r.job_id FROM $rows(org_no bigint, job_id bigint) WHERE $part(told))
AND state IN ('sent', 'failed', 'cancelled', 'expired') AND settled_at < :before
RETURNING job_id, phone_no, priority, state, provider_message_id AS alias

-- name: prune_events
-- plan: background
-- With their history.
DELETE FROM events WHERE (org_no, job_id) IN (SELECT r.org_no, r.job_id FROM $rows(org_no bigint, job_id bigint))

-- name: provider_message_ids_prune
-- plan: background
-- only: sqlite
-- each: org_no, alias
-- With the ids their provider gave.
DELETE FROM provider_message_ids WHERE org_no = :org_no AND alias = :alias

-- name: provider_message_ids_prune
-- plan: background
-- only: postgresql
-- With the ids their provider gave.
DELETE FROM provider_message_ids WHERE (org_no, alias) IN (SELECT r.org_no, r.alias FROM $rows(org_no bigint, alias text))

-- name: idempotency_old
-- plan: background
-- Keys live for a day.
SELECT org_no, key FROM idempotency WHERE created_at < :before LIMIT :limit

-- name: idempotency_drop
-- plan: background
-- only: sqlite
-- each: org_no, key
-- The keys found before; not one that was dropped and used anew meanwhile.
DELETE FROM idempotency WHERE org_no = :org_no AND key = :key AND created_at < :before

-- name: idempotency_drop
-- plan: background
-- only: postgresql
-- The keys found before; not one that was dropped and used anew meanwhile.
DELETE FROM idempotency WHERE created_at < :before AND (org_no, key) IN (
  SELECT r.org_no, r.key FROM $rows(org_no bigint, key text))

-- name: unmatched_receipts_old
-- plan: background
-- Receipts nobody claimed within a day.
SELECT org_no, phone_no, provider_message_id, ack FROM unmatched_receipts WHERE created_at < :before LIMIT :limit

-- name: unmatched_receipts_delete
-- plan: background
-- only: sqlite
-- each: org_no, phone_no, provider_message_id, ack
-- The receipts found before.
DELETE FROM unmatched_receipts WHERE org_no = :org_no AND phone_no = :phone_no AND provider_message_id = :provider_message_id AND ack = :ack

-- name: unmatched_receipts_delete
-- plan: background
-- only: postgresql
-- The receipts found before.
DELETE FROM unmatched_receipts WHERE (org_no, phone_no, provider_message_id, ack) IN (
  SELECT r.org_no, r.phone_no, r.provider_message_id, r.ack FROM $rows(org_no bigint, phone_no bigint, provider_message_id text, ack int))

-- name: inbound_old
-- plan: background
-- Inbound messages past their retention that are told; so many rows are read and no more.
SELECT org_no, phone_no, message_id, created_at FROM inbound /*index inbound_age*/
WHERE fanned_out = 1 AND created_at < :before AND created_at >= :since ORDER BY created_at LIMIT :limit

-- name: inbound_drop
-- plan: background
-- only: sqlite
-- each: org_no, phone_no, message_id
-- Of the messages found before, those that no webhook has to tell of any more.
DELETE FROM inbound WHERE org_no = :org_no AND phone_no = :phone_no AND message_id = :message_id
AND NOT EXISTS (SELECT 1 FROM deliveries d /*index deliveries_telling*/
  WHERE d.org_no = :org_no AND d.job_id IS NULL AND d.ref = :message_id AND d.state = 'pending')

-- name: inbound_drop
-- plan: background
-- only: postgresql
-- Of the messages found before, those that no webhook has to tell of any more.
DELETE FROM inbound WHERE (org_no, phone_no, message_id) IN (
  SELECT r.org_no, r.phone_no, r.message_id FROM $rows(org_no bigint, phone_no bigint, message_id text)
  WHERE NOT EXISTS (SELECT 1 FROM deliveries d
    WHERE d.org_no = r.org_no AND d.job_id IS NULL AND d.ref = r.message_id AND d.state = 'pending'))
