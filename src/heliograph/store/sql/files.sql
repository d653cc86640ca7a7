-- name: oldest_heads
-- The oldest job that waits, over all lanes: one narrow row a chat with work, looked at once an hour.
SELECT min(head_job) AS job_id FROM lanes

-- name: oldest_open
-- The oldest job under way or uncertain, by the small index of open jobs.
SELECT min(job_id) AS job_id FROM jobs WHERE state IN ('sending', 'uncertain')

-- name: contents_to_come
-- What broadcasts and schedules will still send.
SELECT content FROM broadcasts WHERE state IN ('loading', 'running')
UNION ALL SELECT content FROM schedules WHERE state = 'scheduled'
