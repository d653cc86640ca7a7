-- columns: started: jobs.job_id, jobs.org_no, jobs.phone_no, jobs.chat_id, jobs.priority, jobs.seq, jobs.content, jobs.attempts, jobs.starts, jobs.maybe_sent, jobs.broadcast_no, jobs.queued_at
-- part: may_start: (jobs.expires_at IS NULL OR jobs.expires_at > :now OR jobs.maybe_sent = 1) AND (:held = 0 OR NOT EXISTS (SELECT 1 FROM holds h WHERE h.org_no = jobs.org_no AND h.phone_no = jobs.phone_no AND h.target IN ('phone', 'chat:' || jobs.chat_id, 'broadcast:' || CAST(jobs.broadcast_no AS TEXT))))
-- part: begun_and_told: RETURNING jobs.job_id, jobs.org_no, jobs.phone_no, jobs.chat_id, jobs.priority, jobs.seq, jobs.content, jobs.attempts, jobs.starts, jobs.maybe_sent, jobs.broadcast_no, jobs.queued_at, jobs.events, jobs.ack, jobs.token ), told AS ( INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, fanned_out) SELECT b.org_no, b.job_id, b.events, :now, 'started', 'queued', 'sending', b.ack, b.attempts, b.token, 'engine', CASE WHEN (SELECT o.hooks FROM orgs o WHERE o.org_no = b.org_no) > 0 THEN 0 ELSE 1 END FROM begun b ) SELECT job_id, org_no, phone_no, chat_id, priority, seq, content, attempts, starts, maybe_sent, broadcast_no, queued_at FROM begun

-- `EXISTS` in a list of results is written as a sub-select with LIMIT 1: PostgreSQL would otherwise read the table whole, once.

-- name: fence
-- plan: hot
-- The phones that are ours under these tokens, their lease rows locked until we commit: a new owner waits for us.
SELECT l.phone_no, l.token FROM leases l JOIN $rows(org_no bigint, phone_no bigint, token bigint)
ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.token = r.token
ORDER BY l.org_no, l.phone_no /*lock of l*/

-- name: fence_with_state
-- plan: hot
-- only: sqlite
-- As `fence`, with how each phone stands. `held`: 2, a person paused the phone; 1, some of its chats or broadcasts.
-- `ready`: it has a ready lane; `due_at`: when its first waiting one falls due.
SELECT l.phone_no, l.token, coalesce(
  (SELECT 2 FROM holds h WHERE h.org_no = l.org_no AND h.phone_no = l.phone_no AND h.target = 'phone'),
  (SELECT 1 FROM holds h WHERE h.org_no = l.org_no AND h.phone_no = l.phone_no LIMIT 1), 0) AS held, p.updated_at,
  EXISTS (SELECT 1 FROM lanes n /*index lanes_ready*/ WHERE n.org_no = l.org_no AND n.phone_no = l.phone_no
    AND n.status = 'ready') AS ready,
  (SELECT min(n.not_before) FROM lanes n /*index lanes_delayed*/ WHERE n.org_no = l.org_no AND n.phone_no = l.phone_no
    AND n.status = 'delayed') AS due_at
FROM $rows(org_no bigint, phone_no bigint, token bigint)
CROSS JOIN leases l ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.token = r.token
CROSS JOIN phones p ON p.phone_no = l.phone_no AND p.org_no = l.org_no

-- name: fence_with_state
-- plan: hot
-- only: postgresql
-- As `fence`, with how each phone stands; whoever holds something of a phone waits for us too. `held`: 2, a person paused the
-- phone; 1, else: a hold that was put while we waited for the lock is not seen here, so each start looks again. A lane that
-- was fed meanwhile is not seen either: its sender's hint comes after us.
SELECT l.phone_no, l.token, CASE WHEN EXISTS (
  SELECT 1 FROM holds h WHERE h.org_no = l.org_no AND h.phone_no = l.phone_no AND h.target = 'phone') THEN 2 ELSE 1 END AS held,
  p.updated_at, coalesce((SELECT 1 FROM lanes n WHERE n.org_no = l.org_no AND n.phone_no = l.phone_no
  AND n.new_chat IN (0, 1) AND n.priority IN (0, 1, 2) AND n.status = 'ready' LIMIT 1), 0) AS ready, (
  SELECT min(n.not_before) FROM lanes n WHERE n.org_no = l.org_no AND n.phone_no = l.phone_no AND n.status = 'delayed') AS due_at
FROM leases l JOIN $rows(org_no bigint, phone_no bigint, token bigint)
ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.token = r.token
JOIN phones p ON p.phone_no = l.phone_no AND p.org_no = l.org_no
ORDER BY l.org_no, l.phone_no /*lock of l*/

-- name: jobs_settle
-- plan: hot
-- The end of an attempt, if it is still the one that was started. A message already acknowledged is never taken back.
UPDATE jobs SET
  state = r.state, attempts = jobs.attempts - r.uncounted, starts = r.starts, reason = r.reason, detail = r.detail,
  maybe_sent = CASE WHEN r.maybe_sent = 1 THEN 1 ELSE jobs.maybe_sent END, not_before = r.not_before,
  ack = CASE WHEN r.ack > jobs.ack THEN r.ack ELSE jobs.ack END,
  provider_message_id = coalesce(r.provider_message_id, jobs.provider_message_id),
  sent_at = CASE WHEN r.state = 'sent' THEN :now ELSE jobs.sent_at END,
  settled_at = CASE WHEN r.state IN ('sent', 'failed') THEN :now ELSE NULL END,
  watched = CASE r.state WHEN 'queued' THEN jobs.watched WHEN 'uncertain' THEN 1 ELSE NULL END, events = jobs.events + 1
FROM $rows(org_no bigint, job_id bigint, started_token bigint, state text, uncounted int, starts int, reason text, detail text,
  maybe_sent int, not_before bigint, ack int, provider_message_id text)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = 'sending' AND jobs.token = r.started_token
RETURNING jobs.job_id

-- name: jobs_sent
-- plan: hot
-- only: sqlite
-- The end of an attempt that simply succeeded, if it is still the one that was started under its phone's present token, which
-- is the row's. Its event: `events_sent`; what the network said beyond that: `jobs_named`.
UPDATE jobs SET state = 'sent', starts = 0, reason = NULL, detail = NULL, not_before = NULL, ack = max(jobs.ack, 1),
  sent_at = :now, settled_at = :now, watched = NULL, events = jobs.events + 1
WHERE jobs.job_id IN (
  SELECT r.job_id FROM $rows(org_no bigint, job_id bigint, token bigint, ack int, provider_message_id text))
  AND jobs.state = 'sending'
  AND jobs.token = (SELECT l.token FROM leases l WHERE l.org_no = jobs.org_no AND l.phone_no = jobs.phone_no)
RETURNING jobs.job_id

-- name: jobs_set_provider_id
-- plan: hot
-- only: sqlite
-- The id that the network gave to messages that were sent just now, and how far it says they came.
UPDATE jobs SET provider_message_id = coalesce(r.provider_message_id, jobs.provider_message_id), ack = max(jobs.ack, r.ack)
FROM $rows(org_no bigint, job_id bigint, ack int, provider_message_id text)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id

-- name: jobs_sent
-- plan: hot
-- only: postgresql
-- The end of an attempt that simply succeeded, if it is still the one that was started, with its event.
WITH done AS (
  UPDATE jobs SET state = 'sent', starts = 0, reason = NULL, detail = NULL, not_before = NULL,
    ack = CASE WHEN r.ack > jobs.ack THEN r.ack ELSE jobs.ack END,
    provider_message_id = coalesce(r.provider_message_id, jobs.provider_message_id),
    sent_at = :now, settled_at = :now, watched = NULL, events = jobs.events + 1
  FROM $rows(org_no bigint, job_id bigint, token bigint, ack int, provider_message_id text)
  WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = 'sending' AND jobs.token = r.token
  RETURNING jobs.org_no, jobs.job_id, jobs.events, jobs.ack, jobs.attempts, jobs.token
), told AS (
  INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, fanned_out)
  SELECT d.org_no, d.job_id, d.events, :now, 'sent', 'sending', 'sent', d.ack, d.attempts, d.token, 'engine',
    CASE WHEN (SELECT o.hooks FROM orgs o WHERE o.org_no = d.org_no) > 0 THEN 0 ELSE 1 END FROM done d
)
SELECT job_id FROM done

-- name: events_sent
-- plan: hot
-- only: sqlite
-- Of jobs that were simply sent just now.
INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, fanned_out)
SELECT j.org_no, j.job_id, j.events, :now, 'sent', 'sending', 'sent', j.ack, j.attempts, j.token, 'engine',
  CASE WHEN (SELECT o.hooks FROM orgs o WHERE o.org_no = j.org_no) > 0 THEN 0 ELSE 1 END
FROM $rows(job_id bigint) CROSS JOIN jobs j ON j.job_id = r.job_id

-- name: events_started
-- plan: hot
-- only: sqlite
-- Of jobs that were started just now.
INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, fanned_out)
SELECT j.org_no, j.job_id, j.events, :now, 'started', 'queued', 'sending', j.ack, j.attempts, j.token, 'engine',
  CASE WHEN (SELECT o.hooks FROM orgs o WHERE o.org_no = j.org_no) > 0 THEN 0 ELSE 1 END
FROM $rows(job_id bigint) CROSS JOIN jobs j ON j.job_id = r.job_id

-- name: events_moved
-- plan: hot
-- What the rows that were just settled say, as history.
INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, reason, detail, fanned_out)
SELECT j.org_no, j.job_id, j.events, :now, r.kind, r.before, j.state, j.ack, j.attempts, r.token, 'engine',
  j.reason, j.detail, CASE WHEN (SELECT o.hooks FROM orgs o WHERE o.org_no = r.org_no) > 0 THEN 0 ELSE 1 END
FROM $rows(org_no bigint, job_id bigint, kind text, before text, token bigint)
JOIN jobs j ON j.org_no = r.org_no AND j.job_id = r.job_id

-- name: chats_known
-- plan: hot
-- Chats that were written to for the first time.
INSERT INTO chats (org_no, phone_no, chat_id, first_at)
SELECT DISTINCT r.org_no, r.phone_no, r.chat_id, CAST(:now AS BIGINT)
FROM $rows(org_no bigint, phone_no bigint, chat_id text) WHERE true
ON CONFLICT (org_no, phone_no, chat_id) DO NOTHING

-- name: chats_known_among
-- plan: hot
-- Those of these chats that their phone has written to, or heard from.
SELECT c.phone_no, c.chat_id FROM chats c JOIN $rows(org_no bigint, phone_no bigint, chat_id text)
ON c.org_no = r.org_no AND c.phone_no = r.phone_no AND c.chat_id = r.chat_id

-- name: provider_message_ids_insert
-- plan: hot
-- Ids that a provider gave; the first stays.
INSERT INTO provider_message_ids (org_no, alias, job_id) SELECT r.org_no, r.alias, r.job_id
FROM $rows(org_no bigint, alias text, job_id bigint) WHERE true ON CONFLICT (org_no, alias) DO NOTHING

-- name: jobs_start
-- plan: hot
-- only: sqlite
-- The durable start of an attempt, counted before it is tried. Not those past their expiry, or stopped by a person. Its
-- event: `events_started`.
UPDATE jobs SET state = 'sending', attempts = jobs.attempts + 1, starts = jobs.starts + 1, token = r.token, started_at = :now,
  not_before = NULL, events = jobs.events + 1
FROM $rows(org_no bigint, job_id bigint, token bigint)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = 'queued'
  AND $part(may_start)
RETURNING $columns(started)

-- name: jobs_start
-- plan: hot
-- only: postgresql
-- The durable start of an attempt, counted before it is tried, with its event. Not those past their expiry, or stopped by a
-- person.
WITH begun AS (
  UPDATE jobs SET state = 'sending', attempts = jobs.attempts + 1, starts = jobs.starts + 1, token = r.token, started_at = :now,
    not_before = NULL, events = jobs.events + 1
  FROM $rows(org_no bigint, job_id bigint, token bigint)
  WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = 'queued'
  AND $part(may_start)
  $part(begun_and_told)

-- name: jobs_start_next
-- plan: hot
-- only: sqlite
-- As jobs_start, of the message that comes next in the lane of each of these, which were sent just now: nothing of a busy lane
-- waits before the message on its way, and who would change that waits for the phone's owner (`owners_lock`).
UPDATE jobs SET state = 'sending', attempts = jobs.attempts + 1, starts = jobs.starts + 1, started_at = :now,
  token = (SELECT l.token FROM leases l WHERE l.org_no = jobs.org_no AND l.phone_no = jobs.phone_no),
  not_before = NULL, events = jobs.events + 1
WHERE jobs.job_id IN (SELECT (
    SELECT n.job_id FROM jobs n /*index jobs_in_lane*/ WHERE n.org_no = p.org_no AND n.chat_id = p.chat_id
    AND n.phone_no = p.phone_no AND n.priority = p.priority AND n.seq > p.seq AND n.state = 'queued' ORDER BY n.seq LIMIT 1)
  FROM $rows(org_no bigint, job_id bigint, token bigint) CROSS JOIN jobs p ON p.job_id = r.job_id)
  AND $part(may_start)
RETURNING $columns(started)

-- name: jobs_start_next
-- plan: hot
-- only: postgresql
-- As jobs_start, of the message that comes next in the lane of each of these, which were sent just now: nothing of a busy lane
-- waits before the message on its way, and who would change that waits for the phone's owner (`owners_lock`).
WITH next AS MATERIALIZED (
  SELECT r.org_no, r.token, (
    SELECT n.job_id FROM jobs n /*index jobs_in_lane*/ WHERE n.org_no = p.org_no AND n.chat_id = p.chat_id
    AND n.phone_no = p.phone_no AND n.priority = p.priority AND n.seq > p.seq AND n.state = 'queued' ORDER BY n.seq LIMIT 1) AS job_id
  FROM $rows(org_no bigint, job_id bigint, token bigint) JOIN jobs p ON p.org_no = r.org_no AND p.job_id = r.job_id
), begun AS (
  UPDATE jobs SET state = 'sending', attempts = jobs.attempts + 1, starts = jobs.starts + 1, token = r.token, started_at = :now,
    not_before = NULL, events = jobs.events + 1
  FROM next r WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = 'queued'
  AND $part(may_start)
  $part(begun_and_told)

-- name: jobs_expire
-- plan: hot
-- What is past its time ends instead of going out late. What may have been sent already is left to its receipt.
UPDATE jobs SET state = 'expired', reason = 'expired', detail = 'Expired before it was sent.', settled_at = :now,
  watched = NULL, events = jobs.events + 1
FROM $rows(org_no bigint, job_id bigint)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id AND jobs.state = 'queued' AND jobs.expires_at <= :now AND jobs.maybe_sent = 0
RETURNING jobs.job_id, jobs.org_no, jobs.phone_no, jobs.chat_id, jobs.priority, jobs.events, jobs.attempts, jobs.ack, jobs.broadcast_no

-- name: queue_counters_add
-- plan: hot
-- One side of the counters.
UPDATE queue_counters SET waiting = queue_counters.waiting + r.waiting, active = queue_counters.active + r.active,
  completed = queue_counters.completed + r.completed, failed = queue_counters.failed + r.failed
FROM $rows(org_no bigint, phone_no bigint, priority int, side int, waiting bigint, active bigint, completed bigint, failed bigint)
WHERE queue_counters.org_no = r.org_no AND queue_counters.phone_no = r.phone_no AND queue_counters.priority = r.priority AND queue_counters.side = r.side

-- name: queue_counters_add_alike
-- plan: hot
-- One side of the counters of phones that change alike.
UPDATE queue_counters SET waiting = queue_counters.waiting + :waiting, active = queue_counters.active + :active,
  completed = queue_counters.completed + :completed, failed = queue_counters.failed + :failed
WHERE queue_counters.org_no = :org_no AND queue_counters.priority = :priority AND queue_counters.side = :side
  AND queue_counters.phone_no IN (SELECT r.phone_no FROM $rows(phone_no bigint))

-- name: interrupted
-- plan: hot
-- Those of these that an earlier owner left in the middle of an attempt.
SELECT $columns(each_job), jobs.token FROM jobs JOIN $rows(org_no bigint, job_id bigint)
ON jobs.org_no = r.org_no AND jobs.job_id = r.job_id WHERE jobs.state = 'sending' AND jobs.token <= :token
