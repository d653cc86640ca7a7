-- name: backlog_counts
-- Counts what waits over all organisations: six counter rows a phone.
-- plan: whole
-- returns: waiting int
SELECT CAST(coalesce(sum(waiting), 0) AS BIGINT) AS waiting FROM queue_counters

-- name: backlog_open
-- Counts busy lanes and uncertain jobs, each up to :most.
-- plan: whole
-- takes: most int
-- returns: sending int, uncertain int
SELECT (SELECT count(*) FROM (SELECT 1 FROM lanes WHERE status = 'busy' LIMIT :most) AS b) AS sending,
  (SELECT count(*) FROM (SELECT 1 FROM jobs WHERE watched = 1 AND maybe_sent = 1 AND state = 'uncertain'
    LIMIT :most) AS u)
  AS uncertain

-- name: backlog_schedules
-- Counts schedules that have a run to come, up to :most.
-- plan: whole
-- takes: most int
-- returns: scheduled int
SELECT CAST(count(*) AS BIGINT) AS scheduled FROM (SELECT 1 FROM schedules WHERE state = 'scheduled' LIMIT :most) AS t

-- name: backlog_phones
-- Counts phones by state.
-- plan: whole
-- returns: state text, phones int
SELECT state, CAST(count(*) AS BIGINT) AS phones FROM phones WHERE deleted_at IS NULL GROUP BY state

-- name: backlog_deliveries
-- Counts deliveries that still wait, up to :most.
-- plan: whole
-- takes: most int
-- returns: pending int
SELECT CAST(count(*) AS BIGINT) AS pending FROM (SELECT 1 FROM deliveries WHERE state = 'pending' LIMIT :most) AS o

-- name: oldest_waiting
-- Tells when the oldest ready head of each phone was queued: one index probe for each phone and kind of lane.
-- plan: whole
-- takes: new_chat int, priority int
-- returns: org_no int, phone_no int, queued_at int
SELECT p.org_no, p.phone_no, j.queued_at
FROM phones p JOIN jobs j ON j.org_no = p.org_no AND j.job_id = (
  SELECT l.head_job FROM lanes l WHERE l.org_no = p.org_no AND l.phone_no = p.phone_no
  AND l.new_chat = :new_chat AND l.priority = :priority AND l.status = 'ready' ORDER BY l.head_seq LIMIT 1)
WHERE p.deleted_at IS NULL

-- name: oldest_delayed
-- Tells when the head that falls due next was queued: one index probe for each phone.
-- plan: whole
-- returns: org_no int, phone_no int, queued_at int
SELECT p.org_no, p.phone_no, j.queued_at
FROM phones p JOIN jobs j ON j.org_no = p.org_no AND j.job_id = (
  SELECT l.head_job FROM lanes l WHERE l.org_no = p.org_no AND l.phone_no = p.phone_no
  AND l.status = 'delayed' ORDER BY l.not_before LIMIT 1)
WHERE p.deleted_at IS NULL
