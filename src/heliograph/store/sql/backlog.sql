-- name: backlog_counts
-- plan: whole
-- What waits over all organisations, from the counters: six rows a phone.
SELECT CAST(coalesce(sum(waiting), 0) AS BIGINT) AS waiting FROM queue_counters

-- name: backlog_open
-- plan: whole
-- Started and not settled, at most so many of each: two partial indexes.
SELECT (SELECT count(*) FROM (SELECT 1 FROM lanes WHERE status = 'busy' LIMIT :most) AS b) AS sending,
  (SELECT count(*) FROM (SELECT 1 FROM jobs WHERE watched = 1 AND maybe_sent = 1 AND state = 'uncertain' LIMIT :most) AS u)
  AS uncertain

-- name: backlog_schedules
-- plan: whole
-- Schedules that have a run to come, at most so many: a partial index.
SELECT CAST(count(*) AS BIGINT) AS scheduled FROM (SELECT 1 FROM schedules WHERE state = 'scheduled' LIMIT :most) AS t

-- name: backlog_phones
-- plan: whole
-- How many phones are in which state: one row a phone.
SELECT state, CAST(count(*) AS BIGINT) AS phones FROM phones WHERE deleted_at IS NULL GROUP BY state

-- name: backlog_deliveries
-- plan: whole
-- Deliveries that are still to be made, at most so many: a partial index.
SELECT CAST(count(*) AS BIGINT) AS pending FROM (SELECT 1 FROM deliveries WHERE state = 'pending' LIMIT :most) AS o

-- name: oldest_delayed
-- plan: whole
-- When the head that falls due next was queued: one index probe a phone.
SELECT p.org_no, p.phone_no, j.queued_at
FROM phones p JOIN jobs j ON j.org_no = p.org_no AND j.job_id = (
  SELECT l.head_job FROM lanes l WHERE l.org_no = p.org_no AND l.phone_no = p.phone_no
  AND l.status = 'delayed' ORDER BY l.not_before LIMIT 1)
WHERE p.deleted_at IS NULL
