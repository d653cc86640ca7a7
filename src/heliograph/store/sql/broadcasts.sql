-- columns: broadcast: b.org_no, b.broadcast_no, b.phone_no, b.state, b.content, b.priority, b.delay_us, b.expires_at, b.total, b.enqueued, b.skipped, b.scheduled_at, b.paused_at, b.paused_by, b.performed_by, b.created_at, b.started_at, b.ended_at, c.sent, c.failed, c.delivered, c.read

-- name: broadcast_insert
-- plan: hot
-- A broadcast whose recipients are still to come: nothing of it is sent.
INSERT INTO broadcasts (org_no, broadcast_no, phone_no, state, idempotency_key, content, priority, delay_us, expires_at,
  scheduled_at, feed_at, performed_by, created_at)
VALUES (:org_no, :broadcast_no, :phone_no, 'loading', :key, :content, :priority, :delay_us, :expires_at,
  :scheduled_at, :feed_at, :performed_by, :now)

-- name: broadcast_counts_insert
-- plan: hot
-- Nothing has become of it yet.
INSERT INTO broadcast_counts (org_no, broadcast_no) VALUES (:org_no, :broadcast_no)

-- name: broadcast_loading
-- plan: hot
-- Whether it is still being loaded; until we commit, the sweep leaves it alone.
SELECT 1 AS loading FROM broadcasts WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'loading' /*lock*/

-- name: recipients_insert
-- plan: hot
-- A chunk of recipients.
INSERT INTO broadcast_recipients (org_no, broadcast_no, n, chat_id, vars, job_id)
SELECT r.org_no, r.broadcast_no, r.n, r.chat_id, r.vars, r.job_id
FROM $rows(org_no bigint, broadcast_no bigint, n bigint, chat_id text, vars text, job_id bigint)

-- name: broadcast_begin
-- plan: hot
-- The one commit that makes it real. No row: it was loaded or dropped by somebody else.
UPDATE broadcasts SET state = 'running', total = :total
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'loading' RETURNING broadcast_no

-- name: broadcast_drop
-- plan: background
-- A load that failed or was cut off: it never begins. No row: it began.
UPDATE broadcasts SET state = 'gone' WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'loading'
RETURNING idempotency_key

-- name: broadcast_retire
-- plan: background
-- One that is over and past its retention: nobody sees it any more. No row: its messages were put back meanwhile.
UPDATE broadcasts SET state = 'gone'
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state IN ('completed', 'cancelled') AND ended_at < :before
RETURNING broadcast_no

-- name: broadcast_gone
-- plan: background
-- Whether it is being removed.
SELECT broadcast_no FROM broadcasts WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'gone'

-- name: broadcast_forget
-- plan: background
-- Last of all that it had.
DELETE FROM broadcasts WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'gone'

-- name: broadcast_counts_forget
-- plan: background
-- After its recipients, its counts.
DELETE FROM broadcast_counts WHERE org_no = :org_no AND broadcast_no = :broadcast_no

-- name: recipients_delete
-- plan: background
-- The recipients of one that is gone, a bounded piece at a time.
DELETE FROM broadcast_recipients WHERE (org_no, broadcast_no, n) IN (
  SELECT org_no, broadcast_no, n FROM broadcast_recipients WHERE org_no = :org_no AND broadcast_no = :broadcast_no
  ORDER BY n LIMIT :limit) RETURNING n

-- name: broadcasts_stale
-- plan: background
-- Loads that were cut off, broadcasts past their retention, and what of them is not removed yet.
SELECT b.broadcast_no, b.state FROM broadcasts b WHERE b.org_no = :org_no AND b.broadcast_no < :below
AND (b.state IN ('loading', 'gone') OR (b.state IN ('completed', 'cancelled') AND b.ended_at < :before)) ORDER BY b.broadcast_no LIMIT :limit

-- name: broadcast_by_no
-- plan: hot
-- One broadcast with its counts: two searches by key.
SELECT $columns(broadcast) FROM broadcasts b
JOIN broadcast_counts c ON c.org_no = b.org_no AND c.broadcast_no = b.broadcast_no
WHERE b.org_no = :org_no AND b.broadcast_no = :broadcast_no AND b.state NOT IN ('loading', 'gone')

-- name: broadcasts_of_org
-- plan: hot
-- Newest first.
SELECT $columns(broadcast) FROM broadcasts b
JOIN broadcast_counts c ON c.org_no = b.org_no AND c.broadcast_no = b.broadcast_no
WHERE b.org_no = :org_no AND b.broadcast_no < :below AND b.state NOT IN ('loading', 'gone')
AND (:phone_no = 0 OR b.phone_no = :phone_no)
ORDER BY b.broadcast_no DESC LIMIT :limit OFFSET :offset

-- name: broadcasts_lock
-- plan: hot
-- only: postgresql
-- Before anything of their phones is locked: none of them ends while its messages are put back.
SELECT 1 FROM broadcasts b JOIN $rows(org_no bigint, broadcast_no bigint)
ON b.org_no = r.org_no AND b.broadcast_no = r.broadcast_no ORDER BY b.org_no, b.broadcast_no /*lock of b*/

-- name: broadcasts_due
-- plan: whole
-- What may be fed now, a few at a time.
SELECT org_no, broadcast_no, phone_no FROM broadcasts WHERE state = 'running' AND paused_at IS NULL AND feed_at <= :now
ORDER BY feed_at LIMIT :limit

-- name: broadcast_due
-- plan: background
-- One of them, if it still is to be fed; what another sender is feeding is left to it.
SELECT b.org_no, b.broadcast_no, b.phone_no, b.content, b.priority, b.delay_us, b.expires_at, b.total, b.enqueued, b.skipped,
  b.blocked, b.performed_by
FROM broadcasts b WHERE b.org_no = :org_no AND b.broadcast_no = :broadcast_no AND b.state = 'running' AND b.paused_at IS NULL
AND b.feed_at <= :now /*lock skip*/

-- name: next_broadcast
-- plan: whole
-- When the next one is to be fed.
SELECT feed_at AS at FROM broadcasts WHERE state = 'running' AND paused_at IS NULL ORDER BY feed_at LIMIT 1

-- name: broadcast_settled
-- plan: hot
-- What became of what was fed.
SELECT sent + failed AS settled FROM broadcast_counts WHERE org_no = :org_no AND broadcast_no = :broadcast_no

-- name: recipients_next
-- plan: hot
-- The next recipients in order, and whether they asked not to be written to.
SELECT n, chat_id, vars, job_id, coalesce((
  SELECT 1 FROM suppressions s WHERE s.org_no = b.org_no AND s.chat_id = b.chat_id LIMIT 1), 0) AS suppressed
FROM broadcast_recipients b WHERE b.org_no = :org_no AND b.broadcast_no = :broadcast_no AND b.n >= :n
ORDER BY b.n LIMIT :limit

-- name: broadcast_enqueued
-- plan: background
-- The cursor moves in the transaction that makes the jobs; only the one who read it there may move it.
UPDATE broadcasts SET enqueued = :fed_now, skipped = broadcasts.skipped + :skipped, feed_at = :feed_at, blocked = :blocked,
  started_at = coalesce(started_at, CAST(:now AS BIGINT))
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND enqueued = :fed_before AND state = 'running' AND paused_at IS NULL
RETURNING broadcast_no

-- name: broadcast_end
-- plan: hot
-- Over: everything fed and settled, or stopped by a person.
UPDATE broadcasts SET state = :state, ended_at = :now, paused_at = NULL, paused_by = NULL
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'running' RETURNING total, enqueued, skipped

-- name: broadcast_pause
-- plan: background
-- One flag.
UPDATE broadcasts SET paused_at = :now, paused_by = :actor
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'running' AND paused_at IS NULL RETURNING phone_no

-- name: broadcast_resume
-- plan: hot
-- Goes on at once.
UPDATE broadcasts SET paused_at = NULL, paused_by = NULL, feed_at = CASE WHEN feed_at > :now THEN feed_at ELSE :now END
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'running' AND paused_at IS NOT NULL RETURNING phone_no

-- name: broadcast_reopen
-- plan: hot
-- Some of its messages were put back into the queue.
UPDATE broadcasts SET state = 'running', ended_at = NULL, feed_at = :now
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'completed'

-- name: broadcast_count
-- plan: hot
-- What became of its messages, changed with the jobs.
UPDATE broadcast_counts SET sent = broadcast_counts.sent + r.sent, failed = broadcast_counts.failed + r.failed,
  delivered = broadcast_counts.delivered + r.delivered, read = broadcast_counts.read + r.read
FROM $rows(org_no bigint, broadcast_no bigint, sent bigint, failed bigint, delivered bigint, read bigint)
WHERE broadcast_counts.org_no = r.org_no AND broadcast_counts.broadcast_no = r.broadcast_no

-- name: broadcast_count_lock
-- plan: hot
-- only: postgresql
-- Last of all locks, sorted.
SELECT 1 FROM broadcast_counts c JOIN $rows(org_no bigint, broadcast_no bigint)
ON c.org_no = r.org_no AND c.broadcast_no = r.broadcast_no ORDER BY c.org_no, c.broadcast_no /*lock of c*/

-- name: broadcast_queued
-- plan: hot
-- What is fed and has not started, a bounded piece at a time.
SELECT job_id, phone_no, chat_id, priority FROM jobs /*index jobs_of_broadcast*/
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND watched = 1 AND state = 'queued' AND maybe_sent = 0 ORDER BY job_id LIMIT :limit

-- name: broadcasts_half_cancelled
-- plan: background
-- Cancelled, and still held: their cancel is under way, or was cut off. An organisation's few holds, and a key for each.
SELECT b.broadcast_no, b.phone_no, h.actor FROM holds h JOIN broadcasts b ON b.org_no = h.org_no AND b.broadcast_no =
  CASE WHEN h.target LIKE 'broadcast:%' THEN CAST(substr(h.target, 11) AS BIGINT) END
WHERE h.org_no = :org_no AND b.state = 'cancelled' ORDER BY b.broadcast_no

-- name: recipients_of
-- plan: hot
-- Recipients from n on, for lists.
SELECT n, chat_id, vars, job_id FROM broadcast_recipients
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND n >= :n ORDER BY n LIMIT :limit

-- name: recipients_failed
-- plan: background
-- Those of the next recipients whose job failed.
SELECT r.n, j.job_id FROM broadcast_recipients r
LEFT JOIN jobs j ON j.org_no = r.org_no AND j.job_id = r.job_id AND j.state = 'failed'
WHERE r.org_no = :org_no AND r.broadcast_no = :broadcast_no AND r.n >= :n ORDER BY r.n LIMIT :limit

-- name: broadcasts_not_enqueued
-- plan: hot
-- Broadcasts that began before a key was made and are not fed to their end, newest first.
SELECT $columns(broadcast) FROM broadcasts b
JOIN broadcast_counts c ON c.org_no = b.org_no AND c.broadcast_no = b.broadcast_no
WHERE b.org_no = :org_no AND b.broadcast_no < :job_id AND b.state IN ('running', 'cancelled') AND b.enqueued < b.total
ORDER BY b.broadcast_no DESC LIMIT 20

-- name: recipient_at
-- plan: hot
-- One recipient.
SELECT n, chat_id, vars, job_id FROM broadcast_recipients
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND n = :n

-- name: broadcast_waiting
-- plan: hot
-- What is fed and waits or is on its way, up to a bound: all, those that may start soon, and of these the ready new chats.
SELECT count(*) AS waiting, count(CASE WHEN soon = 1 THEN 1 END) AS soon, count(CASE WHEN soon = 1 AND fresh = 1 THEN 1 END) AS fresh
FROM (SELECT CASE WHEN j.state = 'sending' OR l.status IN ('ready', 'busy') OR (l.status = 'delayed' AND l.not_before <= :after)
    THEN 1 END AS soon,
  CASE WHEN j.state = 'queued' AND l.status = 'ready' AND l.new_chat = 1 THEN 1 END AS fresh
  FROM jobs j /*index jobs_of_broadcast*/
  LEFT JOIN lanes l ON l.org_no = j.org_no AND l.phone_no = j.phone_no AND l.chat_id = j.chat_id AND l.priority = j.priority
  WHERE j.org_no = :org_no AND j.broadcast_no = :broadcast_no AND j.watched = 1 AND j.state IN ('queued', 'sending')
  LIMIT :limit) AS waiting
