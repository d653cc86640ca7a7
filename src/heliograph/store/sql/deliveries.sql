-- columns: delivery: d.org_no, d.no, d.hook_no, d.event, d.source, d.job_id, d.n, d.phone_no, d.ref, d.ack, d.ack_before, d.sequence, d.state, d.tries, d.attempts, d.outcome, d.not_before, d.created_at, d.finished_at

-- A status is written `status || '' = …` where the row is found by its key: a planner that knows the table only as it was
-- when empty would otherwise search a partial index of that status from end to end.

-- name: deliveries_insert
-- plan: hot
-- One for each hook that wants the event.
INSERT INTO deliveries (org_no, no, place, hook_no, endpoint_no, stream, event, source, job_id, n, phone_no, ref, ack, ack_before,
  sequence, state, created_at)
SELECT r.org_no, r.no, r.no, r.hook_no, r.endpoint_no, r.stream, r.event, r.source, r.job_id, r.n, r.phone_no, r.ref, r.ack,
  r.ack_before, r.sequence, 'pending', :now
FROM $rows(org_no bigint, no bigint, hook_no bigint, endpoint_no bigint, stream text, event text, source text, job_id bigint,
  n bigint, phone_no bigint, ref text, ack int, ack_before int, sequence bigint)

-- name: streams_feed
-- plan: hot
-- A stream without work gets this head; one with work stays as it is, but is locked until we commit.
INSERT INTO streams (org_no, endpoint_no, stream, status, head_no)
SELECT r.org_no, r.endpoint_no, r.stream, 'ready', r.head_no
FROM $rows(org_no bigint, endpoint_no bigint, stream text, head_no bigint) WHERE true
ORDER BY r.org_no, r.endpoint_no, r.stream
ON CONFLICT (org_no, endpoint_no, stream) DO UPDATE SET head_no = excluded.head_no WHERE streams.head_no IS NULL

-- name: streams_park
-- plan: hot
-- A delivery that retries beside its stream, from not_before on.
INSERT INTO streams (org_no, endpoint_no, stream, status, head_no, not_before)
SELECT r.org_no, r.endpoint_no, r.stream, 'delayed', r.head_no, r.not_before
FROM $rows(org_no bigint, endpoint_no bigint, stream text, head_no bigint, not_before bigint) WHERE true
ON CONFLICT (org_no, endpoint_no, stream) DO UPDATE SET not_before = excluded.not_before WHERE streams.status = 'delayed'

-- name: worker_beat
-- plan: small
-- A worker is alive until then.
INSERT INTO hook_workers (worker, alive_until) VALUES (:worker, :alive_until)
ON CONFLICT (worker) DO UPDATE SET alive_until = excluded.alive_until

-- name: workers_dead
-- plan: small
-- Workers that were not seen in time.
SELECT worker FROM hook_workers WHERE alive_until < :now AND worker <> :worker

-- name: streams_left
-- plan: whole
-- What a worker that is gone had claimed, over all organisations, a bounded piece at a time. Takes no locks.
SELECT org_no, endpoint_no, stream FROM streams WHERE worker = :worker AND status = 'busy'
ORDER BY org_no, endpoint_no, stream LIMIT :limit

-- name: streams_free
-- plan: hot
-- Claims given up, if they are still that worker's.
UPDATE streams SET status = 'ready', worker = NULL, claim = NULL FROM $rows(org_no bigint, endpoint_no bigint, stream text)
WHERE streams.org_no = r.org_no AND streams.endpoint_no = r.endpoint_no AND streams.stream = r.stream
AND streams.status || '' = 'busy' AND streams.worker || '' = :worker

-- name: worker_forget
-- plan: small
-- A worker that left or died.
DELETE FROM hook_workers WHERE worker = :worker

-- name: streams_due
-- plan: whole
-- Streams whose wait is over, over all organisations: by the index of what waits. Takes no locks.
SELECT org_no, endpoint_no, stream FROM streams WHERE status = 'delayed' AND not_before <= :now ORDER BY not_before LIMIT :limit

-- name: streams_over
-- plan: hot
-- Of these, those whose wait is over indeed, locked; one that another transaction holds is left for later.
SELECT s.org_no, s.endpoint_no, s.stream FROM streams s JOIN $rows(org_no bigint, endpoint_no bigint, stream text)
ON s.org_no = r.org_no AND s.endpoint_no = r.endpoint_no AND s.stream = r.stream
WHERE s.status || '' = 'delayed' AND s.not_before <= :now /*lock skip of s*/

-- name: streams_promote
-- plan: hot
-- Their wait is over.
UPDATE streams SET status = 'ready', not_before = NULL FROM $rows(org_no bigint, endpoint_no bigint, stream text)
WHERE streams.org_no = r.org_no AND streams.endpoint_no = r.endpoint_no AND streams.stream = r.stream
AND streams.status || '' = 'delayed'

-- name: endpoints_due
-- plan: whole
-- Endpoints of all organisations with something to deliver that may be tried now: one probe each. Takes no locks.
SELECT e.org_no, e.endpoint_no FROM endpoints e WHERE e.disabled_at IS NULL AND (e.probe_at IS NULL OR e.probe_at <= :now)
AND EXISTS (SELECT 1 FROM streams s WHERE s.org_no = e.org_no AND s.endpoint_no = e.endpoint_no AND s.status = 'ready')

-- name: endpoints_open
-- plan: hot
-- Of these endpoints, those that may be tried: probe_at set means that only one probe may go.
SELECT e.org_no, e.endpoint_no, e.probe_at FROM endpoints e JOIN $rows(org_no bigint, endpoint_no bigint)
ON e.org_no = r.org_no AND e.endpoint_no = r.endpoint_no
WHERE e.disabled_at IS NULL AND (e.probe_at IS NULL OR e.probe_at <= :now)

-- name: endpoints_probe
-- plan: hot
-- The right to probe, for one worker, until it must have ended.
UPDATE endpoints SET probe_at = :until FROM $rows(org_no bigint, endpoint_no bigint)
WHERE endpoints.org_no = r.org_no AND endpoints.endpoint_no = r.endpoint_no AND endpoints.probe_at <= :now
RETURNING endpoints.org_no, endpoints.endpoint_no

-- name: endpoints_unprobe
-- plan: hot
-- A probe that found nothing to send: the next thing to send is the probe.
UPDATE endpoints SET probe_at = :now FROM $rows(org_no bigint, endpoint_no bigint)
WHERE endpoints.org_no = r.org_no AND endpoints.endpoint_no = r.endpoint_no

-- name: streams_ready
-- plan: hot
-- only: sqlite
-- each: org_no, endpoint_no, wanted
-- The oldest ready streams of each endpoint.
SELECT org_no, endpoint_no, stream, head_no FROM streams
WHERE org_no = :org_no AND endpoint_no = :endpoint_no AND status = 'ready' ORDER BY head_no LIMIT :wanted

-- name: streams_ready
-- plan: hot
-- only: postgresql
-- The oldest ready streams of each endpoint; one that another transaction holds is left for later.
SELECT s.* FROM $rows(org_no bigint, endpoint_no bigint, wanted bigint) CROSS JOIN LATERAL (
  SELECT s.org_no, s.endpoint_no, s.stream, s.head_no FROM streams s
  WHERE s.org_no = r.org_no AND s.endpoint_no = r.endpoint_no AND s.status = 'ready'
  ORDER BY s.head_no LIMIT r.wanted /*lock skip*/) AS s

-- name: streams_claim
-- plan: hot
-- One delivery of a stream is on its way at a time.
UPDATE streams SET status = 'busy', worker = :worker, claim = :claim FROM $rows(org_no bigint, endpoint_no bigint, stream text)
WHERE streams.org_no = r.org_no AND streams.endpoint_no = r.endpoint_no AND streams.stream = r.stream
AND streams.status || '' = 'ready'

-- name: stream_deliveries
-- plan: hot
-- only: sqlite
-- each: org_no, endpoint_no, stream, wanted
-- The next deliveries of each stream, in order.
SELECT $columns(delivery), d.endpoint_no, d.stream, h.hook_id, h.is_subscribed, h.deleted_at, e.url, e.disabled_at, b.body
FROM deliveries d JOIN hooks h ON h.org_no = d.org_no AND h.hook_no = d.hook_no
JOIN endpoints e ON e.org_no = h.org_no AND e.endpoint_no = h.endpoint_no
LEFT JOIN delivery_bodies b ON b.org_no = d.org_no AND b.no = d.no
WHERE d.org_no = :org_no AND d.endpoint_no = :endpoint_no AND d.stream = :stream AND d.state = 'pending'
ORDER BY d.place LIMIT :wanted

-- name: stream_deliveries
-- plan: hot
-- only: postgresql
-- The next deliveries of each stream, in order.
SELECT $columns(delivery), d.endpoint_no, d.stream, h.hook_id, h.is_subscribed, h.deleted_at, e.url, e.disabled_at, b.body
FROM $rows(org_no bigint, endpoint_no bigint, stream text, wanted bigint) CROSS JOIN LATERAL (
  SELECT d.* FROM deliveries d WHERE d.org_no = r.org_no AND d.endpoint_no = r.endpoint_no AND d.stream = r.stream
  AND d.state = 'pending' ORDER BY d.place LIMIT r.wanted) AS d
JOIN hooks h ON h.org_no = d.org_no AND h.hook_no = d.hook_no
JOIN endpoints e ON e.org_no = h.org_no AND e.endpoint_no = h.endpoint_no
LEFT JOIN delivery_bodies b ON b.org_no = d.org_no AND b.no = d.no
ORDER BY d.org_no, d.no

-- name: jobs_to_tell
-- plan: hot
-- What some deliveries speak of.
SELECT $columns(told) FROM jobs j JOIN $rows(org_no bigint, job_id bigint) ON j.org_no = r.org_no AND j.job_id = r.job_id
-- columns: told: j.job_id, j.org_no, j.phone_no, j.chat_id, j.priority, j.seq, j.state, j.content, j.attempts, j.starts, j.maybe_sent, j.ack, j.reason, j.detail, j.not_before, j.expires_at, j.broadcast_no, j.schedule_no, j.performed_by, j.provider_message_id, j.author, j.events, j.queued_at, j.started_at, j.sent_at, j.delivered_at, j.read_at, j.settled_at

-- name: events_to_tell
-- plan: hot
-- The events' own snapshots.
SELECT e.org_no, e.job_id, e.n, e.at, e.kind, e.before, e.after, e.ack, e.attempt, e.token, e.actor, e.reason, e.detail
FROM events e JOIN $rows(org_no bigint, job_id bigint, n bigint) ON e.org_no = r.org_no AND e.job_id = r.job_id AND e.n = r.n

-- name: inbound_to_tell
-- plan: hot
-- What people wrote.
SELECT i.org_no, i.phone_no, i.message_id, i.chat_id, i.author, i.type, i.body, i.raw, i.at FROM inbound i
JOIN $rows(org_no bigint, phone_no bigint, ref text)
ON i.org_no = r.org_no AND i.phone_no = r.phone_no AND i.message_id = r.ref

-- name: org_events_to_tell
-- plan: hot
-- What happened to phones and hooks.
SELECT g.org_event_no, g.at, g.name, g.phone_no, g.detail, g.data FROM org_events g
JOIN $rows(org_no bigint, org_event_no bigint) ON g.org_no = r.org_no AND g.org_event_no = r.org_event_no

-- name: phones_to_tell
-- plan: hot
-- The phones of some deliveries, deleted or not.
SELECT $columns(phone) FROM phones p JOIN orgs o ON o.org_no = p.org_no
JOIN $rows(org_no bigint, phone_no bigint) ON p.org_no = r.org_no AND p.phone_no = r.phone_no

-- name: orgs_to_tell
-- plan: hot
-- The organisations and the keys that their deliveries are signed with.
SELECT o.org_no, o.org_id, k.current, k.previous, k.switch_at FROM orgs o JOIN signing_keys k ON k.org_no = o.org_no
JOIN $rows(org_no bigint) ON o.org_no = r.org_no

-- name: endpoints_seen
-- plan: hot
-- Whether some endpoints were failing.
SELECT e.org_no, e.endpoint_no, e.failures FROM endpoints e JOIN $rows(org_no bigint, endpoint_no bigint)
ON e.org_no = r.org_no AND e.endpoint_no = r.endpoint_no

-- name: endpoints_lock
-- plan: hot
-- Endpoints before streams, sorted: the one order of locks.
SELECT e.org_no, e.endpoint_no, e.url, e.failures, e.failing_since, e.probe_at, e.disabled_at FROM endpoints e
JOIN $rows(org_no bigint, endpoint_no bigint) ON e.org_no = r.org_no AND e.endpoint_no = r.endpoint_no
ORDER BY e.org_no, e.endpoint_no /*lock of e*/

-- name: endpoints_health
-- plan: hot
-- After a batch of attempts.
UPDATE endpoints SET failures = r.failures, failing_since = r.failing_since, probe_at = r.probe_at
FROM $rows(org_no bigint, endpoint_no bigint, failures int, failing_since bigint, probe_at bigint)
WHERE endpoints.org_no = r.org_no AND endpoints.endpoint_no = r.endpoint_no

-- name: endpoint_disable
-- plan: hot
-- Nothing more is tried until a person subscribes again; what waits stays.
UPDATE endpoints SET disabled_at = :now, disabled_reason = :reason
WHERE org_no = :org_no AND endpoint_no = :endpoint_no AND disabled_at IS NULL RETURNING url

-- name: streams_held
-- plan: hot
-- Of these streams, those that are still ours under this claim, locked.
SELECT s.org_no, s.endpoint_no, s.stream FROM streams s
JOIN $rows(org_no bigint, endpoint_no bigint, stream text, claim bigint)
ON s.org_no = r.org_no AND s.endpoint_no = r.endpoint_no AND s.stream = r.stream
WHERE s.status || '' = 'busy' AND s.worker || '' = :worker AND s.claim = r.claim
ORDER BY s.org_no, s.endpoint_no, s.stream /*lock of s*/

-- name: deliveries_settle
-- plan: hot
-- What came of their attempts.
UPDATE deliveries SET state = r.state, tries = r.tries, attempts = r.attempts, outcome = r.outcome, stream = r.stream,
  not_before = r.not_before, finished_at = CASE WHEN r.state = 'pending' THEN NULL ELSE CAST(:now AS BIGINT) END
FROM $rows(org_no bigint, no bigint, state text, tries int, attempts int, outcome text, stream text, not_before bigint)
WHERE deliveries.org_no = r.org_no AND deliveries.no = r.no AND deliveries.state || '' = 'pending'

-- name: attempts_insert
-- plan: hot
-- Every attempt is kept.
INSERT INTO delivery_attempts (org_no, no, attempt, at, took_ms, outcome, status, detail, answer)
SELECT r.org_no, r.no, r.attempt, r.at, r.took_ms, r.outcome, r.status, r.detail, r.answer
FROM $rows(org_no bigint, no bigint, attempt int, at bigint, took_ms bigint, outcome text, status int, detail text, answer text)
WHERE true ON CONFLICT (org_no, no, attempt) DO NOTHING

-- name: bodies_insert
-- plan: hot
-- The bytes of a first attempt that failed: every later one sends the same.
INSERT INTO delivery_bodies (org_no, no, body) SELECT r.org_no, r.no, r.body FROM $rows(org_no bigint, no bigint, body text)
WHERE true ON CONFLICT (org_no, no) DO NOTHING

-- name: streams_heads
-- plan: hot
-- After the streams are locked: the next waiting delivery of each, if any.
SELECT r.org_no, r.endpoint_no, r.stream, (
  SELECT d.no FROM deliveries d WHERE d.org_no = r.org_no AND d.endpoint_no = r.endpoint_no AND d.stream = r.stream
  AND d.state = 'pending' ORDER BY d.place LIMIT 1) AS head_no
FROM $rows(org_no bigint, endpoint_no bigint, stream text)

-- name: streams_set
-- plan: hot
-- Gives streams their next head, at once or from not_before on.
UPDATE streams SET head_no = r.head_no, status = r.status, not_before = r.not_before, worker = NULL, claim = NULL
FROM $rows(org_no bigint, endpoint_no bigint, stream text, head_no bigint, status text, not_before bigint)
WHERE streams.org_no = r.org_no AND streams.endpoint_no = r.endpoint_no AND streams.stream = r.stream

-- name: streams_drop
-- plan: hot
-- only: sqlite
-- each: org_no, endpoint_no, stream
-- Streams that have no work are no rows.
DELETE FROM streams WHERE org_no = :org_no AND endpoint_no = :endpoint_no AND stream = :stream

-- name: streams_drop
-- plan: hot
-- only: postgresql
-- Streams that have no work are no rows.
DELETE FROM streams WHERE (org_no, endpoint_no, stream) IN (
  SELECT r.org_no, r.endpoint_no, r.stream FROM $rows(org_no bigint, endpoint_no bigint, stream text))

-- name: deliveries_listed
-- plan: hot
-- Of one hook, newest first, or those in one state.
SELECT $columns(delivery), o.org_id, h.hook_id FROM deliveries d JOIN orgs o ON o.org_no = d.org_no
JOIN hooks h ON h.org_no = d.org_no AND h.hook_no = d.hook_no
WHERE d.org_no = :org_no AND d.hook_no = :hook_no AND d.place < :below
  AND (CAST(:state AS TEXT) IS NULL OR d.state = CAST(:state AS TEXT)) ORDER BY d.place DESC LIMIT :limit

-- name: delivery_by_no
-- plan: hot
-- One delivery with its body, if it was tried.
SELECT $columns(delivery), d.endpoint_no, d.stream, o.org_id, h.hook_id, b.body FROM deliveries d
JOIN orgs o ON o.org_no = d.org_no JOIN hooks h ON h.org_no = d.org_no AND h.hook_no = d.hook_no
LEFT JOIN delivery_bodies b ON b.org_no = d.org_no AND b.no = d.no WHERE d.org_no = :org_no AND d.no = :no

-- name: attempts_of
-- plan: hot
-- Its attempts in order.
SELECT attempt, at, took_ms, outcome, status, detail, answer FROM delivery_attempts
WHERE org_no = :org_no AND no = :no ORDER BY attempt

-- name: replay_dead
-- plan: background
-- Dead letters of a hook since a time, a bounded piece at a time.
SELECT d.org_no, d.no, d.endpoint_no FROM deliveries d
WHERE d.org_no = :org_no AND d.hook_no = :hook_no AND d.state = 'dead' AND d.created_at >= :since AND d.created_at < :until
  AND d.place > :above ORDER BY d.place LIMIT :limit

-- name: replay_range
-- plan: background
-- Everything a hook was told in a span of time, a bounded piece at a time.
SELECT d.org_no, d.no, d.endpoint_no FROM deliveries d
WHERE d.org_no = :org_no AND d.hook_no = :hook_no AND d.state <> 'pending' AND d.created_at >= :since
  AND d.created_at < :until AND d.place > :above ORDER BY d.place LIMIT :limit

-- name: deliveries_replay
-- plan: hot
-- To be tried again, each beside its stream, with its own id and bytes.
UPDATE deliveries SET state = 'pending', tries = 0, stream = r.stream, endpoint_no = r.endpoint_no, finished_at = NULL,
  not_before = NULL
FROM $rows(org_no bigint, no bigint, stream text, endpoint_no bigint)
WHERE deliveries.org_no = r.org_no AND deliveries.no = r.no AND deliveries.state <> 'pending'
RETURNING deliveries.no, deliveries.endpoint_no

-- name: stream_hasten
-- plan: background
-- A parked delivery that need wait no longer.
UPDATE streams SET status = 'ready', not_before = NULL
WHERE org_no = :org_no AND endpoint_no = :endpoint_no AND stream = :stream AND status = 'delayed' RETURNING stream

-- name: deliveries_page
-- plan: background
-- The next deliveries of an organisation, ended or not: so many rows are read and no more.
SELECT no, state, created_at FROM deliveries WHERE org_no = :org_no AND no > :above ORDER BY no LIMIT :limit

-- name: deliveries_delete
-- plan: background
-- Not one that is to be made again meanwhile.
DELETE FROM deliveries WHERE (org_no, no) IN (SELECT r.org_no, r.no FROM $rows(org_no bigint, no bigint))
AND state || '' <> 'pending' RETURNING org_no, no

-- name: endpoints_given_up
-- plan: whole
-- Endpoints of all organisations that were disabled long ago and have something waiting: one probe each. Takes no locks.
SELECT e.org_no, e.endpoint_no FROM endpoints e WHERE e.disabled_at < :before AND EXISTS (
  SELECT 1 FROM deliveries d /*index deliveries_pending*/
  WHERE d.org_no = e.org_no AND d.endpoint_no = e.endpoint_no AND d.state = 'pending')
ORDER BY e.org_no, e.endpoint_no

-- name: deliveries_left
-- plan: background
-- What waits for one endpoint, a bounded piece at a time.
SELECT no, stream FROM deliveries /*index deliveries_pending*/
WHERE org_no = :org_no AND endpoint_no = :endpoint_no AND state = 'pending' ORDER BY stream, place LIMIT :limit

-- name: streams_lock
-- plan: hot
-- only: postgresql
-- Streams before deliveries, sorted: the one order of locks.
SELECT 1 FROM streams s JOIN $rows(org_no bigint, endpoint_no bigint, stream text)
ON s.org_no = r.org_no AND s.endpoint_no = r.endpoint_no AND s.stream = r.stream
ORDER BY s.org_no, s.endpoint_no, s.stream /*lock of s*/

-- name: deliveries_cancel
-- plan: background
-- They are not tried any more.
UPDATE deliveries SET state = 'cancelled', not_before = NULL, finished_at = :now FROM $rows(org_no bigint, no bigint)
WHERE deliveries.org_no = r.org_no AND deliveries.no = r.no AND deliveries.state || '' = 'pending'

-- name: attempts_delete
-- plan: background
-- With their deliveries.
DELETE FROM delivery_attempts WHERE (org_no, no) IN (SELECT r.org_no, r.no FROM $rows(org_no bigint, no bigint))

-- name: bodies_delete
-- plan: background
-- With their deliveries.
DELETE FROM delivery_bodies WHERE (org_no, no) IN (SELECT r.org_no, r.no FROM $rows(org_no bigint, no bigint))
