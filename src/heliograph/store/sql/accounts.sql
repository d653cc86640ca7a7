-- columns: org: org_no int, org_id text, name text, created_at int

-- name: org_insert
-- Creates an organisation; gives no row if its name is taken.
-- plan: small
-- takes: org_id text, name text, now int
-- returns: *org
INSERT INTO orgs (org_id, name, created_at) VALUES (:org_id, :name, :now) ON CONFLICT (name) DO NOTHING
RETURNING $columns(org)

-- name: orgs_all
-- Lists all organisations.
-- plan: whole
-- returns: *org
SELECT $columns(org) FROM orgs ORDER BY org_no

-- name: orgs_with_signing_keys
-- Gives organisations with the keys that sign their deliveries.
-- plan: hot
-- returns: org_no int, org_id text, *signing_key
SELECT o.org_no, o.org_id, k.current, k.previous, k.switch_at FROM orgs o JOIN signing_keys k ON k.org_no = o.org_no
JOIN $rows(org_no bigint) ON o.org_no = r.org_no

-- name: org_count_hooks
-- Stores how many subscribed hooks the organisation has. Events are kept for fan-out while it has any.
-- plan: hot
-- takes: org_no int
UPDATE orgs SET hooks = (
  SELECT count(*) FROM hooks h WHERE h.org_no = :org_no AND h.deleted_at IS NULL AND h.is_subscribed = 1)
WHERE org_no = :org_no
