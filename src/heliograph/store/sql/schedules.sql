-- columns: schedule: org_no, schedule_no, phone_no, chat_id, content, priority, state, first_at, every, step, days, ends_at, zone, next_at, skip_next, paused_at, paused_by, missed, ttl_us, runs, performed_by, created_at, updated_at

-- name: schedule_insert
-- plan: hot
-- A message for later, once or again and again.
INSERT INTO schedules (org_no, schedule_no, phone_no, chat_id, content, priority, state, first_at, every, step, days, ends_at,
  zone, next_at, missed, ttl_us, performed_by, created_at, updated_at)
VALUES (:org_no, :schedule_no, :phone_no, :chat_id, :content, :priority, 'scheduled', :first_at, :every, :step, :days, :ends_at,
  :zone, :next_at, :missed, :ttl_us, :performed_by, :now, :now)

-- name: schedule_by_no
-- plan: hot
-- One search by key.
SELECT $columns(schedule) FROM schedules WHERE org_no = :org_no AND schedule_no = :schedule_no

-- name: schedule_lock
-- plan: hot
-- The row, held until we commit.
SELECT $columns(schedule) FROM schedules WHERE org_no = :org_no AND schedule_no = :schedule_no /*lock*/

-- name: schedules_of_org
-- plan: background
-- Newest first.
SELECT $columns(schedule) FROM schedules WHERE org_no = :org_no AND state <> 'deleted'
AND (:phone_no = 0 OR phone_no = :phone_no) ORDER BY schedule_no DESC LIMIT :limit OFFSET :offset

-- name: schedule_update
-- plan: background
-- What a person changed.
UPDATE schedules SET chat_id = :chat_id, content = :content, first_at = :first_at, every = :every, step = :step, days = :days,
  ends_at = :ends_at, zone = :zone, next_at = :next_at, skip_next = :skip_next, paused_at = :paused_at, paused_by = :paused_by,
  missed = :missed, ttl_us = :ttl_us, priority = :priority, updated_at = :now
WHERE org_no = :org_no AND schedule_no = :schedule_no AND state = 'scheduled' RETURNING schedule_no

-- name: schedule_delete
-- plan: hot
-- It never runs again; what it did stays.
UPDATE schedules SET state = 'deleted', next_at = NULL, updated_at = :now
WHERE org_no = :org_no AND schedule_no = :schedule_no AND state <> 'deleted' RETURNING schedule_no

-- name: schedules_due
-- plan: whole
-- What is due, some at a time.
SELECT org_no, schedule_no, phone_no, next_at FROM schedules WHERE state = 'scheduled' AND paused_at IS NULL AND next_at <= :now
ORDER BY next_at LIMIT :limit

-- name: schedule_due
-- plan: background
-- One of them, if it still is; what another sender is running is left to it.
SELECT $columns(schedule) FROM schedules WHERE org_no = :org_no AND schedule_no = :schedule_no AND state = 'scheduled'
AND paused_at IS NULL AND next_at <= :now /*lock skip*/

-- name: schedule_ran
-- plan: background
-- On to the next run, in the transaction of this one; only for the one who saw it due.
UPDATE schedules SET next_at = :next_at, skip_next = 0, runs = runs + :ran,
  state = CASE WHEN CAST(:next_at AS BIGINT) IS NULL THEN 'completed' ELSE 'scheduled' END
WHERE org_no = :org_no AND schedule_no = :schedule_no AND next_at = :was AND state = 'scheduled' RETURNING schedule_no

-- name: schedule_run_insert
-- plan: hot
-- What came of one run, once.
INSERT INTO schedule_runs (org_no, schedule_no, at, outcome, job_id, remarks, created_at)
VALUES (:org_no, :schedule_no, :at, :outcome, :job_id, :remarks, :now)
ON CONFLICT (org_no, schedule_no, at) DO NOTHING

-- name: schedule_runs
-- plan: background
-- Newest first, with what became of their messages.
SELECT r.at, r.outcome, r.job_id, r.remarks, r.created_at, j.state, j.detail, j.delivered_at, j.chat_id,
  j.provider_message_id, j.author
FROM schedule_runs r LEFT JOIN jobs j ON j.org_no = r.org_no AND j.job_id = r.job_id
WHERE r.org_no = :org_no AND r.schedule_no = :schedule_no ORDER BY r.at DESC LIMIT :limit OFFSET :offset

-- name: next_schedule
-- plan: whole
-- When the next run is due.
SELECT next_at AS at FROM schedules WHERE state = 'scheduled' AND paused_at IS NULL AND next_at IS NOT NULL ORDER BY next_at LIMIT 1

-- name: schedule_stop
-- plan: background
-- It cannot run any more: its phone is gone, or it cannot be read.
UPDATE schedules SET state = 'completed', next_at = NULL, updated_at = :now
WHERE org_no = :org_no AND schedule_no = :schedule_no AND state = 'scheduled'

-- name: schedule_runs_prune
-- plan: background
-- Past their retention, a bounded piece at a time.
DELETE FROM schedule_runs WHERE org_no = :org_no AND (schedule_no, at) IN (
  SELECT schedule_no, at FROM schedule_runs /*index schedule_runs_age*/
  WHERE org_no = :org_no AND created_at < :before ORDER BY created_at LIMIT :limit)
RETURNING at
