-- name: job_media_fix
-- plan: hot
-- The file of a message, once and for all its attempts.
UPDATE jobs SET content = :content WHERE org_no = :org_no AND job_id = :job_id AND content = :before RETURNING job_id
