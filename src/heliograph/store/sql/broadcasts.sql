-- columns: broadcast: org_no int, broadcast_no id, phone_no int, state text, content text, priority int,
--   delay_us int, expires_at int?, total int, enqueued int, skipped int, scheduled_at int?, paused_at int?,
--   paused_by text?, performed_by text, created_at int, started_at int?, ended_at int?, c.sent int, c.failed int,
--   c.delivered int, c.read int

-- columns: recipient: n int, chat_id text, vars text, job_id id

-- name: broadcast_insert
-- Creates a broadcast without recipients, of which nothing is sent yet.
-- plan: hot
-- takes: org_no int, broadcast_no int, phone_no int, key text?, content text, priority int, delay_us int,
--   expires_at int?, scheduled_at int?, feed_at int, performed_by text, now int
INSERT INTO broadcasts (org_no, broadcast_no, phone_no, state, idempotency_key, content, priority, delay_us, expires_at,
  scheduled_at, feed_at, performed_by, created_at)
VALUES (:org_no, :broadcast_no, :phone_no, 'loading', :key, :content, :priority, :delay_us, :expires_at,
  :scheduled_at, :feed_at, :performed_by, :now)

-- name: broadcast_counts_insert
-- Creates the counts of a broadcast.
-- plan: hot
-- takes: org_no int, broadcast_no int
INSERT INTO broadcast_counts (org_no, broadcast_no) VALUES (:org_no, :broadcast_no)

-- name: broadcast_loading
-- Tells whether a broadcast is still being loaded, and locks it against the cleanup.
-- plan: hot
-- takes: org_no int, broadcast_no int
-- returns: loading int
SELECT 1 AS loading FROM broadcasts WHERE org_no = :org_no AND broadcast_no = :broadcast_no
  AND state = 'loading' /*lock*/

-- name: recipients_insert
-- Adds recipients.
-- plan: hot
INSERT INTO broadcast_recipients (org_no, broadcast_no, n, chat_id, vars, job_id)
SELECT r.org_no, r.broadcast_no, r.n, r.chat_id, r.vars, r.job_id
FROM $rows(org_no bigint, broadcast_no bigint, n bigint, chat_id text, vars text, job_id bigint)

-- name: broadcast_begin
-- Makes a loaded broadcast real. Gives no row if it was dropped, or begun by somebody else.
-- plan: hot
-- takes: total int, org_no int, broadcast_no int
-- returns: broadcast_no id
UPDATE broadcasts SET state = 'running', total = :total
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'loading' RETURNING broadcast_no

-- name: broadcast_drop
-- Marks a load that failed or was cut off for removal. Gives no row if the broadcast has begun.
-- plan: background
-- takes: org_no int, broadcast_no int
-- returns: idempotency_key text?
UPDATE broadcasts SET state = 'gone' WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'loading'
RETURNING idempotency_key

-- name: broadcast_retire
-- Marks a broadcast past its retention for removal. Gives no row if its messages were put back in the meantime.
-- plan: background
-- takes: org_no int, broadcast_no int, before int
-- returns: broadcast_no id
UPDATE broadcasts SET state = 'gone'
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state IN ('completed', 'cancelled') AND ended_at < :before
RETURNING broadcast_no

-- name: broadcast_gone
-- Tells whether a broadcast is marked for removal.
-- plan: background
-- takes: org_no int, broadcast_no int
-- returns: broadcast_no id
SELECT broadcast_no FROM broadcasts WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'gone'

-- name: broadcast_delete
-- Deletes a broadcast that is marked for removal, after all that belonged to it.
-- plan: background
-- takes: org_no int, broadcast_no int
DELETE FROM broadcasts WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'gone'

-- name: broadcast_counts_delete
-- Deletes the counts of a broadcast, after its recipients.
-- plan: background
-- takes: org_no int, broadcast_no int
DELETE FROM broadcast_counts WHERE org_no = :org_no AND broadcast_no = :broadcast_no

-- name: recipients_delete
-- Deletes recipients of a removed broadcast, some at a time.
-- plan: background
-- takes: org_no int, broadcast_no int, limit int
-- returns: n int
DELETE FROM broadcast_recipients WHERE (org_no, broadcast_no, n) IN (
  SELECT org_no, broadcast_no, n FROM broadcast_recipients WHERE org_no = :org_no AND broadcast_no = :broadcast_no
  ORDER BY n LIMIT :limit) RETURNING n

-- name: broadcasts_stale
-- Lists loads that were cut off, broadcasts past their retention, and those not removed to the end.
-- plan: background
-- takes: org_no int, below int, before int, limit int
-- returns: broadcast_no id, state text
SELECT b.broadcast_no, b.state FROM broadcasts b WHERE b.org_no = :org_no AND b.broadcast_no < :below
AND (b.state IN ('loading', 'gone') OR (b.state IN ('completed', 'cancelled') AND b.ended_at < :before))
  ORDER BY b.broadcast_no LIMIT :limit

-- name: broadcasts_half_cancelled
-- Lists cancelled broadcasts that still have a hold: their cancel is in progress, or was cut off.
-- plan: background
-- takes: org_no int
-- returns: broadcast_no id, phone_no int, actor text
SELECT b.broadcast_no, b.phone_no, h.actor FROM holds h JOIN broadcasts b ON b.org_no = h.org_no AND b.broadcast_no =
  CASE WHEN h.target LIKE 'broadcast:%' THEN CAST(substr(h.target, 11) AS BIGINT) END
WHERE h.org_no = :org_no AND b.state = 'cancelled' ORDER BY b.broadcast_no

-- name: broadcast_by_no
-- Reads one broadcast with its counts.
-- plan: hot
-- takes: org_no int, broadcast_no int
-- returns: *broadcast
SELECT $columns(b.broadcast) FROM broadcasts b
JOIN broadcast_counts c ON c.org_no = b.org_no AND c.broadcast_no = b.broadcast_no
WHERE b.org_no = :org_no AND b.broadcast_no = :broadcast_no AND b.state NOT IN ('loading', 'gone')

-- name: broadcasts_of_org
-- Lists broadcasts, newest first.
-- plan: hot
-- takes: org_no int, below int, phone_no int, limit int, offset int
-- returns: *broadcast
SELECT $columns(b.broadcast) FROM broadcasts b
JOIN broadcast_counts c ON c.org_no = b.org_no AND c.broadcast_no = b.broadcast_no
WHERE b.org_no = :org_no AND b.broadcast_no < :below AND b.state NOT IN ('loading', 'gone')
AND (:phone_no = 0 OR b.phone_no = :phone_no)
ORDER BY b.broadcast_no DESC LIMIT :limit OFFSET :offset

-- name: broadcasts_not_enqueued
-- Lists broadcasts that were created before a key and still have recipients to enqueue, newest first.
-- plan: hot
-- takes: org_no int, job_id int
-- returns: *broadcast
SELECT $columns(b.broadcast) FROM broadcasts b
JOIN broadcast_counts c ON c.org_no = b.org_no AND c.broadcast_no = b.broadcast_no
WHERE b.org_no = :org_no AND b.broadcast_no < :job_id AND b.state IN ('running', 'cancelled') AND b.enqueued < b.total
ORDER BY b.broadcast_no DESC LIMIT 20

-- name: broadcasts_lock
-- Locks broadcasts before anything of their phones, so that none ends while its messages are put back.
-- plan: hot
-- only: postgresql
SELECT 1 FROM broadcasts b JOIN $rows(org_no bigint, broadcast_no bigint)
ON b.org_no = r.org_no AND b.broadcast_no = r.broadcast_no ORDER BY b.org_no, b.broadcast_no /*lock of b*/

-- name: broadcasts_due
-- Lists broadcasts with recipients to enqueue now, some at a time.
-- plan: whole
-- takes: now int, limit int
-- returns: org_no int, broadcast_no id, phone_no int
SELECT org_no, broadcast_no, phone_no FROM broadcasts WHERE state = 'running' AND paused_at IS NULL AND feed_at <= :now
ORDER BY feed_at LIMIT :limit

-- name: broadcast_due
-- Reads and locks one due broadcast; skips it if another sender has it.
-- plan: background
-- takes: org_no int, broadcast_no int, now int
-- returns: org_no int, broadcast_no id, phone_no int, content text, priority int, delay_us int, expires_at int?,
--   total int, enqueued int, skipped int, blocked int, performed_by text
SELECT b.org_no, b.broadcast_no, b.phone_no, b.content, b.priority, b.delay_us, b.expires_at, b.total, b.enqueued,
  b.skipped, b.blocked, b.performed_by
FROM broadcasts b WHERE b.org_no = :org_no AND b.broadcast_no = :broadcast_no AND b.state = 'running'
  AND b.paused_at IS NULL
AND b.feed_at <= :now /*lock skip*/

-- name: broadcasts_next_due
-- Tells when the next broadcast is due.
-- plan: whole
-- returns: at int
SELECT feed_at AS at FROM broadcasts WHERE state = 'running' AND paused_at IS NULL ORDER BY feed_at LIMIT 1

-- name: broadcast_settled
-- Counts the settled messages of a broadcast.
-- plan: hot
-- takes: org_no int, broadcast_no int
-- returns: settled int
SELECT sent + failed AS settled FROM broadcast_counts WHERE org_no = :org_no AND broadcast_no = :broadcast_no

-- name: broadcast_waiting
-- Counts the enqueued messages of a broadcast that wait or are in flight, up to a bound: all, those that may start
-- soon, and among these the ready ones to new chats.
-- plan: hot
-- takes: after int, org_no int, broadcast_no int, limit int
-- returns: waiting int, soon int, fresh int
SELECT count(*) AS waiting, count(CASE WHEN soon = 1 THEN 1 END) AS soon, count(CASE WHEN soon = 1
  AND fresh = 1 THEN 1 END) AS fresh
FROM (SELECT CASE WHEN j.state = 'sending' OR l.status IN ('ready', 'busy') OR (l.status = 'delayed'
  AND l.not_before <= :after)
    THEN 1 END AS soon,
  CASE WHEN j.state = 'queued' AND l.status = 'ready' AND l.new_chat = 1 THEN 1 END AS fresh
  FROM jobs j /*index jobs_of_broadcast*/
  LEFT JOIN lanes l ON l.org_no = j.org_no AND l.phone_no = j.phone_no AND l.chat_id = j.chat_id
    AND l.priority = j.priority
  WHERE j.org_no = :org_no AND j.broadcast_no = :broadcast_no AND j.watched = 1 AND j.state IN ('queued', 'sending')
  LIMIT :limit) AS waiting

-- name: broadcast_enqueued
-- Moves the cursor of a broadcast in the transaction that creates the jobs. Gives no row if it was moved by somebody
-- else.
-- plan: background
-- takes: fed_now int, skipped int, feed_at int, blocked int, now int, org_no int, broadcast_no int, fed_before int
-- returns: broadcast_no id
UPDATE broadcasts SET enqueued = :fed_now, skipped = broadcasts.skipped + :skipped, feed_at = :feed_at,
  blocked = :blocked, started_at = coalesce(started_at, CAST(:now AS BIGINT))
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND enqueued = :fed_before AND state = 'running'
  AND paused_at IS NULL
RETURNING broadcast_no

-- name: broadcast_end
-- Ends a running broadcast: everything is settled, or an operator stopped it.
-- plan: hot
-- takes: state text, now int, org_no int, broadcast_no int
-- returns: total int, enqueued int, skipped int
UPDATE broadcasts SET state = :state, ended_at = :now, paused_at = NULL, paused_by = NULL
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'running' RETURNING total, enqueued, skipped

-- name: broadcast_pause
-- Pauses a running broadcast.
-- plan: background
-- takes: now int, actor text, org_no int, broadcast_no int
-- returns: phone_no int
UPDATE broadcasts SET paused_at = :now, paused_by = :actor
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'running' AND paused_at IS NULL RETURNING phone_no

-- name: broadcast_resume
-- Resumes a paused broadcast; it is due at once.
-- plan: hot
-- takes: now int, org_no int, broadcast_no int
-- returns: phone_no int
UPDATE broadcasts SET paused_at = NULL, paused_by = NULL, feed_at = CASE WHEN feed_at > :now THEN feed_at ELSE :now END
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'running' AND paused_at IS NOT NULL
  RETURNING phone_no

-- name: broadcast_reopen
-- Sets a completed broadcast to running, because some of its messages were put back.
-- plan: hot
-- takes: now int, org_no int, broadcast_no int
UPDATE broadcasts SET state = 'running', ended_at = NULL, feed_at = :now
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND state = 'completed'

-- name: broadcast_count
-- Adds to the counts of broadcasts, together with the change of their jobs.
-- plan: hot
UPDATE broadcast_counts SET sent = broadcast_counts.sent + r.sent, failed = broadcast_counts.failed + r.failed,
  delivered = broadcast_counts.delivered + r.delivered, read = broadcast_counts.read + r.read
FROM $rows(org_no bigint, broadcast_no bigint, sent bigint, failed bigint, delivered bigint, read bigint)
WHERE broadcast_counts.org_no = r.org_no AND broadcast_counts.broadcast_no = r.broadcast_no

-- name: broadcast_count_lock
-- Locks the counts of broadcasts in the order of their keys; this is the last of all locks.
-- plan: hot
-- only: postgresql
SELECT 1 FROM broadcast_counts c JOIN $rows(org_no bigint, broadcast_no bigint)
ON c.org_no = r.org_no AND c.broadcast_no = r.broadcast_no ORDER BY c.org_no, c.broadcast_no /*lock of c*/

-- name: recipients_next
-- Reads the next recipients in order, and whether their chats are suppressed.
-- plan: hot
-- takes: org_no int, broadcast_no int, n int, limit int
-- returns: *recipient, suppressed int
SELECT n, chat_id, vars, job_id, coalesce((
  SELECT 1 FROM suppressions s WHERE s.org_no = b.org_no AND s.chat_id = b.chat_id LIMIT 1), 0) AS suppressed
FROM broadcast_recipients b WHERE b.org_no = :org_no AND b.broadcast_no = :broadcast_no AND b.n >= :n
ORDER BY b.n LIMIT :limit

-- name: recipients_from
-- Reads recipients from n on, for lists.
-- plan: hot
-- takes: org_no int, broadcast_no int, n int, limit int
-- returns: *recipient
SELECT n, chat_id, vars, job_id FROM broadcast_recipients
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND n >= :n ORDER BY n LIMIT :limit

-- name: recipient_by_n
-- Reads one recipient.
-- plan: hot
-- takes: org_no int, broadcast_no int, n int
-- returns: *recipient
SELECT n, chat_id, vars, job_id FROM broadcast_recipients
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND n = :n

-- name: recipients_failed
-- Reads the next recipients, with the job of those whose job failed.
-- plan: background
-- takes: org_no int, broadcast_no int, n int, limit int
-- returns: n int, job_id id?
SELECT r.n, j.job_id FROM broadcast_recipients r
LEFT JOIN jobs j ON j.org_no = r.org_no AND j.job_id = r.job_id AND j.state = 'failed'
WHERE r.org_no = :org_no AND r.broadcast_no = :broadcast_no AND r.n >= :n ORDER BY r.n LIMIT :limit

-- name: contents_unsent
-- Lists the contents that broadcasts and schedules will still send. Schedules that ended lately are included: their
-- messages are younger than their files.
-- plan: whole
-- takes: before int
-- returns: content text
SELECT content FROM broadcasts WHERE state IN ('loading', 'running')
UNION ALL SELECT content FROM schedules s WHERE state = 'scheduled' OR EXISTS (
  SELECT 1 FROM schedule_runs r WHERE r.org_no = s.org_no AND r.schedule_no = s.schedule_no AND r.created_at >= :before)
