-- name: page_session_insert
-- A login; none if its link was used before.
INSERT INTO page_sessions (digest, link, org_no, key_no, ends_at) VALUES (:digest, :link, :org_no, :key_no, :ends_at)
ON CONFLICT DO NOTHING RETURNING org_no

-- name: page_session_find
-- The organisation of a login that has not ended, and whose key, if it has one, was not revoked.
SELECT s.org_no FROM page_sessions s LEFT JOIN api_keys k ON k.key_no = s.key_no
WHERE s.digest = :digest AND s.ends_at > :now AND k.revoked_at IS NULL

-- name: page_session_end
-- A logout. The row stays a while, so that its link stays used.
UPDATE page_sessions SET ends_at = :now WHERE digest = :digest AND ends_at > :now

-- name: page_sessions_prune
-- Logins that ended before a moment.
DELETE FROM page_sessions WHERE ends_at < :before
