-- columns: job: job_id id, org_no int, phone_no int, chat_id text, priority int, seq int, state text, content text,
--   attempts int, starts int, maybe_sent int, ack int, reason text?, detail text?, not_before int?, expires_at int?,
--   broadcast_no id?, schedule_no id?, performed_by text, provider_message_id text?, author text?, events int,
--   queued_at int, started_at int?, sent_at int?, delivered_at int?, read_at int?, settled_at int?

-- columns: started: job_id id, org_no int, phone_no int, chat_id text, priority int, seq int, content text,
--   attempts int, starts int, maybe_sent int, broadcast_no id?, queued_at int

-- part: may_start:
--   (jobs.expires_at IS NULL OR jobs.expires_at > :now OR jobs.maybe_sent = 1)
--   AND (:held = 0 OR NOT EXISTS (SELECT 1 FROM holds h WHERE h.org_no = jobs.org_no AND h.phone_no = jobs.phone_no
--   AND h.target IN ('phone', 'chat:' || jobs.chat_id, 'broadcast:' || CAST(jobs.broadcast_no AS TEXT))))

-- part: begun_with_history:
--   RETURNING $columns(jobs.started), jobs.events, jobs.ack, jobs.token
--   ), history AS (
--   INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, fanned_out)
--   SELECT b.org_no, b.job_id, b.events, :now, 'started', 'queued', 'sending', b.ack, b.attempts, b.token, 'engine',
--     CASE WHEN (SELECT o.hooks FROM orgs o WHERE o.org_no = b.org_no) > 0 THEN 0 ELSE 1 END
--   FROM begun b
--   ) SELECT $columns(started)
--   FROM begun

-- part: no_delivery_waits:
--   NOT EXISTS (SELECT 1 FROM events e WHERE e.org_no = r.org_no AND e.job_id = r.job_id AND e.fanned_out = 0)
--   AND NOT EXISTS (SELECT 1 FROM deliveries d /*index deliveries_telling*/ WHERE d.org_no = r.org_no
--     AND d.job_id = r.job_id AND d.state = 'pending')

-- An EXISTS among results is written as a sub-select with LIMIT 1: PostgreSQL would otherwise read the whole table
-- once.

-- columns: job_place: job_id id, phone_no int, chat_id text, priority int

-- name: job_by_id
-- Reads one job by its primary key.
-- plan: hot
-- takes: org_no int, job_id int
-- returns: *job
SELECT $columns(job) FROM jobs WHERE org_no = :org_no AND job_id = :job_id

-- name: jobs_by_id
-- Reads several jobs, in no order.
-- plan: hot
-- returns: *job
SELECT $columns(jobs.job) FROM jobs JOIN $rows(org_no bigint, job_id bigint) ON jobs.org_no = r.org_no
  AND jobs.job_id = r.job_id

-- name: jobs_of_org
-- Lists the jobs of an organisation, newest first; reads only what it returns.
-- plan: hot
-- takes: org_no int, below int, limit int, offset int
-- returns: *job
SELECT $columns(job) FROM jobs WHERE org_no = :org_no AND job_id < :below ORDER BY job_id DESC
  LIMIT :limit OFFSET :offset

-- name: jobs_of_phone
-- Lists the jobs of one phone, newest first.
-- plan: hot
-- takes: org_no int, phone_no int, below int, limit int, offset int
-- returns: *job
SELECT $columns(job) FROM jobs WHERE org_no = :org_no AND phone_no + 0 = :phone_no AND job_id < :below
ORDER BY job_id DESC LIMIT :limit OFFSET :offset

-- name: jobs_enqueue
-- Inserts new jobs with their first events and lanes in one round trip to the server. SQLite does the same with
-- jobs_insert, lanes_upsert and events_queued. Locks only lanes here, sorted as everywhere; the places in the order
-- were locked before.
-- plan: hot
-- only: postgresql
-- takes: now int
WITH r AS (
  SELECT * FROM $rows(org_no bigint, job_id bigint, phone_no bigint, chat_id text, priority int, seq bigint,
    content text, expires_at bigint?, broadcast_no bigint?, schedule_no bigint?, actor text)
), made AS (
  INSERT INTO jobs (org_no, job_id, phone_no, chat_id, priority, seq, state, content, expires_at, broadcast_no,
    schedule_no, performed_by, queued_at, watched)
  SELECT r.org_no, r.job_id, r.phone_no, r.chat_id, r.priority, r.seq, 'queued', r.content, r.expires_at,
    r.broadcast_no, r.schedule_no, r.actor, :now, CASE WHEN r.expires_at IS NOT NULL
      OR r.broadcast_no IS NOT NULL THEN 1 END FROM r
), history AS (
  INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, fanned_out)
  SELECT r.org_no, r.job_id, 1, :now, 'queued', NULL, 'queued', 0, 0, 0, r.actor,
    CASE WHEN (SELECT o.hooks FROM orgs o WHERE o.org_no = r.org_no) > 0 THEN 0 ELSE 1 END FROM r
)
INSERT INTO lanes (org_no, phone_no, chat_id, priority, new_chat, status, head_seq, head_job)
SELECT h.org_no, h.phone_no, h.chat_id, h.priority,
  coalesce((SELECT 0 FROM chats c WHERE c.org_no = h.org_no AND c.phone_no = h.phone_no AND c.chat_id = h.chat_id
    LIMIT 1), 1),
  'ready', h.seq, h.job_id
FROM (SELECT DISTINCT ON (r.org_no, r.phone_no, r.chat_id, r.priority) r.* FROM r
  ORDER BY r.org_no, r.phone_no, r.chat_id, r.priority, r.seq) h
ORDER BY h.org_no, h.phone_no, h.chat_id, h.priority
ON CONFLICT (org_no, phone_no, chat_id, priority)
DO UPDATE SET head_seq = excluded.head_seq, head_job = excluded.head_job WHERE lanes.head_job IS NULL

-- name: jobs_insert_plain
-- Inserts queued jobs of one actor that have no expiry and are of no broadcast or schedule. A column that is not
-- asked for is not read from each row of the batch.
-- plan: hot
-- only: sqlite
-- takes: actor text, now int
INSERT INTO jobs (org_no, job_id, phone_no, chat_id, priority, seq, state, content, performed_by, queued_at)
SELECT r.org_no, r.job_id, r.phone_no, r.chat_id, r.priority, r.seq, 'queued', r.content, :actor, :now
FROM $rows(org_no bigint, job_id bigint, phone_no bigint, chat_id text, priority int, seq bigint, content text)

-- name: jobs_insert
-- Inserts queued jobs of every kind.
-- plan: hot
-- only: sqlite
-- takes: actor text, now int
INSERT INTO jobs (org_no, job_id, phone_no, chat_id, priority, seq, state, content, expires_at, broadcast_no,
  schedule_no, performed_by, queued_at, watched)
SELECT r.org_no, r.job_id, r.phone_no, r.chat_id, r.priority, r.seq, 'queued', r.content, r.expires_at, r.broadcast_no,
  r.schedule_no, :actor, :now, CASE WHEN r.expires_at IS NOT NULL OR r.broadcast_no IS NOT NULL THEN 1 END
FROM $rows(org_no bigint, job_id bigint, phone_no bigint, chat_id text, priority int, seq bigint, content text,
  expires_at bigint?, broadcast_no bigint?, schedule_no bigint?)

-- name: jobs_set_author
-- Stores as author of messages to groups the number that their phone has now. It is part of the message's id for
-- good.
-- plan: hot
UPDATE jobs SET author = (
  SELECT p.number || '@c.us' FROM phones p WHERE p.phone_no = jobs.phone_no AND p.org_no = jobs.org_no)
FROM $rows(org_no bigint, job_id bigint) WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id

-- name: jobs_start
-- Starts attempts and counts them before they are tried; `events_started` writes their events. Leaves out jobs past
-- their expiry and jobs that a person stopped.
-- plan: hot
-- only: sqlite
-- takes: now int, held int
-- returns: *started
UPDATE jobs SET state = 'sending', attempts = jobs.attempts + 1, starts = jobs.starts + 1, token = r.token,
  started_at = :now, not_before = NULL, events = jobs.events + 1
FROM $rows(org_no bigint, job_id bigint, token bigint)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = 'queued'
  AND $part(may_start)
RETURNING $columns(jobs.started)

-- name: jobs_start
-- Starts attempts and counts them before they are tried, with their events. Leaves out jobs past their expiry and
-- jobs that a person stopped.
-- plan: hot
-- only: postgresql
-- takes: now int, held int
-- returns: *started
WITH begun AS (
  UPDATE jobs SET state = 'sending', attempts = jobs.attempts + 1, starts = jobs.starts + 1, token = r.token,
    started_at = :now, not_before = NULL, events = jobs.events + 1
  FROM $rows(org_no bigint, job_id bigint, token bigint)
  WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = 'queued'
  AND $part(may_start)
  $part(begun_with_history)

-- name: jobs_start_next
-- Starts the next job in the lane of each of these, which were sent just now. In a busy lane nothing waits before the
-- job in flight, and whoever would change that waits for the phone's owner (`leases_lock`).
-- plan: hot
-- only: sqlite
-- takes: now int, held int
-- returns: *started
UPDATE jobs SET state = 'sending', attempts = jobs.attempts + 1, starts = jobs.starts + 1, started_at = :now,
  token = (SELECT l.token FROM leases l WHERE l.org_no = jobs.org_no AND l.phone_no = jobs.phone_no),
  not_before = NULL, events = jobs.events + 1
WHERE jobs.job_id IN (SELECT (
    SELECT n.job_id FROM jobs n /*index jobs_in_lane*/ WHERE n.org_no = p.org_no AND n.chat_id = p.chat_id
    AND n.phone_no = p.phone_no AND n.priority = p.priority AND n.seq > p.seq AND n.state = 'queued' ORDER BY n.seq
      LIMIT 1)
  FROM $rows(org_no bigint, job_id bigint, token bigint) CROSS JOIN jobs p ON p.job_id = r.job_id)
  AND $part(may_start)
RETURNING $columns(jobs.started)

-- name: jobs_start_next
-- Starts the next job in the lane of each of these, which were sent just now. In a busy lane nothing waits before the
-- job in flight, and whoever would change that waits for the phone's owner (`leases_lock`).
-- plan: hot
-- only: postgresql
-- takes: now int, held int
-- returns: *started
WITH next AS MATERIALIZED (
  SELECT r.org_no, r.token, (
    SELECT n.job_id FROM jobs n /*index jobs_in_lane*/ WHERE n.org_no = p.org_no AND n.chat_id = p.chat_id
    AND n.phone_no = p.phone_no AND n.priority = p.priority AND n.seq > p.seq AND n.state = 'queued' ORDER BY n.seq
      LIMIT 1) AS job_id
  FROM $rows(org_no bigint, job_id bigint, token bigint) JOIN jobs p ON p.org_no = r.org_no AND p.job_id = r.job_id
), begun AS (
  UPDATE jobs SET state = 'sending', attempts = jobs.attempts + 1, starts = jobs.starts + 1, token = r.token,
    started_at = :now, not_before = NULL, events = jobs.events + 1
  FROM next r WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = 'queued'
  AND $part(may_start)
  $part(begun_with_history)

-- name: jobs_settle
-- Settles attempts, each only if it is the one that was started. The ack level of a message never falls.
-- plan: hot
-- takes: now int
-- returns: job_id id
UPDATE jobs SET
  state = r.state, attempts = jobs.attempts - r.uncounted, starts = r.starts, reason = r.reason, detail = r.detail,
  maybe_sent = CASE WHEN r.maybe_sent = 1 THEN 1 ELSE jobs.maybe_sent END, not_before = r.not_before,
  ack = CASE WHEN r.ack > jobs.ack THEN r.ack ELSE jobs.ack END,
  provider_message_id = coalesce(r.provider_message_id, jobs.provider_message_id),
  sent_at = CASE WHEN r.state = 'sent' THEN :now ELSE jobs.sent_at END,
  settled_at = CASE WHEN r.state IN ('sent', 'failed') THEN :now ELSE NULL END,
  watched = CASE r.state WHEN 'queued' THEN jobs.watched WHEN 'uncertain' THEN 1 ELSE NULL END, events = jobs.events + 1
FROM $rows(org_no bigint, job_id bigint, started_token bigint, state text, uncounted int, starts int, reason text?,
  detail text?, maybe_sent int, not_before bigint?, ack int, provider_message_id text?)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = 'sending' AND jobs.token = r.started_token
RETURNING jobs.job_id

-- name: jobs_sent
-- Settles attempts that simply succeeded, each only if it was started under its phone's present token. `events_sent`
-- writes their events, `jobs_set_provider_id` what else the network said.
-- plan: hot
-- only: sqlite
-- takes: now int
-- returns: job_id id
UPDATE jobs SET state = 'sent', starts = 0, reason = NULL, detail = NULL, not_before = NULL, ack = max(jobs.ack, 1),
  sent_at = :now, settled_at = :now, watched = NULL, events = jobs.events + 1
WHERE jobs.job_id IN (
  SELECT r.job_id FROM $rows(org_no bigint, job_id bigint, token bigint, ack int, provider_message_id text?))
  AND jobs.state = 'sending'
  AND jobs.token = (SELECT l.token FROM leases l WHERE l.org_no = jobs.org_no AND l.phone_no = jobs.phone_no)
RETURNING jobs.job_id

-- name: jobs_sent
-- Settles attempts that simply succeeded, with their events, each only if it is the one that was started.
-- plan: hot
-- only: postgresql
-- takes: now int
-- returns: job_id id
WITH done AS (
  UPDATE jobs SET state = 'sent', starts = 0, reason = NULL, detail = NULL, not_before = NULL,
    ack = CASE WHEN r.ack > jobs.ack THEN r.ack ELSE jobs.ack END,
    provider_message_id = coalesce(r.provider_message_id, jobs.provider_message_id),
    sent_at = :now, settled_at = :now, watched = NULL, events = jobs.events + 1
  FROM $rows(org_no bigint, job_id bigint, token bigint, ack int, provider_message_id text?)
  WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = 'sending' AND jobs.token = r.token
  RETURNING jobs.org_no, jobs.job_id, jobs.events, jobs.ack, jobs.attempts, jobs.token
), history AS (
  INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, fanned_out)
  SELECT d.org_no, d.job_id, d.events, :now, 'sent', 'sending', 'sent', d.ack, d.attempts, d.token, 'engine',
    CASE WHEN (SELECT o.hooks FROM orgs o WHERE o.org_no = d.org_no) > 0 THEN 0 ELSE 1 END FROM done d
)
SELECT job_id FROM done

-- name: jobs_set_provider_id
-- Stores the provider's id and the ack level of messages that were sent just now.
-- plan: hot
-- only: sqlite
UPDATE jobs SET provider_message_id = coalesce(r.provider_message_id, jobs.provider_message_id), ack = max(jobs.ack,
  r.ack)
FROM $rows(org_no bigint, job_id bigint, ack int, provider_message_id text?)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id

-- name: jobs_expire
-- Ends jobs past their expiry; a message that may have been sent waits for its receipt instead.
-- plan: hot
-- takes: now int
-- returns: job_id id, *lane, events int, attempts int, ack int, broadcast_no id?
UPDATE jobs SET state = 'expired', reason = 'expired', detail = 'Expired before it was sent.', settled_at = :now,
  watched = NULL, events = jobs.events + 1
FROM $rows(org_no bigint, job_id bigint)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = 'queued' AND jobs.expires_at <= :now
  AND jobs.maybe_sent = 0
RETURNING jobs.job_id, jobs.org_no, jobs.phone_no, jobs.chat_id, jobs.priority, jobs.events, jobs.attempts, jobs.ack,
  jobs.broadcast_no

-- name: jobs_expired_of_phone
-- Lists jobs of a phone that wait past their expiry: one probe of an index that leaves out what may have been sent.
-- plan: hot
-- takes: org_no int, phone_no int, now int, limit int
-- returns: *job_place
SELECT job_id, phone_no, chat_id, priority FROM jobs /*index jobs_expiring*/
WHERE org_no = :org_no AND phone_no = :phone_no AND watched = 1 AND state = 'queued' AND expires_at <= :now
  AND maybe_sent = 0
ORDER BY expires_at LIMIT :limit

-- name: jobs_cancel
-- Cancels jobs that still wait.
-- plan: hot
-- takes: now int
-- returns: *job_place, events int, attempts int, ack int, broadcast_no id?
UPDATE jobs SET state = 'cancelled', reason = r.reason, detail = r.detail, settled_at = :now, watched = NULL,
  events = jobs.events + 1
FROM $rows(org_no bigint, job_id bigint, reason text, detail text)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = 'queued' AND jobs.maybe_sent = 0
RETURNING jobs.job_id, jobs.phone_no, jobs.chat_id, jobs.priority, jobs.events, jobs.attempts, jobs.ack,
  jobs.broadcast_no

-- name: jobs_set_uncertain
-- Marks jobs of a deleted phone as uncertain: nobody can tell any more whether they were sent.
-- plan: hot
-- returns: job_id id, events int, attempts int, ack int
UPDATE jobs SET state = 'uncertain', maybe_sent = 1, reason = 'phone_deleted', detail = r.detail, not_before = NULL,
  watched = 1, events = jobs.events + 1
FROM $rows(org_no bigint, job_id bigint, state text, detail text)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = r.state
RETURNING jobs.job_id, jobs.events, jobs.attempts, jobs.ack

-- name: jobs_waiting_in_lanes
-- Lists jobs that have not started, lane by lane from a place on, some at a time. `maybe_sent`: 1 for those that may
-- have been sent, 0 for the others.
-- plan: hot
-- only: sqlite
-- takes: chat_id text, priority int, seq int, maybe_sent int, limit int, org_no int, phone_no int
-- returns: *job_place, seq int, state text
SELECT j.job_id, j.phone_no, j.chat_id, j.priority, j.seq, j.state FROM lanes l CROSS JOIN jobs j /*index jobs_in_lane*/
ON j.org_no = l.org_no AND j.chat_id = l.chat_id AND j.phone_no = l.phone_no AND j.priority = l.priority
  AND j.seq >= CASE WHEN l.chat_id = :chat_id AND l.priority = :priority
    AND l.head_seq < :seq THEN :seq ELSE l.head_seq END
WHERE l.org_no = :org_no AND l.phone_no = :phone_no AND (l.chat_id, l.priority) >= (:chat_id, :priority)
  AND l.head_job IS NOT NULL
  AND j.state = 'queued' AND j.maybe_sent = :maybe_sent ORDER BY l.chat_id, l.priority, j.seq LIMIT :limit

-- name: jobs_waiting_in_lanes
-- Lists jobs that have not started, lane by lane from a place on, some at a time. `maybe_sent`: 1 for those that may
-- have been sent, 0 for the others.
-- plan: hot
-- only: postgresql
-- takes: chat_id text, priority int, seq int, maybe_sent int, limit int, org_no int, phone_no int
-- returns: *job_place, seq int, state text
SELECT j.job_id, l.phone_no, l.chat_id, l.priority, j.seq, 'queued' AS state FROM lanes l CROSS JOIN LATERAL (
  SELECT j.job_id, j.seq FROM jobs j WHERE j.org_no = l.org_no AND j.chat_id = l.chat_id AND j.phone_no = l.phone_no
  AND j.priority = l.priority
  AND j.seq >= CASE WHEN l.chat_id = :chat_id AND l.priority = :priority
    AND l.head_seq < :seq THEN :seq ELSE l.head_seq END
  AND j.state = 'queued' AND j.maybe_sent = :maybe_sent ORDER BY j.seq LIMIT :limit) AS j
WHERE l.org_no = :org_no AND l.phone_no = :phone_no AND (l.chat_id, l.priority) >= (:chat_id, :priority)
  AND l.head_job IS NOT NULL
ORDER BY l.chat_id, l.priority, j.seq LIMIT :limit

-- name: jobs_waiting_by_id
-- Gives those of the named jobs that have not started.
-- plan: hot
-- returns: *job_place
SELECT j.job_id, j.phone_no, j.chat_id, j.priority FROM jobs j JOIN $rows(org_no bigint, job_id bigint)
ON j.org_no = r.org_no AND j.job_id = r.job_id WHERE j.state = 'queued' AND j.maybe_sent = 0

-- name: jobs_waiting_of_broadcast
-- Lists enqueued jobs of a broadcast that have not started, some at a time.
-- plan: hot
-- takes: org_no int, broadcast_no int, limit int
-- returns: *job_place
SELECT job_id, phone_no, chat_id, priority FROM jobs /*index jobs_of_broadcast*/
WHERE org_no = :org_no AND broadcast_no = :broadcast_no AND watched = 1 AND state = 'queued' AND maybe_sent = 0
  ORDER BY job_id LIMIT :limit

-- name: jobs_for_operator
-- Tells where these jobs are, before anything is locked.
-- plan: hot
-- returns: *job_place, seq int, state text, broadcast_no id?
SELECT j.job_id, j.phone_no, j.chat_id, j.priority, j.seq, j.state, j.broadcast_no
FROM jobs j JOIN $rows(org_no bigint, job_id bigint)
ON j.org_no = r.org_no AND j.job_id = r.job_id ORDER BY j.job_id

-- name: jobs_for_operator_lock
-- Reads jobs that a person acts on and locks their rows; their lanes are locked before.
-- plan: hot
-- returns: *job_place, state text, attempts int, starts int, maybe_sent int, ack int, events int, broadcast_no id?,
--   not_before int?
SELECT j.job_id, j.phone_no, j.chat_id, j.priority, j.state, j.attempts, j.starts, j.maybe_sent, j.ack, j.events,
  j.broadcast_no, j.not_before
FROM jobs j JOIN $rows(org_no bigint, job_id bigint) ON j.org_no = r.org_no AND j.job_id = r.job_id
ORDER BY j.job_id /*lock of j*/

-- name: jobs_set_by_operator
-- Writes what a person decided about jobs that are locked.
-- plan: hot
-- takes: now int
-- returns: job_id id, events int
UPDATE jobs SET state = r.state, seq = coalesce(r.seq, jobs.seq), attempts = r.attempts, starts = 0, reason = r.reason,
  detail = r.detail, not_before = NULL, ack = r.ack, events = jobs.events + 1,
  sent_at = CASE WHEN r.state = 'sent' THEN coalesce(jobs.sent_at, :now) ELSE jobs.sent_at END,
  settled_at = CASE WHEN r.state IN ('sent', 'failed') THEN coalesce(jobs.settled_at, :now) ELSE NULL END,
  watched = CASE WHEN r.state = 'queued' THEN 1 END
FROM $rows(org_no bigint, job_id bigint, state text, seq bigint?, attempts int, reason text?, detail text?, ack int)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id
RETURNING jobs.job_id, jobs.events

-- name: jobs_set_seq
-- Changes the place of a job in its lane, which is locked.
-- plan: hot
UPDATE jobs SET seq = r.seq FROM $rows(org_no bigint, job_id bigint, seq bigint)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id

-- name: jobs_failed_since
-- Lists failed jobs of a phone from a key on, some at a time.
-- plan: background
-- takes: org_no int, after int, phone_no int, limit int
-- returns: job_id id
SELECT job_id FROM jobs WHERE org_no = :org_no AND job_id > :after AND phone_no = :phone_no AND state = 'failed'
ORDER BY job_id LIMIT :limit

-- name: jobs_interrupted
-- Lists those of these jobs whose attempt an earlier owner began and did not settle.
-- plan: hot
-- takes: token int
-- returns: *job, token int
SELECT $columns(jobs.job), jobs.token FROM jobs JOIN $rows(org_no bigint, job_id bigint)
ON jobs.org_no = r.org_no AND jobs.job_id = r.job_id WHERE jobs.state = 'sending' AND jobs.token <= :token

-- name: job_set_media
-- Stores the file of a message once, for all its attempts.
-- plan: hot
-- takes: content text, org_no int, job_id int, before text
-- returns: job_id id
UPDATE jobs SET content = :content WHERE org_no = :org_no AND job_id = :job_id AND content = :before RETURNING job_id

-- name: jobs_page
-- Reads the next jobs of an organisation by key; never more than :limit rows. `over`: settled before :before.
-- plan: hot
-- takes: before int, org_no int, above int, below int, limit int
-- returns: job_id id, phone_no int, priority int, over int
SELECT job_id, phone_no, priority,
  CASE WHEN state IN ('sent', 'failed', 'cancelled', 'expired') AND settled_at < :before THEN 1 ELSE 0 END AS over
FROM jobs WHERE org_no = :org_no AND job_id > :above AND job_id < :below ORDER BY job_id LIMIT :limit

-- name: jobs_without_deliveries
-- Gives those of these jobs that no webhook delivery still has to report.
-- plan: hot
-- returns: job_id id
SELECT r.job_id FROM $rows(org_no bigint, job_id bigint) WHERE $part(no_delivery_waits)

-- name: jobs_prune
-- Deletes settled jobs past their retention. A job stays that was put back into the queue in the meantime, or that a
-- webhook delivery still has to report.
-- plan: background
-- takes: before int
-- returns: job_id id, phone_no int, priority int, state text, alias text?
DELETE FROM jobs WHERE (org_no, job_id) IN (
  SELECT r.org_no, r.job_id FROM $rows(org_no bigint, job_id bigint) WHERE $part(no_delivery_waits))
AND state IN ('sent', 'failed', 'cancelled', 'expired') AND settled_at < :before
RETURNING job_id, phone_no, priority, state, provider_message_id AS alias

-- name: jobs_content_page
-- Reads the next jobs of an organisation by key, with the content of those that may still be sent; never more than
-- :limit rows.
-- plan: background
-- takes: org_no int, above int, below int, limit int
-- returns: job_id id, content text?
SELECT job_id, CASE WHEN state NOT IN ('sent', 'cancelled', 'expired')
  AND content LIKE '%"sha256":%' THEN content END AS content
FROM jobs WHERE org_no = :org_no AND job_id > :above AND job_id < :below ORDER BY job_id LIMIT :limit
