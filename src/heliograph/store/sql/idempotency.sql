-- name: idempotency_claim
-- Claims idempotency keys; gives those that were free.
-- plan: hot
-- takes: now int
-- returns: org_no int, key text, job_id id?
INSERT INTO idempotency (org_no, key, fingerprint, job_id, position, response, created_at)
SELECT r.org_no, r.key, r.fingerprint, r.job_id, NULL, NULL, :now
FROM $rows(org_no bigint, key text, fingerprint text, job_id bigint?) WHERE true
ON CONFLICT (org_no, key) DO NOTHING
RETURNING org_no, key, job_id

-- name: idempotency_find
-- Reads what a key stands for.
-- plan: hot
-- takes: org_no int, key text
-- returns: fingerprint text, job_id id?, position int?, response text?
SELECT fingerprint, job_id, position, response FROM idempotency WHERE org_no = :org_no AND key = :key

-- name: idempotency_save_positions
-- Stores the positions that a replay repeats.
-- plan: hot
UPDATE idempotency SET position = r.position FROM $rows(org_no bigint, key text, position bigint)
WHERE idempotency.org_no = r.org_no AND idempotency.key = r.key

-- name: idempotency_save_response
-- Stores the response that a replay repeats.
-- plan: hot
-- takes: response text, org_no int, key text
UPDATE idempotency SET response = :response WHERE org_no = :org_no AND key = :key

-- name: idempotency_release
-- Frees a key whose request stored nothing.
-- plan: hot
-- takes: org_no int, key text
DELETE FROM idempotency WHERE org_no = :org_no AND key = :key

-- name: idempotency_old
-- Lists keys older than a day, some at a time.
-- plan: background
-- takes: before int, limit int
-- returns: org_no int, key text
SELECT org_no, key FROM idempotency WHERE created_at < :before LIMIT :limit

-- name: idempotency_prune
-- Deletes keys found before; a key that was claimed again in the meantime stays.
-- plan: background
-- only: sqlite
-- each: org_no, key
-- takes: before int
DELETE FROM idempotency WHERE org_no = :org_no AND key = :key AND created_at < :before

-- name: idempotency_prune
-- Deletes keys found before; a key that was claimed again in the meantime stays.
-- plan: background
-- only: postgresql
-- takes: before int
DELETE FROM idempotency WHERE created_at < :before AND (org_no, key) IN (
  SELECT r.org_no, r.key FROM $rows(org_no bigint, key text))
