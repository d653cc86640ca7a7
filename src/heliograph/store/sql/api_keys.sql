-- columns: key: key_no int, org_no int, o.org_id text, o.name AS org_name text, name text, prefix text,
--   created_at int, revoked_at int?, last_used_at int?

-- name: key_insert
-- Creates a key, stored as the digest of its secret.
-- plan: small
-- takes: org_no int, name text, prefix text, digest text, now int
-- returns: key_no int
INSERT INTO api_keys (org_no, name, prefix, digest, created_at) VALUES (:org_no, :name, :prefix, :digest, :now)
RETURNING key_no

-- name: keys_all
-- Lists the keys of one organisation, or of all if :org_no is 0.
-- plan: small
-- takes: org_no int
-- returns: *key
SELECT $columns(k.key)
FROM api_keys k JOIN orgs o ON o.org_no = k.org_no WHERE :org_no = 0 OR k.org_no = :org_no ORDER BY k.key_no

-- name: key_by_digest
-- Finds a valid key by the digest of its secret.
-- plan: small
-- takes: digest text
-- returns: *key
SELECT $columns(k.key)
FROM api_keys k JOIN orgs o ON o.org_no = k.org_no WHERE k.digest = :digest AND k.revoked_at IS NULL

-- name: key_revoke
-- Revokes a key; it is refused from now on.
-- plan: small
-- takes: now int, org_no int, prefix text
-- returns: key_no int
UPDATE api_keys SET revoked_at = :now WHERE org_no = :org_no AND prefix = :prefix AND revoked_at IS NULL
RETURNING key_no

-- name: keys_used
-- Stores when keys were last used, as one process saw it. The time never goes back.
-- plan: small
UPDATE api_keys SET last_used_at = r.used_at FROM $rows(key_no bigint, used_at bigint)
WHERE api_keys.key_no = r.key_no AND coalesce(api_keys.last_used_at, 0) < r.used_at
