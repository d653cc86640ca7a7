-- name: page_session_insert
-- Stores a login of the page; gives no row if its link was used before.
-- plan: small
-- takes: digest text, link text?, org_no int, key_no int?, ends_at int
-- returns: org_no int
INSERT INTO page_sessions (digest, link, org_no, key_no, ends_at) VALUES (:digest, :link, :org_no, :key_no, :ends_at)
ON CONFLICT DO NOTHING RETURNING org_no

-- name: page_session_find
-- Finds the organisation of a login that has not ended, and whose key was not revoked.
-- plan: small
-- takes: digest text, now int
-- returns: org_no int
SELECT s.org_no FROM page_sessions s LEFT JOIN api_keys k ON k.key_no = s.key_no
WHERE s.digest = :digest AND s.ends_at > :now AND k.revoked_at IS NULL

-- name: page_session_end
-- Ends a login. The row stays for a while, so that its link stays used.
-- plan: small
-- takes: digest text, now int
UPDATE page_sessions SET ends_at = :now WHERE digest = :digest AND ends_at > :now

-- name: page_sessions_prune
-- Deletes logins that ended before a moment.
-- plan: small
-- takes: before int
DELETE FROM page_sessions WHERE ends_at < :before
