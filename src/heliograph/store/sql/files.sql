-- name: oldest_heads
-- The oldest job that waits, over all lanes: one narrow row a chat with work, looked at once an hour.
SELECT min(head_job) AS job_id FROM lanes

-- name: oldest_uncertain
-- The oldest uncertain job, by the small index of them; one under way is the head of its lane.
SELECT min(job_id) AS job_id FROM jobs WHERE watched = 1 AND maybe_sent = 1

-- name: oldest_again
-- The oldest job that a person put back into the queue and that is not settled: it may wait behind younger ones.
SELECT min(job_id) AS job_id FROM jobs WHERE watched = 1 AND again = 1

-- name: contents_to_come
-- What broadcasts and schedules will still send.
SELECT content FROM broadcasts WHERE state IN ('loading', 'running')
UNION ALL SELECT content FROM schedules WHERE state = 'scheduled'
