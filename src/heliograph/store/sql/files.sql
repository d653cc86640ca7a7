-- name: files_page
-- plan: background
-- The next of an organisation's old jobs, by key, with what those say that may still be sent, or put back to be sent again; so
-- many rows are read and no more.
SELECT job_id, CASE WHEN state NOT IN ('sent', 'cancelled', 'expired') AND content LIKE '%"sha256":%' THEN content END AS content
FROM jobs WHERE org_no = :org_no AND job_id > :above AND job_id < :below ORDER BY job_id LIMIT :limit

-- name: contents_to_come
-- plan: whole
-- What broadcasts and schedules will still send, and what schedules that are over have sent lately: their messages are younger
-- than their files.
SELECT content FROM broadcasts WHERE state IN ('loading', 'running')
UNION ALL SELECT content FROM schedules s WHERE state = 'scheduled' OR EXISTS (
  SELECT 1 FROM schedule_runs r WHERE r.org_no = s.org_no AND r.schedule_no = s.schedule_no AND r.created_at >= :before)
