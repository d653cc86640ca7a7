-- name: job_of_provider_id
-- Finds the job behind a provider's message id.
-- plan: hot
-- takes: org_no int, alias text
-- returns: job_id id
SELECT job_id FROM provider_message_ids WHERE org_no = :org_no AND alias = :alias

-- name: jobs_by_provider_id
-- Finds the jobs behind several provider's message ids.
-- plan: hot
-- returns: org_no int, alias text, job_id id
SELECT a.org_no, a.alias, a.job_id FROM provider_message_ids a JOIN $rows(org_no bigint, alias text)
  ON a.org_no = r.org_no AND a.alias = r.alias

-- name: provider_message_ids_insert
-- Stores ids that a provider gave to messages; an existing id stays.
-- plan: hot
INSERT INTO provider_message_ids (org_no, alias, job_id) SELECT r.org_no, r.alias, r.job_id
FROM $rows(org_no bigint, alias text, job_id bigint) WHERE true ON CONFLICT (org_no, alias) DO NOTHING

-- name: provider_message_ids_prune
-- Deletes the provider's ids of deleted jobs.
-- plan: background
-- only: sqlite
-- each: org_no, alias
DELETE FROM provider_message_ids WHERE org_no = :org_no AND alias = :alias

-- name: provider_message_ids_prune
-- Deletes the provider's ids of deleted jobs.
-- plan: background
-- only: postgresql
DELETE FROM provider_message_ids WHERE (org_no, alias) IN (SELECT r.org_no, r.alias
  FROM $rows(org_no bigint, alias text))

-- name: jobs_of_receipts
-- Gives the place and state of jobs that got receipts, to lock their lanes first.
-- plan: hot
-- only: postgresql
-- returns: org_no int, phone_no int, job_id id, chat_id text, priority int, state text, maybe_sent int
SELECT j.org_no, j.phone_no, j.job_id, j.chat_id, j.priority, j.state, j.maybe_sent FROM jobs j
JOIN $rows(org_no bigint, phone_no bigint, job_id bigint) ON j.org_no = r.org_no AND j.job_id = r.job_id
  AND j.phone_no = r.phone_no

-- name: jobs_of_receipts_lock
-- Reads jobs that got receipts and locks their rows.
-- plan: hot
-- returns: org_no int, phone_no int, job_id id, chat_id text, priority int, state text, maybe_sent int, ack int,
--   attempts int, events int, broadcast_no id?
SELECT j.org_no, j.phone_no, j.job_id, j.chat_id, j.priority, j.state, j.maybe_sent, j.ack, j.attempts, j.events,
  j.broadcast_no
FROM jobs j JOIN $rows(org_no bigint, phone_no bigint, job_id bigint)
ON j.org_no = r.org_no AND j.job_id = r.job_id AND j.phone_no = r.phone_no
ORDER BY j.org_no, j.job_id /*lock of j*/

-- name: jobs_apply_receipts
-- Writes state and ack level of jobs; each time is that of the first receipt of its kind.
-- plan: hot
-- takes: now int
UPDATE jobs SET state = r.state, ack = r.ack, events = r.events,
  sent_at = CASE WHEN r.state = 'sent' THEN coalesce(jobs.sent_at, r.at) ELSE jobs.sent_at END,
  delivered_at = CASE WHEN r.ack >= 3 THEN coalesce(jobs.delivered_at, r.delivered_at) ELSE jobs.delivered_at END,
  read_at = CASE WHEN r.ack >= 4 THEN coalesce(jobs.read_at, r.read_at) ELSE jobs.read_at END,
  settled_at = CASE WHEN r.state IN ('sent', 'failed') THEN coalesce(jobs.settled_at, :now) ELSE jobs.settled_at END,
  reason = CASE WHEN r.settles = 1 THEN r.reason ELSE jobs.reason END,
  detail = CASE WHEN r.settles = 1 THEN r.detail ELSE jobs.detail END,
  not_before = CASE WHEN r.settles = 1 THEN NULL ELSE jobs.not_before END,
  watched = CASE WHEN r.state IN ('sent', 'failed') THEN NULL ELSE jobs.watched END,
  provider_message_id = coalesce(r.provider_message_id, jobs.provider_message_id)
FROM $rows(org_no bigint, job_id bigint, state text, ack int, events int, at bigint?, delivered_at bigint?,
  read_at bigint?, settles int, reason text?, detail text?, provider_message_id text?)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id

-- name: jobs_set_acks
-- Writes the ack level of messages that are sent and stay so; each time is that of the first receipt of its kind.
-- plan: hot
UPDATE jobs SET ack = r.ack, events = r.events,
  delivered_at = CASE WHEN r.ack >= 3 THEN coalesce(jobs.delivered_at, r.delivered_at) ELSE jobs.delivered_at END,
  read_at = CASE WHEN r.ack >= 4 THEN coalesce(jobs.read_at, r.read_at) ELSE jobs.read_at END
FROM $rows(org_no bigint, job_id bigint, ack int, events int, delivered_at bigint?, read_at bigint?)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id

-- name: unmatched_receipts_insert
-- Stores receipts whose message is not known yet.
-- plan: hot
-- takes: now int
INSERT INTO unmatched_receipts (org_no, phone_no, provider_message_id, ack, at, code, detail, created_at)
SELECT r.org_no, r.phone_no, r.provider_message_id, r.ack, r.at, r.code, r.detail, :now
FROM $rows(org_no bigint, phone_no bigint, provider_message_id text, ack int, at bigint, code text?, detail text?)
  WHERE true
ON CONFLICT (org_no, phone_no, provider_message_id, ack) DO NOTHING

-- name: unmatched_receipts_claim
-- Deletes and gives the receipts that came before a message's id was known.
-- plan: hot
-- only: sqlite
-- each: org_no, phone_no, provider_message_id
-- returns: org_no int, phone_no int, provider_message_id text, ack int, at int, code text?, detail text?
DELETE FROM unmatched_receipts WHERE org_no = :org_no AND phone_no = :phone_no
  AND provider_message_id = :provider_message_id
RETURNING org_no, phone_no, provider_message_id, ack, at, code, detail

-- name: unmatched_receipts_claim
-- Deletes and gives the receipts that came before a message's id was known.
-- plan: hot
-- only: postgresql
-- returns: org_no int, phone_no int, provider_message_id text, ack int, at int, code text?, detail text?
DELETE FROM unmatched_receipts WHERE (org_no, phone_no, provider_message_id) IN (
  SELECT r.org_no, r.phone_no, r.provider_message_id FROM $rows(org_no bigint, phone_no bigint, provider_message_id
    text))
RETURNING org_no, phone_no, provider_message_id, ack, at, code, detail

-- name: unmatched_receipts_old
-- Lists receipts that no message claimed within a day, some at a time.
-- plan: background
-- takes: before int, limit int
-- returns: org_no int, phone_no int, provider_message_id text, ack int
SELECT org_no, phone_no, provider_message_id, ack FROM unmatched_receipts WHERE created_at < :before LIMIT :limit

-- name: unmatched_receipts_prune
-- Deletes the receipts found before.
-- plan: background
-- only: sqlite
-- each: org_no, phone_no, provider_message_id, ack
DELETE FROM unmatched_receipts WHERE org_no = :org_no AND phone_no = :phone_no
  AND provider_message_id = :provider_message_id AND ack = :ack

-- name: unmatched_receipts_prune
-- Deletes the receipts found before.
-- plan: background
-- only: postgresql
DELETE FROM unmatched_receipts WHERE (org_no, phone_no, provider_message_id, ack) IN (
  SELECT r.org_no, r.phone_no, r.provider_message_id, r.ack
    FROM $rows(org_no bigint, phone_no bigint, provider_message_id text, ack int))
