-- columns: delivery: org_no int, no int, hook_no int, event text, source text, job_id id?, n int, phone_no int?,
--   ref text?, ack int, ack_before int, sequence int, state text, tries int, attempts int, outcome text?,
--   not_before int?, created_at int, finished_at int?, h.hook_id text

-- name: deliveries_insert
-- Creates one delivery for each hook that wants the event.
-- plan: hot
-- takes: now int
INSERT INTO deliveries (org_no, no, place, hook_no, endpoint_no, stream, event, source, job_id, n, phone_no, ref, ack,
  ack_before, sequence, state, created_at)
SELECT r.org_no, r.no, r.no, r.hook_no, r.endpoint_no, r.stream, r.event, r.source, r.job_id, r.n, r.phone_no, r.ref,
  r.ack, r.ack_before, r.sequence, 'pending', :now
FROM $rows(org_no bigint, no bigint, hook_no bigint, endpoint_no bigint, stream text, event text, source text,
  job_id bigint?, n bigint, phone_no bigint?, ref text?, ack int, ack_before int, sequence bigint)

-- name: deliveries_of_streams
-- Reads the next deliveries of each stream, in order.
-- plan: hot
-- only: sqlite
-- each: org_no, endpoint_no, stream, wanted
-- returns: *delivery, endpoint_no int, stream text, is_subscribed int, deleted_at int?, url text, disabled_at int?,
--   body text?
SELECT $columns(d.delivery), d.endpoint_no, d.stream, h.is_subscribed, h.deleted_at, e.url, e.disabled_at, b.body
FROM deliveries d JOIN hooks h ON h.org_no = d.org_no AND h.hook_no = d.hook_no
JOIN endpoints e ON e.org_no = h.org_no AND e.endpoint_no = h.endpoint_no
LEFT JOIN delivery_bodies b ON b.org_no = d.org_no AND b.no = d.no
WHERE d.org_no = :org_no AND d.endpoint_no = :endpoint_no AND d.stream = :stream AND d.state = 'pending'
ORDER BY d.place LIMIT :wanted

-- name: deliveries_of_streams
-- Reads the next deliveries of each stream, in order.
-- plan: hot
-- only: postgresql
-- returns: *delivery, endpoint_no int, stream text, is_subscribed int, deleted_at int?, url text, disabled_at int?,
--   body text?
SELECT $columns(d.delivery), d.endpoint_no, d.stream, h.is_subscribed, h.deleted_at, e.url, e.disabled_at, b.body
FROM $rows(org_no bigint, endpoint_no bigint, stream text, wanted bigint) CROSS JOIN LATERAL (
  SELECT d.* FROM deliveries d WHERE d.org_no = r.org_no AND d.endpoint_no = r.endpoint_no AND d.stream = r.stream
  AND d.state = 'pending' ORDER BY d.place LIMIT r.wanted) AS d
JOIN hooks h ON h.org_no = d.org_no AND h.hook_no = d.hook_no
JOIN endpoints e ON e.org_no = h.org_no AND e.endpoint_no = h.endpoint_no
LEFT JOIN delivery_bodies b ON b.org_no = d.org_no AND b.no = d.no
ORDER BY d.org_no, d.no

-- name: deliveries_settle
-- Writes what came of attempts.
-- plan: hot
-- takes: now int
UPDATE deliveries SET state = r.state, tries = r.tries, attempts = r.attempts, outcome = r.outcome, stream = r.stream,
  not_before = r.not_before, finished_at = CASE WHEN r.state = 'pending' THEN NULL ELSE CAST(:now AS BIGINT) END
FROM $rows(org_no bigint, no bigint, state text, tries int, attempts int, outcome text?, stream text,
  not_before bigint?)
WHERE deliveries.org_no = r.org_no AND deliveries.no = r.no AND deliveries.state || '' = 'pending'

-- name: delivery_attempts_insert
-- Writes the attempts of deliveries.
-- plan: hot
INSERT INTO delivery_attempts (org_no, no, attempt, at, took_ms, outcome, status, detail, answer)
SELECT r.org_no, r.no, r.attempt, r.at, r.took_ms, r.outcome, r.status, r.detail, r.answer
FROM $rows(org_no bigint, no bigint, attempt int, at bigint, took_ms bigint, outcome text, status int, detail text,
  answer text)
WHERE true ON CONFLICT (org_no, no, attempt) DO NOTHING

-- name: delivery_bodies_insert
-- Stores the bytes of a first attempt that failed; every later attempt sends the same.
-- plan: hot
INSERT INTO delivery_bodies (org_no, no, body) SELECT r.org_no, r.no, r.body
  FROM $rows(org_no bigint, no bigint, body text)
WHERE true ON CONFLICT (org_no, no) DO NOTHING

-- name: deliveries_of_hook
-- Lists the deliveries of one hook, newest first, in one state or in any.
-- plan: hot
-- takes: org_no int, hook_no int, below int, state text?, limit int
-- returns: *delivery, org_id text
SELECT $columns(d.delivery), o.org_id FROM deliveries d JOIN orgs o ON o.org_no = d.org_no
JOIN hooks h ON h.org_no = d.org_no AND h.hook_no = d.hook_no
WHERE d.org_no = :org_no AND d.hook_no = :hook_no AND d.place < :below
  AND (CAST(:state AS TEXT) IS NULL OR d.state = CAST(:state AS TEXT)) ORDER BY d.place DESC LIMIT :limit

-- name: delivery_by_no
-- Reads one delivery, with its body if it was stored.
-- plan: hot
-- takes: org_no int, no int
-- returns: *delivery, endpoint_no int, stream text, org_id text, body text?
SELECT $columns(d.delivery), d.endpoint_no, d.stream, o.org_id, b.body FROM deliveries d
JOIN orgs o ON o.org_no = d.org_no JOIN hooks h ON h.org_no = d.org_no AND h.hook_no = d.hook_no
LEFT JOIN delivery_bodies b ON b.org_no = d.org_no AND b.no = d.no WHERE d.org_no = :org_no AND d.no = :no

-- name: delivery_attempts_of
-- Lists the attempts of a delivery in order.
-- plan: hot
-- takes: org_no int, no int
-- returns: attempt int, at int, took_ms int, outcome text, status int, detail text, answer text
SELECT attempt, at, took_ms, outcome, status, detail, answer FROM delivery_attempts
WHERE org_no = :org_no AND no = :no ORDER BY attempt

-- name: deliveries_dead_between
-- Lists dead letters of a hook created in a span of time, some at a time.
-- plan: background
-- takes: org_no int, hook_no int, since int, until int, above int, limit int
-- returns: org_no int, no int, endpoint_no int
SELECT d.org_no, d.no, d.endpoint_no FROM deliveries d
WHERE d.org_no = :org_no AND d.hook_no = :hook_no AND d.state = 'dead' AND d.created_at >= :since
  AND d.created_at < :until
  AND d.place > :above ORDER BY d.place LIMIT :limit

-- name: deliveries_ended_between
-- Lists ended deliveries of a hook created in a span of time, some at a time.
-- plan: background
-- takes: org_no int, hook_no int, since int, until int, above int, limit int
-- returns: org_no int, no int, endpoint_no int
SELECT d.org_no, d.no, d.endpoint_no FROM deliveries d
WHERE d.org_no = :org_no AND d.hook_no = :hook_no AND d.state <> 'pending' AND d.created_at >= :since
  AND d.created_at < :until AND d.place > :above ORDER BY d.place LIMIT :limit

-- name: deliveries_replay
-- Sets deliveries to be tried again beside their streams, with their own ids and bytes.
-- plan: hot
-- returns: no int, endpoint_no int
UPDATE deliveries SET state = 'pending', tries = 0, stream = r.stream, endpoint_no = r.endpoint_no, finished_at = NULL,
  not_before = NULL
FROM $rows(org_no bigint, no bigint, stream text, endpoint_no bigint)
WHERE deliveries.org_no = r.org_no AND deliveries.no = r.no AND deliveries.state <> 'pending'
RETURNING deliveries.no, deliveries.endpoint_no

-- name: deliveries_page
-- Reads the next deliveries of an organisation, ended or not; never more than :limit rows.
-- plan: background
-- takes: org_no int, above int, limit int
-- returns: no int, state text, created_at int
SELECT no, state, created_at FROM deliveries WHERE org_no = :org_no AND no > :above ORDER BY no LIMIT :limit

-- name: deliveries_delete
-- Deletes deliveries, but none that was set to be tried again in the meantime.
-- plan: background
-- returns: org_no int, no int
DELETE FROM deliveries WHERE (org_no, no) IN (SELECT r.org_no, r.no FROM $rows(org_no bigint, no bigint))
AND state || '' <> 'pending' RETURNING org_no, no

-- name: deliveries_waiting_for_endpoint
-- Lists what waits for one endpoint, some at a time.
-- plan: background
-- takes: org_no int, endpoint_no int, limit int
-- returns: no int, stream text
SELECT no, stream FROM deliveries /*index deliveries_pending*/
WHERE org_no = :org_no AND endpoint_no = :endpoint_no AND state = 'pending' ORDER BY stream, place LIMIT :limit

-- name: deliveries_cancel
-- Cancels waiting deliveries.
-- plan: background
-- takes: now int
UPDATE deliveries SET state = 'cancelled', not_before = NULL, finished_at = :now FROM $rows(org_no bigint, no bigint)
WHERE deliveries.org_no = r.org_no AND deliveries.no = r.no AND deliveries.state || '' = 'pending'

-- name: delivery_attempts_delete
-- Deletes the attempts of deleted deliveries.
-- plan: background
DELETE FROM delivery_attempts WHERE (org_no, no) IN (SELECT r.org_no, r.no FROM $rows(org_no bigint, no bigint))

-- name: delivery_bodies_delete
-- Deletes the bodies of deleted deliveries.
-- plan: background
DELETE FROM delivery_bodies WHERE (org_no, no) IN (SELECT r.org_no, r.no FROM $rows(org_no bigint, no bigint))
