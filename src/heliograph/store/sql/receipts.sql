-- name: jobs_by_provider_id
-- plan: hot
-- The jobs behind ids that a provider gave.
SELECT a.org_no, a.alias, a.job_id FROM provider_message_ids a JOIN $rows(org_no bigint, alias text) ON a.org_no = r.org_no AND a.alias = r.alias

-- name: receipts_jobs
-- plan: hot
-- only: postgresql
-- Where and in which state the jobs of some receipts are: whose lanes must be locked before them.
SELECT j.org_no, j.phone_no, j.job_id, j.chat_id, j.priority, j.state, j.maybe_sent FROM jobs j
JOIN $rows(org_no bigint, phone_no bigint, job_id bigint) ON j.org_no = r.org_no AND j.job_id = r.job_id AND j.phone_no = r.phone_no

-- name: receipts_lock
-- plan: hot
-- The ladder as it stands, the rows held until we commit.
SELECT j.org_no, j.phone_no, j.job_id, j.chat_id, j.priority, j.state, j.maybe_sent, j.ack, j.attempts, j.events, j.broadcast_no
FROM jobs j JOIN $rows(org_no bigint, phone_no bigint, job_id bigint)
ON j.org_no = r.org_no AND j.job_id = r.job_id AND j.phone_no = r.phone_no
ORDER BY j.org_no, j.job_id /*lock of j*/

-- name: receipts_apply
-- plan: hot
-- The new rung, never a lower one; times are those of the first receipt of their kind.
UPDATE jobs SET state = r.state, ack = r.ack, events = r.events,
  sent_at = CASE WHEN r.state = 'sent' THEN coalesce(jobs.sent_at, r.at) ELSE jobs.sent_at END,
  delivered_at = CASE WHEN r.ack >= 3 THEN coalesce(jobs.delivered_at, r.delivered_at) ELSE jobs.delivered_at END,
  read_at = CASE WHEN r.ack >= 4 THEN coalesce(jobs.read_at, r.read_at) ELSE jobs.read_at END,
  settled_at = CASE WHEN r.state IN ('sent', 'failed') THEN coalesce(jobs.settled_at, :now) ELSE jobs.settled_at END,
  reason = CASE WHEN r.settles = 1 THEN r.reason ELSE jobs.reason END,
  detail = CASE WHEN r.settles = 1 THEN r.detail ELSE jobs.detail END,
  not_before = CASE WHEN r.settles = 1 THEN NULL ELSE jobs.not_before END,
  watched = CASE WHEN r.state IN ('sent', 'failed') THEN NULL ELSE jobs.watched END,
  provider_message_id = coalesce(r.provider_message_id, jobs.provider_message_id)
FROM $rows(org_no bigint, job_id bigint, state text, ack int, events int, at bigint, delivered_at bigint, read_at bigint,
  settles int, reason text, detail text, provider_message_id text)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id

-- name: receipts_write_acks
-- plan: hot
-- The new rung of messages that are sent and stay so; times are those of the first receipt of their kind.
UPDATE jobs SET ack = r.ack, events = r.events,
  delivered_at = CASE WHEN r.ack >= 3 THEN coalesce(jobs.delivered_at, r.delivered_at) ELSE jobs.delivered_at END,
  read_at = CASE WHEN r.ack >= 4 THEN coalesce(jobs.read_at, r.read_at) ELSE jobs.read_at END
FROM $rows(org_no bigint, job_id bigint, ack int, events int, delivered_at bigint, read_at bigint)
WHERE jobs.org_no = r.org_no AND jobs.job_id = r.job_id

-- name: events_of_receipts
-- plan: hot
-- A rung of a sent message each.
INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, fanned_out)
SELECT r.org_no, r.job_id, r.n, r.at, 'receipt', 'sent', 'sent', r.ack, r.attempt, r.token, 'network',
  coalesce((SELECT 0 FROM orgs o WHERE o.org_no = r.org_no AND o.hooks > 0 LIMIT 1), 1)
FROM $rows(org_no bigint, job_id bigint, n int, at bigint, ack int, attempt int, token bigint)

-- name: lanes_waiting_for
-- plan: hot
-- Lanes that stand still because of one of these jobs.
SELECT l.org_no, l.phone_no, l.chat_id, l.priority FROM lanes l
JOIN $rows(org_no bigint, phone_no bigint, chat_id text, priority int, job_id bigint)
ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.priority = r.priority
WHERE (l.waits_for = r.job_id OR l.head_job = r.job_id) AND l.status <> 'busy'

-- name: unmatched_receipts_insert
-- plan: hot
-- A receipt whose message is not known yet.
INSERT INTO unmatched_receipts (org_no, phone_no, provider_message_id, ack, at, code, detail, created_at)
SELECT r.org_no, r.phone_no, r.provider_message_id, r.ack, r.at, r.code, r.detail, :now
FROM $rows(org_no bigint, phone_no bigint, provider_message_id text, ack int, at bigint, code text, detail text) WHERE true
ON CONFLICT (org_no, phone_no, provider_message_id, ack) DO NOTHING

-- name: unmatched_receipts_claim
-- plan: hot
-- only: sqlite
-- each: org_no, phone_no, provider_message_id
-- The receipts that came before a message's id was known.
DELETE FROM unmatched_receipts WHERE org_no = :org_no AND phone_no = :phone_no AND provider_message_id = :provider_message_id
RETURNING org_no, phone_no, provider_message_id, ack, at, code, detail

-- name: unmatched_receipts_claim
-- plan: hot
-- only: postgresql
-- The receipts that came before a message's id was known.
DELETE FROM unmatched_receipts WHERE (org_no, phone_no, provider_message_id) IN (
  SELECT r.org_no, r.phone_no, r.provider_message_id FROM $rows(org_no bigint, phone_no bigint, provider_message_id text))
RETURNING org_no, phone_no, provider_message_id, ack, at, code, detail

-- name: inbound_insert
-- plan: hot
-- What a person wrote, once.
INSERT INTO inbound (org_no, phone_no, message_id, chat_id, author, type, body, raw, at, created_at, fanned_out)
SELECT r.org_no, r.phone_no, r.message_id, r.chat_id, r.author, r.type, r.body, r.raw, r.at, :now,
  coalesce((SELECT 0 FROM orgs o WHERE o.org_no = r.org_no AND o.hooks > 0 LIMIT 1), 1)
FROM $rows(org_no bigint, phone_no bigint, message_id text, chat_id text, author text, type text, body text, raw text, at bigint)
WHERE true ON CONFLICT (org_no, phone_no, message_id) DO NOTHING
RETURNING message_id, chat_id

-- name: chats_heard
-- plan: hot
-- A chat that wrote to us is no new one.
INSERT INTO chats (org_no, phone_no, chat_id, first_at, last_inbound_at)
SELECT DISTINCT r.org_no, r.phone_no, r.chat_id, CAST(:now AS BIGINT), CAST(:now AS BIGINT)
FROM $rows(org_no bigint, phone_no bigint, chat_id text) WHERE true
ON CONFLICT (org_no, phone_no, chat_id) DO UPDATE SET last_inbound_at = excluded.last_inbound_at

-- name: lanes_of_new_chats
-- plan: hot
-- only: postgresql
-- Lanes of these chats that were fed before the chat was known, to be locked.
SELECT l.org_no, l.phone_no, l.chat_id, l.priority FROM lanes l JOIN $rows(org_no bigint, phone_no bigint, chat_id text)
ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id WHERE l.new_chat = 1

-- name: lanes_known
-- plan: hot
-- Lanes of these chats, which are known now; one that another transaction holds is left as it is.
UPDATE lanes SET new_chat = 0 FROM (
  SELECT l.org_no, l.phone_no, l.chat_id, l.priority FROM $rows(org_no bigint, phone_no bigint, chat_id text)
  CROSS JOIN lanes l WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.new_chat = 1
  /*lock skip of l*/) AS k
WHERE lanes.org_no = k.org_no AND lanes.phone_no = k.phone_no AND lanes.chat_id = k.chat_id AND lanes.priority = k.priority
