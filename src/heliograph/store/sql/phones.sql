-- columns: phone: phone_no int, org_no int, o.org_id text, phone_id text, number text, provider text, name text,
--   image text, labels text, state text, state_detail text, state_at int, pacing text, config text, paused_at int?,
--   paused_by text?, hold_until int?, hold_reason text?, new_chats_until int?, first_connected_at int?,
--   created_at int, updated_at int, restarts int

-- columns: phone_key: org_no int, phone_no int

-- name: phone_insert
-- Creates a phone; gives no row if the organisation has its number already.
-- plan: small
-- takes: org_no int, phone_id text, number text, provider text, name text, pacing text, config text, now int
-- returns: phone_no int
INSERT INTO phones (org_no, phone_id, number, provider, name, pacing, config, state_at, created_at, updated_at)
VALUES (:org_no, :phone_id, :number, :provider, :name, :pacing, :config, :now, :now, :now)
ON CONFLICT (org_no, number) WHERE deleted_at IS NULL DO NOTHING RETURNING phone_no

-- name: phones_all
-- Lists the phones of one organisation, or of all if :org_no is 0.
-- plan: whole
-- takes: org_no int
-- returns: *phone
SELECT $columns(p.phone) FROM phones p JOIN orgs o ON o.org_no = p.org_no
WHERE (:org_no = 0 OR p.org_no = :org_no) AND p.deleted_at IS NULL ORDER BY p.phone_no

-- name: phones_of_others
-- Tells whether other organisations have phones of a provider, or ever had.
-- plan: small
-- takes: org_no int, provider text
-- returns: ever int, now int
SELECT EXISTS (SELECT 1 FROM phones WHERE org_no <> :org_no AND provider = :provider) AS ever,
  EXISTS (SELECT 1 FROM phones WHERE org_no <> :org_no AND provider = :provider AND deleted_at IS NULL) AS now

-- name: phone_ids
-- Lists the ids of an organisation's phones of one provider, deleted ones too.
-- plan: small
-- takes: org_no int, provider text
-- returns: phone_id text
SELECT phone_id FROM phones WHERE org_no = :org_no AND provider = :provider ORDER BY phone_no

-- name: phone_by_no
-- Reads one phone, deleted or not.
-- plan: hot
-- takes: org_no int, phone_no int
-- returns: *phone
SELECT $columns(p.phone) FROM phones p JOIN orgs o ON o.org_no = p.org_no WHERE p.org_no = :org_no
  AND p.phone_no = :phone_no

-- name: phone_by_name
-- Finds a phone by its number or phone_id within its organisation.
-- plan: hot
-- takes: org_no int, handle text
-- returns: *phone
SELECT $columns(p.phone) FROM phones p JOIN orgs o ON o.org_no = p.org_no
WHERE p.org_no = :org_no AND (p.number = :handle OR p.phone_id = :handle) AND p.deleted_at IS NULL

-- name: phones_by_no
-- Reads several phones, deleted or not.
-- plan: hot
-- returns: *phone
SELECT $columns(p.phone) FROM phones p JOIN orgs o ON o.org_no = p.org_no
JOIN $rows(org_no bigint, phone_no bigint) ON p.org_no = r.org_no AND p.phone_no = r.phone_no

-- name: phones_versions
-- Gives the version of phones, by which an owner sees that one was changed.
-- plan: whole
-- returns: phone_no int, updated_at int, restarts int
SELECT p.phone_no, p.updated_at, p.restarts FROM phones p JOIN $rows(org_no bigint, phone_no bigint)
ON p.org_no = r.org_no AND p.phone_no = r.phone_no WHERE p.deleted_at IS NULL

-- name: phone_update
-- Changes what a person may change; NULL leaves a column as it is.
-- plan: hot
-- takes: name text?, image text?, labels text?, pacing text?, config text?, now int, org_no int, phone_no int
-- returns: phone_no int
UPDATE phones SET name = coalesce(CAST(:name AS TEXT), name), image = coalesce(CAST(:image AS TEXT), image),
  labels = coalesce(CAST(:labels AS TEXT), labels), pacing = coalesce(CAST(:pacing AS TEXT), pacing),
  config = coalesce(CAST(:config AS TEXT), config),
  updated_at = CASE WHEN updated_at >= :now THEN updated_at + 1 ELSE :now END
WHERE org_no = :org_no AND phone_no = :phone_no AND deleted_at IS NULL RETURNING phone_no

-- name: phone_restart
-- Asks the owner of the phone for a new connection.
-- plan: hot
-- takes: now int, org_no int, phone_no int
-- returns: phone_no int
UPDATE phones SET restarts = restarts + 1, updated_at = CASE WHEN updated_at >= :now THEN updated_at + 1 ELSE :now END
WHERE org_no = :org_no AND phone_no = :phone_no AND deleted_at IS NULL RETURNING phone_no

-- name: phone_delete
-- Marks a phone as deleted, so that its jobs keep their phone.
-- plan: hot
-- takes: now int, org_no int, phone_no int
-- returns: phone_no int
UPDATE phones SET deleted_at = :now, updated_at = :now WHERE org_no = :org_no AND phone_no = :phone_no
  AND deleted_at IS NULL
RETURNING phone_no

-- name: phone_state
-- Stores the state that the session of the phone reported, by its owner.
-- plan: hot
-- takes: state text, detail text, now int, org_no int, phone_no int
UPDATE phones SET state = :state, state_detail = :detail, state_at = :now,
  first_connected_at = CASE WHEN :state = 'connected' THEN coalesce(first_connected_at, :now) ELSE first_connected_at
    END
WHERE org_no = :org_no AND phone_no = :phone_no AND deleted_at IS NULL

-- name: phone_pause
-- Pauses a phone: its owner starts nothing more. Gives no row if it is paused already, or deleted.
-- plan: hot
-- takes: now int, actor text, org_no int, phone_no int
-- returns: phone_no int
UPDATE phones SET paused_at = :now, paused_by = :actor,
  updated_at = CASE WHEN updated_at >= :now THEN updated_at + 1 ELSE :now END
WHERE org_no = :org_no AND phone_no = :phone_no AND deleted_at IS NULL AND paused_at IS NULL RETURNING phone_no

-- name: phone_resume
-- Resumes a paused phone. Gives no row if it is not paused, or deleted.
-- plan: hot
-- takes: now int, org_no int, phone_no int
-- returns: phone_no int
UPDATE phones SET paused_at = NULL, paused_by = NULL,
  updated_at = CASE WHEN updated_at >= :now THEN updated_at + 1 ELSE :now END
WHERE org_no = :org_no AND phone_no = :phone_no AND deleted_at IS NULL AND paused_at IS NOT NULL RETURNING phone_no

-- name: phone_hold
-- Stores until when the network asked the phone to wait.
-- plan: hot
-- takes: until int?, reason text, org_no int, phone_no int
UPDATE phones SET hold_until = CAST(:until AS BIGINT), hold_reason = :reason WHERE org_no = :org_no
  AND phone_no = :phone_no

-- name: phone_hold_new
-- Stores until when the network asked the phone to open no new chats.
-- plan: hot
-- takes: until int?, reason text, org_no int, phone_no int
UPDATE phones SET new_chats_until = CAST(:until AS BIGINT), hold_reason = :reason
WHERE org_no = :org_no AND phone_no = :phone_no

-- name: phones_expiring
-- Lists phones with jobs that wait past their expiry: one index probe for each phone.
-- plan: whole
-- takes: now int
-- returns: *phone_key
SELECT p.org_no, p.phone_no FROM phones p WHERE p.deleted_at IS NULL AND EXISTS (
  SELECT 1 FROM jobs j /*index jobs_expiring*/ WHERE j.org_no = p.org_no AND j.phone_no = p.phone_no AND j.watched = 1
  AND j.maybe_sent = 0 AND j.state = 'queued' AND j.expires_at <= :now)

-- name: phones_deleted_with_rest
-- Lists deleted phones that still have lanes, holds or starts because a crash cut off their deletion.
-- plan: whole
-- returns: *phone_key
SELECT p.org_no, p.phone_no FROM phones p WHERE p.deleted_at IS NOT NULL AND (
  EXISTS (SELECT 1 FROM lanes l WHERE l.org_no = p.org_no AND l.phone_no = p.phone_no)
  OR EXISTS (SELECT 1 FROM holds h WHERE h.org_no = p.org_no AND h.phone_no = p.phone_no)
  OR EXISTS (SELECT 1 FROM pace_log g WHERE g.org_no = p.org_no AND g.phone_no = p.phone_no))

-- name: phones_next_start
-- Tells whether each phone has a ready lane, and when its first delayed lane falls due.
-- plan: hot
-- only: sqlite
-- returns: org_no int, phone_no int, ready int, due_at int?
SELECT r.org_no, r.phone_no,
  EXISTS (SELECT 1 FROM lanes l /*index lanes_ready*/ WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no
    AND l.status = 'ready') AS ready,
  (SELECT min(l.not_before) FROM lanes l /*index lanes_delayed*/ WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no
    AND l.status = 'delayed') AS due_at
FROM $rows(org_no bigint, phone_no bigint)

-- name: phones_next_start
-- Tells whether each phone has a ready lane, and when its first delayed lane falls due.
-- plan: hot
-- only: postgresql
-- returns: org_no int, phone_no int, ready int, due_at int?
SELECT r.org_no, r.phone_no, coalesce((SELECT 1 FROM lanes l WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no
  AND l.new_chat IN (0, 1) AND l.priority IN (0, 1, 2) AND l.status = 'ready' LIMIT 1), 0) AS ready, (
  SELECT min(l.not_before) FROM lanes l WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no
    AND l.status = 'delayed') AS due_at
FROM $rows(org_no bigint, phone_no bigint)
