-- name: jobs_for_operator_lock
-- plan: hot
-- Jobs that a person acts on, their rows held until we commit; their lanes are locked before.
SELECT j.job_id, j.phone_no, j.chat_id, j.priority, j.state, j.attempts, j.starts, j.maybe_sent, j.ack, j.events, j.broadcast_no,
  j.not_before
FROM jobs j JOIN $rows(org_no bigint, job_id bigint) ON j.org_no = r.org_no AND j.job_id = r.job_id
ORDER BY j.job_id /*lock of j*/

-- name: jobs_for_operator
-- plan: hot
-- Where they are, before anything is locked.
SELECT j.job_id, j.phone_no, j.chat_id, j.priority, j.seq, j.state, j.broadcast_no
FROM jobs j JOIN $rows(org_no bigint, job_id bigint)
ON j.org_no = r.org_no AND j.job_id = r.job_id ORDER BY j.job_id

-- name: jobs_steer
-- plan: hot
-- What a person decided, if the job is still as it was seen under the lock.
UPDATE jobs SET state = r.state, seq = coalesce(r.seq, jobs.seq), attempts = r.attempts, starts = 0, reason = r.reason,
  detail = r.detail, not_before = NULL, ack = r.ack, events = jobs.events + 1,
  sent_at = CASE WHEN r.state = 'sent' THEN coalesce(jobs.sent_at, :now) ELSE jobs.sent_at END,
  settled_at = CASE WHEN r.state IN ('sent', 'failed') THEN coalesce(jobs.settled_at, :now) ELSE NULL END,
  watched = CASE WHEN r.state = 'queued' THEN 1 END
FROM $rows(org_no bigint, job_id bigint, state text, seq bigint, attempts int, reason text, detail text, ack int)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id
RETURNING jobs.job_id, jobs.events

-- name: queue_reserve
-- plan: background
-- Places at the end of the order for jobs that are put back; they are counted apart.
UPDATE queue_counters SET next_seq = queue_counters.next_seq + r.count
FROM $rows(org_no bigint, phone_no bigint, priority int, count bigint)
WHERE queue_counters.org_no = r.org_no AND queue_counters.phone_no = r.phone_no AND queue_counters.priority = r.priority AND queue_counters.side = 0
RETURNING queue_counters.phone_no, queue_counters.priority, queue_counters.next_seq

-- name: lanes_of_jobs
-- plan: hot
-- The lanes of these jobs: whether they stand still because of the job, or have it at their head.
SELECT l.org_no, l.phone_no, l.chat_id, l.priority, l.status, l.not_before, l.waits_for, l.head_job, l.head_seq, r.job_id
FROM lanes l
JOIN $rows(org_no bigint, phone_no bigint, chat_id text, priority int, job_id bigint)
ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.priority = r.priority

-- name: jobs_place
-- plan: hot
-- Another place in the order of its lane, which is locked.
UPDATE jobs SET seq = r.seq FROM $rows(org_no bigint, job_id bigint, seq bigint)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id

-- name: lanes_lower
-- plan: hot
-- Something of the lane, which is locked, stands as early as this.
UPDATE lanes SET head_seq = r.seq FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, seq bigint)
WHERE lanes.org_no = r.org_no AND lanes.phone_no = r.phone_no AND lanes.chat_id = r.chat_id AND lanes.priority = r.priority
  AND lanes.head_seq > r.seq

-- name: lanes_open
-- plan: hot
-- A lane for jobs that are put back, where there is none, from their place on; its head is looked for afterwards. One that is
-- there is held until we commit: its owner may be about to drop it.
INSERT INTO lanes (org_no, phone_no, chat_id, priority, new_chat, status, head_seq, head_job)
SELECT r.org_no, r.phone_no, r.chat_id, r.priority,
  coalesce((SELECT 0 FROM chats c WHERE c.org_no = r.org_no AND c.phone_no = r.phone_no AND c.chat_id = r.chat_id
    LIMIT 1), 1),
  'delayed', r.seq, NULL
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, seq bigint) WHERE true
ORDER BY r.org_no, r.phone_no, r.chat_id, r.priority
ON CONFLICT (org_no, phone_no, chat_id, priority) DO UPDATE SET head_seq = lanes.head_seq

-- name: phone_pause
-- plan: hot
-- Its owner starts nothing more. No row: it is paused already, or gone.
UPDATE phones SET paused_at = :now, paused_by = :actor,
  updated_at = CASE WHEN updated_at >= :now THEN updated_at + 1 ELSE :now END
WHERE org_no = :org_no AND phone_no = :phone_no AND deleted_at IS NULL AND paused_at IS NULL RETURNING phone_no

-- name: phone_resume
-- plan: hot
-- Its owner goes on.
UPDATE phones SET paused_at = NULL, paused_by = NULL,
  updated_at = CASE WHEN updated_at >= :now THEN updated_at + 1 ELSE :now END
WHERE org_no = :org_no AND phone_no = :phone_no AND deleted_at IS NULL AND paused_at IS NOT NULL RETURNING phone_no

-- name: expired_of_phone
-- plan: hot
-- What waits beyond its time: one probe of the index of expiries, which knows nothing of what may have been sent.
SELECT job_id, phone_no, chat_id, priority FROM jobs /*index jobs_expiring*/
WHERE org_no = :org_no AND phone_no = :phone_no AND watched = 1 AND state = 'queued' AND expires_at <= :now AND maybe_sent = 0
ORDER BY expires_at LIMIT :limit

-- name: phones_expiring
-- plan: whole
-- Phones with something that waits beyond its time: one probe a phone.
SELECT p.org_no, p.phone_no FROM phones p WHERE p.deleted_at IS NULL AND EXISTS (
  SELECT 1 FROM jobs j /*index jobs_expiring*/ WHERE j.org_no = p.org_no AND j.phone_no = p.phone_no AND j.watched = 1
  AND j.maybe_sent = 0 AND j.state = 'queued' AND j.expires_at <= :now)

-- name: failed_since
-- plan: background
-- Failed jobs of a phone made since then, by key.
SELECT job_id FROM jobs WHERE org_no = :org_no AND job_id > :after AND phone_no = :phone_no AND state = 'failed'
ORDER BY job_id LIMIT :limit

-- name: explain_lane
-- plan: hot
-- Why the chat's lane stands where it does.
SELECT status, new_chat, not_before, waits_for, head_job, head_seq FROM lanes
WHERE org_no = :org_no AND phone_no = :phone_no AND chat_id = :chat_id AND priority = :priority

-- name: explain_lanes
-- plan: hot
-- The same of many.
SELECT l.phone_no, l.chat_id, l.priority, l.status, l.new_chat, l.not_before, l.waits_for, l.head_job
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int)
JOIN lanes l ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.priority = r.priority

-- name: explain_behind
-- plan: hot
-- Of many, the earlier messages of the same chat and lane, up to :most: each is read.
SELECT r.job_id, (SELECT count(*) FROM (SELECT 1 FROM jobs j WHERE j.org_no = r.org_no AND j.phone_no = r.phone_no
  AND j.chat_id = r.chat_id AND j.priority = r.priority AND j.state = 'queued' AND j.seq < r.seq AND j.seq >= (
    SELECT l.head_seq FROM lanes l WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.priority = r.priority)
  ORDER BY j.seq LIMIT :most) AS earlier) AS ahead
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, seq bigint, job_id bigint)

-- name: explain_new_chat
-- plan: hot
-- Whether the phone has written to this chat, or heard from it.
SELECT 1 AS known FROM chats WHERE org_no = :org_no AND phone_no = :phone_no AND chat_id = :chat_id

-- name: explain_ahead_in_chat
-- plan: hot
-- Earlier messages of the same chat and lane, up to :most: each is read.
SELECT count(*) AS ahead FROM (SELECT 1 FROM jobs WHERE org_no = :org_no AND phone_no = :phone_no AND chat_id = :chat_id
  AND priority = :priority AND state = 'queued' AND seq < :seq AND seq >= (SELECT l.head_seq FROM lanes l WHERE l.org_no = :org_no
  AND l.phone_no = :phone_no AND l.chat_id = :chat_id AND l.priority = :priority) ORDER BY seq LIMIT :most) AS earlier

-- name: explain_queue
-- plan: hot
-- For each lane of the phone: what waits or is being sent, and the next place in the order. What is uncertain is active too,
-- but nothing goes behind it, its own chat for a while aside: so not the active are counted, but the busy lanes.
SELECT q.priority, CAST(sum(q.waiting) AS BIGINT) + (SELECT count(*) FROM lanes l /*index lanes_busy*/ WHERE l.org_no = :org_no
  AND l.phone_no + 0 = :phone_no AND l.status = 'busy' AND l.priority = q.priority) AS open_now,
  CAST(max(q.next_seq) AS BIGINT) AS next_seq
FROM queue_counters q WHERE q.org_no = :org_no AND q.phone_no = :phone_no GROUP BY q.priority

-- name: explain_uncertain_since
-- plan: hot
-- When a message last became uncertain: of its few events.
SELECT at FROM events WHERE org_no = :org_no AND job_id = :job_id AND kind = 'uncertain' ORDER BY n DESC LIMIT 1

-- name: explain_owner
-- plan: hot
-- Whose the phone is.
SELECT owner FROM leases WHERE org_no = :org_no AND phone_no = :phone_no

-- name: explain_new_ahead
-- plan: hot
-- New chats of the lane that stand before a place in the order, up to a bound: a range of the index of ready lanes.
SELECT count(*) AS ahead FROM (SELECT 1 FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND new_chat = 1
  AND priority = :priority AND status = 'ready' AND head_seq < :seq LIMIT 3000) AS fresh

-- name: explain_head
-- plan: hot
-- The message that the phone's lanes would start next: two probes of the index of ready lanes.
SELECT min(head_job) AS head_job FROM (
  SELECT * FROM (SELECT head_job FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND new_chat = 0 AND priority = :priority
    AND status = 'ready' ORDER BY head_seq LIMIT 1) AS known
  UNION ALL SELECT * FROM (SELECT head_job FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND new_chat = 1
    AND priority = :priority AND status = 'ready' ORDER BY head_seq LIMIT 1) AS fresh) AS heads

-- name: explain_speed
-- plan: background
-- The phone's last sent messages among those made before a key: how long one takes.
SELECT queued_at, started_at, sent_at FROM (
  SELECT phone_no, state, queued_at, started_at, sent_at FROM jobs WHERE org_no = :org_no AND job_id < :below
  ORDER BY job_id DESC LIMIT 500) AS late WHERE phone_no = :phone_no AND state = 'sent' LIMIT 400

-- name: pace_insert
-- plan: hot
-- The starts of phones that have a pace to keep, in the transaction of the start.
INSERT INTO pace_log (org_no, phone_no, at, chat_id, new_chat)
SELECT r.org_no, r.phone_no, CAST(:now AS BIGINT), r.chat_id, r.new_chat
FROM $rows(org_no bigint, phone_no bigint, chat_id text, new_chat int) WHERE true
ON CONFLICT (org_no, phone_no, at, chat_id) DO NOTHING

-- name: pace_rows
-- plan: hot
-- A phone's recent starts.
SELECT at, chat_id, new_chat FROM pace_log WHERE org_no = :org_no AND phone_no = :phone_no AND at > :after ORDER BY at

-- name: pace_prune
-- plan: background
-- Starts that no window holds any more, a bounded piece at a time.
DELETE FROM pace_log WHERE (org_no, phone_no, at, chat_id) IN (
  SELECT org_no, phone_no, at, chat_id FROM pace_log WHERE org_no = :org_no AND phone_no = :phone_no AND at < :before LIMIT 5000)
RETURNING at

-- name: suppress
-- plan: hot
-- A chat that is not to be written to by broadcasts and schedules. No row: it was entered before.
INSERT INTO suppressions (org_no, chat_id, reason, actor, created_at) VALUES (:org_no, :chat_id, :reason, :actor, :now)
ON CONFLICT (org_no, chat_id) DO NOTHING RETURNING chat_id

-- name: unsuppress
-- plan: hot
-- It may be written to again.
DELETE FROM suppressions WHERE org_no = :org_no AND chat_id = :chat_id RETURNING chat_id

-- name: suppressed
-- plan: hot
-- One search by key.
SELECT chat_id, reason, actor, created_at FROM suppressions WHERE org_no = :org_no AND chat_id = :chat_id

-- name: suppressions_of_org
-- plan: hot
-- By chat id.
SELECT chat_id, reason, actor, created_at FROM suppressions WHERE org_no = :org_no AND chat_id > :after
ORDER BY chat_id LIMIT :limit

-- name: suppress_many
-- plan: hot
-- Who asked not to be written to.
INSERT INTO suppressions (org_no, chat_id, reason, actor, created_at)
SELECT r.org_no, r.chat_id, 'STOP', r.actor, CAST(:now AS BIGINT) FROM $rows(org_no bigint, chat_id text, actor text) WHERE true
ON CONFLICT (org_no, chat_id) DO NOTHING

-- name: unsuppress_many
-- plan: hot
-- only: sqlite
-- each: org_no, chat_id
-- Who took a STOP back; what a person entered stays.
DELETE FROM suppressions WHERE reason = 'STOP' AND org_no = :org_no AND chat_id = :chat_id

-- name: unsuppress_many
-- plan: hot
-- only: postgresql
-- Who took a STOP back; what a person entered stays.
DELETE FROM suppressions WHERE reason = 'STOP' AND (org_no, chat_id) IN (
  SELECT r.org_no, r.chat_id FROM $rows(org_no bigint, chat_id text))
