-- columns: schedule: org_no int, schedule_no id, phone_no int, chat_id text, content text, priority int, state text,
--   first_at int, every text?, step int?, days text, ends_at int?, zone text, next_at int?, skip_next int,
--   paused_at int?, paused_by text?, missed text, ttl_us int?, runs int, performed_by text, created_at int,
--   updated_at int

-- name: schedule_insert
-- Creates a schedule.
-- plan: hot
-- takes: org_no int, schedule_no int, phone_no int, chat_id text, content text, priority int, first_at int,
--   every text?, step int?, days text, ends_at int?, zone text, next_at int?, missed text, ttl_us int?,
--   performed_by text, now int
INSERT INTO schedules (org_no, schedule_no, phone_no, chat_id, content, priority, state, first_at, every, step, days,
  ends_at, zone, next_at, missed, ttl_us, performed_by, created_at, updated_at)
VALUES (:org_no, :schedule_no, :phone_no, :chat_id, :content, :priority, 'scheduled', :first_at, :every, :step, :days,
  :ends_at, :zone, :next_at, :missed, :ttl_us, :performed_by, :now, :now)

-- name: schedule_by_no
-- Reads one schedule.
-- plan: hot
-- takes: org_no int, schedule_no int
-- returns: *schedule
SELECT $columns(schedule) FROM schedules WHERE org_no = :org_no AND schedule_no = :schedule_no

-- name: schedule_lock
-- Reads one schedule and locks its row.
-- plan: hot
-- takes: org_no int, schedule_no int
-- returns: *schedule
SELECT $columns(schedule) FROM schedules WHERE org_no = :org_no AND schedule_no = :schedule_no /*lock*/

-- name: schedules_of_org
-- Lists schedules, newest first.
-- plan: background
-- takes: org_no int, phone_no int, limit int, offset int
-- returns: *schedule
SELECT $columns(schedule) FROM schedules WHERE org_no = :org_no AND state <> 'deleted'
AND (:phone_no = 0 OR phone_no = :phone_no) ORDER BY schedule_no DESC LIMIT :limit OFFSET :offset

-- name: schedule_update
-- Changes what a person may change.
-- plan: background
-- takes: chat_id text, content text, first_at int, every text?, step int?, days text, ends_at int?, zone text,
--   next_at int?, skip_next int, paused_at int?, paused_by text?, missed text, ttl_us int?, priority int, now int,
--   org_no int, schedule_no int
-- returns: schedule_no id
UPDATE schedules SET chat_id = :chat_id, content = :content, first_at = :first_at, every = :every, step = :step,
  days = :days, ends_at = :ends_at, zone = :zone, next_at = :next_at, skip_next = :skip_next, paused_at = :paused_at,
    paused_by = :paused_by,
  missed = :missed, ttl_us = :ttl_us, priority = :priority, updated_at = :now
WHERE org_no = :org_no AND schedule_no = :schedule_no AND state = 'scheduled' RETURNING schedule_no

-- name: schedule_delete
-- Marks a schedule as deleted; its past runs stay.
-- plan: hot
-- takes: now int, org_no int, schedule_no int
-- returns: schedule_no id
UPDATE schedules SET state = 'deleted', next_at = NULL, updated_at = :now
WHERE org_no = :org_no AND schedule_no = :schedule_no AND state <> 'deleted' RETURNING schedule_no

-- name: schedules_due
-- Lists due schedules, some at a time.
-- plan: whole
-- takes: now int, limit int
-- returns: org_no int, schedule_no id, phone_no int, next_at int
SELECT org_no, schedule_no, phone_no, next_at FROM schedules WHERE state = 'scheduled' AND paused_at IS NULL
  AND next_at <= :now
ORDER BY next_at LIMIT :limit

-- name: schedule_due
-- Reads and locks one due schedule; skips it if another sender has it.
-- plan: background
-- takes: org_no int, schedule_no int, now int
-- returns: *schedule
SELECT $columns(schedule) FROM schedules WHERE org_no = :org_no AND schedule_no = :schedule_no AND state = 'scheduled'
AND paused_at IS NULL AND next_at <= :now /*lock skip*/

-- name: schedules_next_due
-- Tells when the next run is due.
-- plan: whole
-- returns: at int
SELECT next_at AS at FROM schedules WHERE state = 'scheduled' AND paused_at IS NULL AND next_at IS NOT NULL
  ORDER BY next_at LIMIT 1

-- name: schedule_advance
-- Moves a schedule to its next run, in the transaction of this run. Gives no row if somebody else ran it.
-- plan: background
-- takes: next_at int?, ran int, org_no int, schedule_no int, was int
-- returns: schedule_no id
UPDATE schedules SET next_at = :next_at, skip_next = 0, runs = runs + :ran,
  state = CASE WHEN CAST(:next_at AS BIGINT) IS NULL THEN 'completed' ELSE 'scheduled' END
WHERE org_no = :org_no AND schedule_no = :schedule_no AND next_at = :was AND state = 'scheduled' RETURNING schedule_no

-- name: schedule_stop
-- Ends a schedule that cannot run any more: its phone was deleted, or it cannot be decoded.
-- plan: background
-- takes: now int, org_no int, schedule_no int
UPDATE schedules SET state = 'completed', next_at = NULL, updated_at = :now
WHERE org_no = :org_no AND schedule_no = :schedule_no AND state = 'scheduled'

-- name: schedule_run_insert
-- Writes the outcome of one run, once.
-- plan: hot
-- takes: org_no int, schedule_no int, at int, outcome text, job_id int?, remarks text, now int
INSERT INTO schedule_runs (org_no, schedule_no, at, outcome, job_id, remarks, created_at)
VALUES (:org_no, :schedule_no, :at, :outcome, :job_id, :remarks, :now)
ON CONFLICT (org_no, schedule_no, at) DO NOTHING

-- name: schedule_runs_of
-- Lists the runs of a schedule, newest first, with the states of their messages.
-- plan: background
-- takes: org_no int, schedule_no int, limit int, offset int
-- returns: at int, outcome text, job_id id?, remarks text, created_at int, state text?, detail text?,
--   delivered_at int?, chat_id text?, provider_message_id text?, author text?
SELECT r.at, r.outcome, r.job_id, r.remarks, r.created_at, j.state, j.detail, j.delivered_at, j.chat_id,
  j.provider_message_id, j.author
FROM schedule_runs r LEFT JOIN jobs j ON j.org_no = r.org_no AND j.job_id = r.job_id
WHERE r.org_no = :org_no AND r.schedule_no = :schedule_no ORDER BY r.at DESC LIMIT :limit OFFSET :offset

-- name: schedule_runs_prune
-- Deletes runs past their retention, some at a time.
-- plan: background
-- takes: org_no int, before int, limit int
-- returns: at int
DELETE FROM schedule_runs WHERE org_no = :org_no AND (schedule_no, at) IN (
  SELECT schedule_no, at FROM schedule_runs /*index schedule_runs_age*/
  WHERE org_no = :org_no AND created_at < :before ORDER BY created_at LIMIT :limit)
RETURNING at
