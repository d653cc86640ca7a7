-- columns: phone: p.phone_no, p.org_no, o.org_id, p.phone_id, p.number, p.provider, p.name, p.image, p.labels, p.state, p.state_detail, p.state_at, p.pacing, p.config, p.paused_at, p.paused_by, p.hold_until, p.hold_reason, p.new_chats_until, p.first_connected_at, p.created_at, p.updated_at, p.restarts

-- name: seed_lock
-- plan: small
-- only: postgresql
-- Until the commit no other process fills an empty database.
SELECT pg_advisory_xact_lock(:lock)

-- name: org_insert
-- plan: small
-- A new organisation; none if its name is taken.
INSERT INTO orgs (org_id, name, created_at) VALUES (:org_id, :name, :now) ON CONFLICT (name) DO NOTHING
RETURNING org_no, org_id, name, created_at

-- name: orgs_all
-- plan: whole
-- All organisations.
SELECT org_no, org_id, name, created_at FROM orgs ORDER BY org_no

-- name: key_insert
-- plan: small
-- A new key, by the digest of its secret.
INSERT INTO api_keys (org_no, name, prefix, digest, created_at) VALUES (:org_no, :name, :prefix, :digest, :now)
RETURNING key_no

-- name: keys_all
-- plan: small
-- The keys of one organisation, or of all when :org_no is 0.
SELECT k.key_no, k.org_no, o.org_id, o.name AS org_name, k.name, k.prefix, k.created_at, k.revoked_at, k.last_used_at
FROM api_keys k JOIN orgs o ON o.org_no = k.org_no WHERE :org_no = 0 OR k.org_no = :org_no ORDER BY k.key_no

-- name: key_by_digest
-- plan: small
-- One search by the unique digest.
SELECT k.key_no, k.org_no, o.org_id, o.name AS org_name, k.name, k.prefix, k.created_at, k.revoked_at, k.last_used_at
FROM api_keys k JOIN orgs o ON o.org_no = k.org_no WHERE k.digest = :digest AND k.revoked_at IS NULL

-- name: key_revoke
-- plan: small
-- From now on refused.
UPDATE api_keys SET revoked_at = :now WHERE org_no = :org_no AND prefix = :prefix AND revoked_at IS NULL
RETURNING key_no

-- name: keys_used
-- plan: small
-- When keys were last used, as one process saw it: only ever forward.
UPDATE api_keys SET last_used_at = r.used_at FROM $rows(key_no bigint, used_at bigint)
WHERE api_keys.key_no = r.key_no AND coalesce(api_keys.last_used_at, 0) < r.used_at

-- name: phone_insert
-- plan: small
-- A new phone.
INSERT INTO phones (org_no, phone_id, number, provider, name, pacing, config, state_at, created_at, updated_at)
VALUES (:org_no, :phone_id, :number, :provider, :name, :pacing, :config, :now, :now, :now)
ON CONFLICT (org_no, number) WHERE deleted_at IS NULL DO NOTHING RETURNING phone_no

-- name: phone_lease_insert
-- plan: small
-- Nobody's yet.
INSERT INTO leases (org_no, phone_no) VALUES (:org_no, :phone_no)

-- name: queue_counters_insert
-- plan: small
-- Both sides of the three lanes' counters.
INSERT INTO queue_counters (org_no, phone_no, priority, side)
SELECT r.org_no, r.phone_no, r.priority, r.side FROM $rows(org_no bigint, phone_no bigint, priority int, side int)

-- name: phones_all
-- plan: whole
-- The phones of one organisation, or of all when :org_no is 0.
SELECT $columns(phone) FROM phones p JOIN orgs o ON o.org_no = p.org_no
WHERE (:org_no = 0 OR p.org_no = :org_no) AND p.deleted_at IS NULL ORDER BY p.phone_no

-- name: phones_of_others
-- plan: small
-- Whether other organisations have phones of a provider, or ever had.
SELECT EXISTS (SELECT 1 FROM phones WHERE org_no <> :org_no AND provider = :provider) AS ever,
  EXISTS (SELECT 1 FROM phones WHERE org_no <> :org_no AND provider = :provider AND deleted_at IS NULL) AS now

-- name: phone_ids
-- plan: small
-- Of one organisation and provider, deleted or not.
SELECT phone_id FROM phones WHERE org_no = :org_no AND provider = :provider ORDER BY phone_no

-- name: phone_by_no
-- plan: hot
-- One phone, deleted or not.
SELECT $columns(phone) FROM phones p JOIN orgs o ON o.org_no = p.org_no WHERE p.org_no = :org_no AND p.phone_no = :phone_no

-- name: phone_by_name
-- plan: hot
-- By number or phone_id, within its organisation.
SELECT $columns(phone) FROM phones p JOIN orgs o ON o.org_no = p.org_no
WHERE p.org_no = :org_no AND (p.number = :handle OR p.phone_id = :handle) AND p.deleted_at IS NULL

-- name: phones_versions
-- plan: whole
-- What an owner compares to see that a phone was changed.
SELECT p.phone_no, p.updated_at, p.restarts FROM phones p JOIN $rows(org_no bigint, phone_no bigint)
ON p.org_no = r.org_no AND p.phone_no = r.phone_no WHERE p.deleted_at IS NULL

-- name: phone_update
-- plan: hot
-- What a person may change.
UPDATE phones SET name = coalesce(CAST(:name AS TEXT), name), image = coalesce(CAST(:image AS TEXT), image),
  labels = coalesce(CAST(:labels AS TEXT), labels), pacing = coalesce(CAST(:pacing AS TEXT), pacing),
  config = coalesce(CAST(:config AS TEXT), config),
  updated_at = CASE WHEN updated_at >= :now THEN updated_at + 1 ELSE :now END
WHERE org_no = :org_no AND phone_no = :phone_no AND deleted_at IS NULL RETURNING phone_no

-- name: phone_restart
-- plan: hot
-- Asks the owner for a new connection.
UPDATE phones SET restarts = restarts + 1, updated_at = CASE WHEN updated_at >= :now THEN updated_at + 1 ELSE :now END
WHERE org_no = :org_no AND phone_no = :phone_no AND deleted_at IS NULL RETURNING phone_no

-- name: phone_delete
-- plan: hot
-- Marked, so that its jobs keep their phone.
UPDATE phones SET deleted_at = :now, updated_at = :now WHERE org_no = :org_no AND phone_no = :phone_no AND deleted_at IS NULL
RETURNING phone_no

-- name: phone_lease_delete
-- plan: hot
-- Its owner sees it gone at the next look; no write under its token is accepted any more.
DELETE FROM leases WHERE org_no = :org_no AND phone_no = :phone_no

-- name: phone_intake_close
-- plan: hot
-- Nothing more is queued for it.
DELETE FROM queue_counters WHERE org_no = :org_no AND phone_no = :phone_no

-- name: phone_state
-- plan: hot
-- What the session says of itself, by its owner.
UPDATE phones SET state = :state, state_detail = :detail, state_at = :now,
  first_connected_at = CASE WHEN :state = 'connected' THEN coalesce(first_connected_at, :now) ELSE first_connected_at END
WHERE org_no = :org_no AND phone_no = :phone_no AND deleted_at IS NULL

-- name: phone_hold
-- plan: hot
-- The network asked the phone to wait.
UPDATE phones SET hold_until = CAST(:until AS BIGINT), hold_reason = :reason WHERE org_no = :org_no AND phone_no = :phone_no

-- name: phone_hold_new
-- plan: hot
-- The network asked the phone to open no new chats for a while.
UPDATE phones SET new_chats_until = CAST(:until AS BIGINT), hold_reason = :reason
WHERE org_no = :org_no AND phone_no = :phone_no

-- name: phones_left
-- plan: whole
-- Deleted phones of which something is left: their deletion was cut off by a crash. A probe each a phone.
SELECT p.org_no, p.phone_no FROM phones p WHERE p.deleted_at IS NOT NULL AND (
  EXISTS (SELECT 1 FROM lanes l WHERE l.org_no = p.org_no AND l.phone_no = p.phone_no)
  OR EXISTS (SELECT 1 FROM holds h WHERE h.org_no = p.org_no AND h.phone_no = p.phone_no)
  OR EXISTS (SELECT 1 FROM pace_log g WHERE g.org_no = p.org_no AND g.phone_no = p.phone_no))

-- name: phone_lanes_forget
-- plan: background
-- Lanes of a deleted phone in which nothing waits, a bounded piece at a time.
DELETE FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND head_job IS NULL AND (chat_id, priority) IN (
  SELECT chat_id, priority FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND head_job IS NULL LIMIT :limit)
RETURNING priority

-- name: phone_holds_forget
-- plan: background
-- What people stopped of it.
DELETE FROM holds WHERE org_no = :org_no AND phone_no = :phone_no

-- name: rights_lacking
-- plan: small
-- only: postgresql
-- What a database user may not do with our tables, asked once at the start.
SELECT r.name, p.privilege FROM $rows(name text) CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p(privilege)
WHERE to_regclass(r.name) IS NOT NULL AND NOT has_table_privilege(to_regclass(r.name), p.privilege)
