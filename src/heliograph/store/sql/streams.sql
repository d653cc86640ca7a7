-- columns: stream: org_no int, endpoint_no int, stream text

-- A status is written `status || '' = …` where the row is found by its key: a planner that knows only the empty table
-- would otherwise search a partial index of that status from end to end.

-- name: streams_upsert
-- Creates streams with their first delivery as head. A stream with work stays as it is, but is locked until the
-- commit.
-- plan: hot
INSERT INTO streams (org_no, endpoint_no, stream, status, head_no)
SELECT r.org_no, r.endpoint_no, r.stream, 'ready', r.head_no
FROM $rows(org_no bigint, endpoint_no bigint, stream text, head_no bigint) WHERE true
ORDER BY r.org_no, r.endpoint_no, r.stream
ON CONFLICT (org_no, endpoint_no, stream) DO UPDATE SET head_no = excluded.head_no WHERE streams.head_no IS NULL

-- name: streams_park
-- Creates a stream for a delivery that is retried beside its stream, from not_before on.
-- plan: hot
INSERT INTO streams (org_no, endpoint_no, stream, status, head_no, not_before)
SELECT r.org_no, r.endpoint_no, r.stream, 'delayed', r.head_no, r.not_before
FROM $rows(org_no bigint, endpoint_no bigint, stream text, head_no bigint, not_before bigint?) WHERE true
ON CONFLICT (org_no, endpoint_no, stream) DO UPDATE SET not_before = excluded.not_before
  WHERE streams.status = 'delayed'

-- name: streams_of_worker
-- Lists streams that a dead worker had claimed, over all organisations, some at a time. Takes no locks.
-- plan: whole
-- takes: worker text, limit int
-- returns: *stream
SELECT org_no, endpoint_no, stream FROM streams WHERE worker = :worker AND status = 'busy'
ORDER BY org_no, endpoint_no, stream LIMIT :limit

-- name: streams_release
-- Releases claims, if they are still that worker's.
-- plan: hot
-- takes: worker text
UPDATE streams SET status = 'ready', worker = NULL, claim = NULL FROM $rows(org_no bigint, endpoint_no bigint,
  stream text)
WHERE streams.org_no = r.org_no AND streams.endpoint_no = r.endpoint_no AND streams.stream = r.stream
AND streams.status || '' = 'busy' AND streams.worker || '' = :worker

-- name: streams_of_claims
-- Lists streams that a worker claimed in transactions whose answer was lost. Takes no locks.
-- plan: whole
-- takes: worker text
-- returns: *stream
SELECT s.org_no, s.endpoint_no, s.stream FROM streams s JOIN $rows(claim bigint) ON s.claim = r.claim
WHERE s.worker = :worker AND s.status = 'busy' ORDER BY s.org_no, s.endpoint_no, s.stream

-- name: streams_due
-- Lists streams of all organisations whose wait is over, some at a time. Takes no locks.
-- plan: whole
-- takes: now int, limit int
-- returns: *stream
SELECT org_no, endpoint_no, stream FROM streams WHERE status = 'delayed' AND not_before <= :now ORDER BY not_before
  LIMIT :limit

-- name: streams_due_lock
-- Locks those of these streams whose wait is over; skips those that another transaction has locked.
-- plan: hot
-- takes: now int
-- returns: *stream
SELECT s.org_no, s.endpoint_no, s.stream FROM streams s JOIN $rows(org_no bigint, endpoint_no bigint, stream text)
ON s.org_no = r.org_no AND s.endpoint_no = r.endpoint_no AND s.stream = r.stream
WHERE s.status || '' = 'delayed' AND s.not_before <= :now /*lock skip of s*/

-- name: streams_promote
-- Makes streams ready whose wait is over.
-- plan: hot
UPDATE streams SET status = 'ready', not_before = NULL FROM $rows(org_no bigint, endpoint_no bigint, stream text)
WHERE streams.org_no = r.org_no AND streams.endpoint_no = r.endpoint_no AND streams.stream = r.stream
AND streams.status || '' = 'delayed'

-- name: streams_ready
-- Lists the oldest ready streams of each endpoint.
-- plan: hot
-- only: sqlite
-- each: org_no, endpoint_no, wanted
-- returns: *stream, head_no int
SELECT org_no, endpoint_no, stream, head_no FROM streams
WHERE org_no = :org_no AND endpoint_no = :endpoint_no AND status = 'ready' ORDER BY head_no LIMIT :wanted

-- name: streams_ready
-- Lists the oldest ready streams of each endpoint; skips those that another transaction has locked.
-- plan: hot
-- only: postgresql
-- returns: *stream, head_no int
SELECT s.* FROM $rows(org_no bigint, endpoint_no bigint, wanted bigint) CROSS JOIN LATERAL (
  SELECT s.org_no, s.endpoint_no, s.stream, s.head_no FROM streams s
  WHERE s.org_no = r.org_no AND s.endpoint_no = r.endpoint_no AND s.status = 'ready'
  ORDER BY s.head_no LIMIT r.wanted /*lock skip*/) AS s

-- name: streams_claim
-- Claims streams: each has one delivery in flight at a time.
-- plan: hot
-- takes: worker text, claim int
UPDATE streams SET status = 'busy', worker = :worker, claim = :claim FROM $rows(org_no bigint, endpoint_no bigint,
  stream text)
WHERE streams.org_no = r.org_no AND streams.endpoint_no = r.endpoint_no AND streams.stream = r.stream
AND streams.status || '' = 'ready'

-- name: streams_fence
-- Locks and gives those of these streams that are still ours under this claim.
-- plan: hot
-- takes: worker text
-- returns: *stream
SELECT s.org_no, s.endpoint_no, s.stream FROM streams s
JOIN $rows(org_no bigint, endpoint_no bigint, stream text, claim bigint)
ON s.org_no = r.org_no AND s.endpoint_no = r.endpoint_no AND s.stream = r.stream
WHERE s.status || '' = 'busy' AND s.worker || '' = :worker AND s.claim = r.claim
ORDER BY s.org_no, s.endpoint_no, s.stream /*lock of s*/

-- name: streams_heads
-- Finds the next waiting delivery of each stream, which must be locked.
-- plan: hot
-- returns: *stream, head_no int?
SELECT r.org_no, r.endpoint_no, r.stream, (
  SELECT d.no FROM deliveries d WHERE d.org_no = r.org_no AND d.endpoint_no = r.endpoint_no AND d.stream = r.stream
  AND d.state = 'pending' ORDER BY d.place LIMIT 1) AS head_no
FROM $rows(org_no bigint, endpoint_no bigint, stream text)

-- name: streams_set
-- Gives streams their next head, at once or from not_before on.
-- plan: hot
UPDATE streams SET head_no = r.head_no, status = r.status, not_before = r.not_before, worker = NULL, claim = NULL
FROM $rows(org_no bigint, endpoint_no bigint, stream text, head_no bigint, status text, not_before bigint?)
WHERE streams.org_no = r.org_no AND streams.endpoint_no = r.endpoint_no AND streams.stream = r.stream

-- name: streams_delete
-- Deletes streams that have no work.
-- plan: hot
-- only: sqlite
-- each: org_no, endpoint_no, stream
DELETE FROM streams WHERE org_no = :org_no AND endpoint_no = :endpoint_no AND stream = :stream

-- name: streams_delete
-- Deletes streams that have no work.
-- plan: hot
-- only: postgresql
DELETE FROM streams WHERE (org_no, endpoint_no, stream) IN (
  SELECT r.org_no, r.endpoint_no, r.stream FROM $rows(org_no bigint, endpoint_no bigint, stream text))

-- name: streams_lock
-- Locks streams in the order of their keys. Streams are locked before deliveries.
-- plan: hot
-- only: postgresql
SELECT 1 FROM streams s JOIN $rows(org_no bigint, endpoint_no bigint, stream text)
ON s.org_no = r.org_no AND s.endpoint_no = r.endpoint_no AND s.stream = r.stream
ORDER BY s.org_no, s.endpoint_no, s.stream /*lock of s*/

-- name: stream_promote
-- Makes a parked delivery's stream ready at once.
-- plan: background
-- takes: org_no int, endpoint_no int, stream text
-- returns: stream text
UPDATE streams SET status = 'ready', not_before = NULL
WHERE org_no = :org_no AND endpoint_no = :endpoint_no AND stream = :stream AND status = 'delayed' RETURNING stream
