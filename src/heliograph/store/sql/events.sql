-- columns: event: job_id id, n int, at int, kind text, before text?, after text, ack int, attempt int, token int,
--   actor text, reason text?, detail text?

-- name: events_queued
-- Writes the first event of new jobs.
-- plan: hot
-- only: sqlite
-- takes: now int, actor text
INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, fanned_out)
SELECT r.org_no, r.job_id, 1, :now, 'queued', NULL, 'queued', 0, 0, 0, :actor,
  CASE WHEN (SELECT o.hooks FROM orgs o WHERE o.org_no = r.org_no) > 0 THEN 0 ELSE 1 END
FROM $rows(org_no bigint, job_id bigint)

-- name: events_started
-- Writes the events of jobs that were started just now.
-- plan: hot
-- only: sqlite
-- takes: now int
INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, fanned_out)
SELECT j.org_no, j.job_id, j.events, :now, 'started', 'queued', 'sending', j.ack, j.attempts, j.token, 'engine',
  CASE WHEN (SELECT o.hooks FROM orgs o WHERE o.org_no = j.org_no) > 0 THEN 0 ELSE 1 END
FROM $rows(job_id bigint) CROSS JOIN jobs j ON j.job_id = r.job_id

-- name: events_sent
-- Writes the events of jobs that were simply sent just now.
-- plan: hot
-- only: sqlite
-- takes: now int
INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, fanned_out)
SELECT j.org_no, j.job_id, j.events, :now, 'sent', 'sending', 'sent', j.ack, j.attempts, j.token, 'engine',
  CASE WHEN (SELECT o.hooks FROM orgs o WHERE o.org_no = j.org_no) > 0 THEN 0 ELSE 1 END
FROM $rows(job_id bigint) CROSS JOIN jobs j ON j.job_id = r.job_id

-- name: events_settled
-- Writes events of jobs whose state was changed just now, from their rows. PostgreSQL does not see its own changes
-- within a statement, so this is one of its own.
-- plan: hot
-- takes: now int
INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, reason, detail, fanned_out)
SELECT j.org_no, j.job_id, j.events, :now, r.kind, r.before, j.state, j.ack, j.attempts, r.token, 'engine',
  j.reason, j.detail, CASE WHEN (SELECT o.hooks FROM orgs o WHERE o.org_no = r.org_no) > 0 THEN 0 ELSE 1 END
FROM $rows(org_no bigint, job_id bigint, kind text, before text, token bigint)
JOIN jobs j ON j.org_no = r.org_no AND j.job_id = r.job_id

-- name: events_insert
-- Writes events as they are given, to be fanned out only if the organisation has hooks.
-- plan: hot
INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, reason, detail, fanned_out)
SELECT r.org_no, r.job_id, r.n, r.at, r.kind, r.before, r.after, r.ack, r.attempt, r.token, r.actor, r.reason, r.detail,
  coalesce((SELECT 0 FROM orgs o WHERE o.org_no = r.org_no AND o.hooks > 0 LIMIT 1), 1)
FROM $rows(org_no bigint, job_id bigint, n int, at bigint, kind text, before text?, after text, ack int, attempt int,
  token bigint, actor text, reason text?, detail text?)

-- name: events_of_receipts
-- Writes one event for each newly reached ack level of a sent message.
-- plan: hot
INSERT INTO events (org_no, job_id, n, at, kind, before, after, ack, attempt, token, actor, fanned_out)
SELECT r.org_no, r.job_id, r.n, r.at, 'receipt', 'sent', 'sent', r.ack, r.attempt, r.token, 'network',
  coalesce((SELECT 0 FROM orgs o WHERE o.org_no = r.org_no AND o.hooks > 0 LIMIT 1), 1)
FROM $rows(org_no bigint, job_id bigint, n int, at bigint, ack int, attempt int, token bigint)

-- name: history_of_job
-- Lists the events of a job in order.
-- plan: hot
-- takes: org_no int, job_id int
-- returns: *event
SELECT job_id, n, at, kind, before, after, ack, attempt, token, actor, reason, detail
FROM events WHERE org_no = :org_no AND job_id = :job_id ORDER BY n

-- name: events_uncertain_since
-- Tells when a job last became uncertain.
-- plan: hot
-- takes: org_no int, job_id int
-- returns: at int
SELECT at FROM events WHERE org_no = :org_no AND job_id = :job_id AND kind = 'uncertain' ORDER BY n DESC LIMIT 1

-- name: events_to_fan_out
-- Lists events that are not fanned out yet, in order within each job. A flag is used, not a cursor: a lower key may
-- be committed later.
-- plan: hot
-- takes: org_no int, limit int
-- returns: job_id id, n int, at int, kind text, before text?, after text, ack int, attempt int, chat_id text,
--   phone_no int
SELECT e.job_id, e.n, e.at, e.kind, e.before, e.after, e.ack, e.attempt, j.chat_id, j.phone_no
FROM events e /*index events_unfanned*/ JOIN jobs j ON j.org_no = e.org_no AND j.job_id = e.job_id
WHERE e.org_no = :org_no AND e.fanned_out = 0 ORDER BY e.job_id, e.n LIMIT :limit

-- name: events_set_fanned_out
-- Marks events as fanned out.
-- plan: hot
UPDATE events SET fanned_out = 1 FROM $rows(org_no bigint, job_id bigint, n int)
WHERE events.org_no = r.org_no AND events.job_id = r.job_id AND events.n = r.n

-- name: events_by_key
-- Reads several events by their keys.
-- plan: hot
-- returns: org_no int, *event
SELECT e.org_no, e.job_id, e.n, e.at, e.kind, e.before, e.after, e.ack, e.attempt, e.token, e.actor, e.reason, e.detail
FROM events e JOIN $rows(org_no bigint, job_id bigint, n bigint) ON e.org_no = r.org_no AND e.job_id = r.job_id
  AND e.n = r.n

-- name: events_prune
-- Deletes the events of deleted jobs.
-- plan: background
DELETE FROM events WHERE (org_no, job_id) IN (SELECT r.org_no, r.job_id FROM $rows(org_no bigint, job_id bigint))
