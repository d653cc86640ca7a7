-- columns: job: job_id, org_no, phone_no, chat_id, priority, seq, state, content, attempts, starts, maybe_sent, ack, reason, detail, not_before, expires_at, broadcast_no, schedule_no, performed_by, provider_message_id, author, events, queued_at, started_at, sent_at, delivered_at, read_at, settled_at
-- columns: each_job: jobs.job_id, jobs.org_no, jobs.phone_no, jobs.chat_id, jobs.priority, jobs.seq, jobs.state, jobs.content, jobs.attempts, jobs.starts, jobs.maybe_sent, jobs.ack, jobs.reason, jobs.detail, jobs.not_before, jobs.expires_at, jobs.broadcast_no, jobs.schedule_no, jobs.performed_by, jobs.provider_message_id, jobs.author, jobs.events, jobs.queued_at, jobs.started_at, jobs.sent_at, jobs.delivered_at, jobs.read_at, jobs.settled_at

-- name: job_by_id
-- plan: hot
-- One search in the primary key.
SELECT $columns(job) FROM jobs WHERE org_no = :org_no AND job_id = :job_id

-- name: jobs_by_id
-- plan: hot
-- Several jobs of one organisation, in no order.
SELECT $columns(each_job) FROM jobs JOIN $rows(org_no bigint, job_id bigint) ON jobs.org_no = r.org_no AND jobs.job_id = r.job_id

-- name: job_of_provider_id
-- plan: hot
-- The job behind an id that a provider gave.
SELECT job_id FROM provider_message_ids WHERE org_no = :org_no AND alias = :alias

-- name: jobs_of_org
-- plan: hot
-- Newest first, by key: reads only what it returns.
SELECT $columns(job) FROM jobs WHERE org_no = :org_no AND job_id < :below ORDER BY job_id DESC LIMIT :limit OFFSET :offset

-- name: jobs_of_phone
-- plan: hot
-- Newest first of one phone.
SELECT $columns(job) FROM jobs WHERE org_no = :org_no AND phone_no + 0 = :phone_no AND job_id < :below
ORDER BY job_id DESC LIMIT :limit OFFSET :offset

-- name: history_of_job
-- plan: hot
-- Its events in order.
SELECT job_id, n, at, kind, before, after, ack, attempt, token, actor, reason, detail
FROM events WHERE org_no = :org_no AND job_id = :job_id ORDER BY n

-- name: waiting_now
-- plan: hot
-- What is accepted and not settled, in one lane of one phone: two rows.
SELECT CAST(coalesce(sum(waiting + active), 0) AS BIGINT) AS waiting
FROM queue_counters WHERE org_no = :org_no AND phone_no = :phone_no AND priority = :priority

-- name: counts_of_phone
-- plan: hot
-- From the counters: six rows. `paused`: how many of those that wait do so on a paused phone. `delayed`: schedules that have
-- a run to come, at most so many, by their index.
SELECT CAST(sum(q.waiting) AS BIGINT) AS waiting, CAST(sum(q.active) AS BIGINT) AS active,
  CAST(sum(q.completed) AS BIGINT) AS completed, CAST(sum(q.failed) AS BIGINT) AS failed,
  (SELECT count(*) FROM (SELECT 1 FROM schedules s /*index schedules_to_come*/ WHERE s.org_no = :org_no
    AND s.phone_no = :phone_no AND s.state = 'scheduled' LIMIT :most) AS t) AS delayed,
  CAST(sum(CASE WHEN p.paused_at IS NULL THEN 0 ELSE q.waiting END) AS BIGINT) AS paused
FROM queue_counters q LEFT JOIN phones p ON p.phone_no = q.phone_no AND p.org_no = q.org_no
WHERE q.org_no = :org_no AND q.phone_no = :phone_no

-- name: counts_of_org
-- plan: whole
-- As counts_of_phone, over all phones of the organisation: six rows a phone.
SELECT CAST(sum(q.waiting) AS BIGINT) AS waiting, CAST(sum(q.active) AS BIGINT) AS active,
  CAST(sum(q.completed) AS BIGINT) AS completed, CAST(sum(q.failed) AS BIGINT) AS failed,
  (SELECT count(*) FROM (SELECT 1 FROM schedules s /*index schedules_to_come*/ WHERE s.org_no = :org_no
    AND s.state = 'scheduled' LIMIT :most) AS t) AS delayed,
  CAST(sum(CASE WHEN p.paused_at IS NULL THEN 0 ELSE q.waiting END) AS BIGINT) AS paused
FROM queue_counters q LEFT JOIN phones p ON p.phone_no = q.phone_no AND p.org_no = q.org_no WHERE q.org_no = :org_no

-- name: counts_of_phones
-- plan: whole
-- The same of each phone of an organisation. Of what is active, as many are being sent as lanes are busy; nobody knows of the rest.
SELECT q.phone_no, CAST(sum(q.waiting) AS BIGINT) AS waiting, CAST(sum(q.active) AS BIGINT) AS active,
  CAST(sum(q.completed) AS BIGINT) AS completed, CAST(sum(q.failed) AS BIGINT) AS failed,
  (SELECT count(*) FROM (SELECT 1 FROM schedules s /*index schedules_to_come*/ WHERE s.org_no = :org_no
    AND s.phone_no = q.phone_no AND s.state = 'scheduled' LIMIT :most) AS t) AS delayed, (SELECT count(*) FROM lanes l /*index lanes_busy*/ WHERE l.org_no = :org_no
  AND l.phone_no + 0 = q.phone_no AND l.status = 'busy') AS sending
FROM queue_counters q WHERE q.org_no = :org_no GROUP BY q.phone_no

-- name: oldest_waiting
-- plan: whole
-- When the oldest startable or delayed head of each phone was queued: one index probe a phone and class.
SELECT p.org_no, p.phone_no, j.queued_at
FROM phones p JOIN jobs j ON j.org_no = p.org_no AND j.job_id = (
  SELECT l.head_job FROM lanes l WHERE l.org_no = p.org_no AND l.phone_no = p.phone_no
  AND l.new_chat = :new_chat AND l.priority = :priority AND l.status = 'ready' ORDER BY l.head_seq LIMIT 1)
WHERE p.deleted_at IS NULL

-- name: inbound_by_id
-- plan: hot
-- In which chat, and who, if a person wrote a message with this bare id to the phone.
SELECT chat_id, author FROM inbound WHERE org_no = :org_no AND phone_no = :phone_no AND message_id = :message_id

-- name: phones_of_chat
-- plan: hot
-- Which of these phones have written to the chat or heard from it.
SELECT c.phone_no FROM chats c JOIN $rows(org_no bigint, phone_no bigint, chat_id text)
ON c.org_no = r.org_no AND c.phone_no = r.phone_no AND c.chat_id = r.chat_id
