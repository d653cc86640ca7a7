-- columns: hook: h.hook_no, h.org_no, o.org_id, h.hook_id, h.endpoint_no, e.url, h.event, h.integration_type, h.integration_id, h.metadata, h.type, h.name, h.is_subscribed, h.subscribed_at, h.created_at, e.failures, e.failing_since, e.disabled_at, e.disabled_reason

-- name: fanout_ensure
-- plan: hot
-- The row whose lock keeps an organisation's deliveries in order.
INSERT INTO fanouts (org_no) VALUES (:org_no) ON CONFLICT (org_no) DO NOTHING

-- name: fanout_hold
-- plan: hot
-- Hooks of an organisation are changed one request at a time, so that what is counted afterwards is true.
SELECT next_no FROM fanouts WHERE org_no = :org_no /*lock*/

-- name: signing_key_ensure
-- plan: hot
-- The organisation's first signing key; an existing one stays.
INSERT INTO signing_keys (org_no, current, created_at) VALUES (:org_no, :current, :now) ON CONFLICT (org_no) DO NOTHING

-- name: signing_keys_of
-- plan: hot
-- The keys in force.
SELECT current, previous, switch_at FROM signing_keys WHERE org_no = :org_no

-- name: signing_keys_lock
-- plan: hot
-- The same, held until we commit.
SELECT current, previous, switch_at FROM signing_keys WHERE org_no = :org_no /*lock*/

-- name: signing_keys_set
-- plan: hot
-- A rotation.
UPDATE signing_keys SET current = :current, previous = CAST(:previous AS TEXT), switch_at = :switch_at WHERE org_no = :org_no

-- name: endpoint_ensure
-- plan: small
-- A URL of an organisation, once.
INSERT INTO endpoints (org_no, url) VALUES (:org_no, :url) ON CONFLICT (org_no, url) DO NOTHING

-- name: endpoint_by_url
-- plan: hot
-- One search by the unique pair.
SELECT endpoint_no FROM endpoints WHERE org_no = :org_no AND url = :url

-- name: endpoint_enable
-- plan: hot
-- A person subscribes again: its health starts anew.
UPDATE endpoints SET disabled_at = NULL, disabled_reason = NULL, failures = 0, failing_since = NULL, probe_at = NULL
WHERE org_no = :org_no AND endpoint_no = :endpoint_no

-- name: hooks_insert
-- plan: small
-- The hooks of one request, all or none.
INSERT INTO hooks (org_no, hook_id, endpoint_no, event, integration_type, integration_id, metadata, type, name, subscribed_at,
  created_at)
SELECT r.org_no, r.hook_id, r.endpoint_no, r.event, r.integration_type, r.integration_id, r.metadata, r.type, r.name, :now, :now
FROM $rows(org_no bigint, hook_id text, endpoint_no bigint, event text, integration_type text, integration_id text,
  metadata text, type text, name text)

-- name: hooks_count
-- plan: hot
-- Events are kept for fanning out while an organisation has a subscribed hook.
UPDATE orgs SET hooks = (
  SELECT count(*) FROM hooks h WHERE h.org_no = :org_no AND h.deleted_at IS NULL AND h.is_subscribed = 1)
WHERE org_no = :org_no

-- name: hooks_of
-- plan: hot
-- An organisation's hooks, in the order they were made.
SELECT $columns(hook) FROM hooks h JOIN endpoints e ON e.org_no = h.org_no AND e.endpoint_no = h.endpoint_no
JOIN orgs o ON o.org_no = h.org_no
WHERE h.org_no = :org_no AND h.deleted_at IS NULL ORDER BY h.hook_no

-- name: hook_by_id
-- plan: small
-- One hook of an organisation.
SELECT $columns(hook) FROM hooks h JOIN endpoints e ON e.org_no = h.org_no AND e.endpoint_no = h.endpoint_no
JOIN orgs o ON o.org_no = h.org_no
WHERE h.org_no = :org_no AND h.hook_id = :hook_id AND h.deleted_at IS NULL

-- name: hook_update
-- plan: hot
-- What a person may change.
UPDATE hooks SET endpoint_no = :endpoint_no, event = :event, integration_type = :integration_type, metadata = :metadata,
  type = :type, name = :name, is_subscribed = :is_subscribed, subscribed_at = :subscribed_at
WHERE org_no = :org_no AND hook_no = :hook_no AND deleted_at IS NULL

-- name: hook_delete
-- plan: small
-- Marked, so that its deliveries keep their hook.
UPDATE hooks SET deleted_at = :now, is_subscribed = 0 WHERE org_no = :org_no AND hook_id = :hook_id AND deleted_at IS NULL
RETURNING hook_no

-- name: endpoint_hooks_end
-- plan: hot
-- All hooks of an endpoint that wants or can take no more.
UPDATE hooks SET is_subscribed = 0 WHERE org_no = :org_no AND endpoint_no = :endpoint_no AND deleted_at IS NULL
AND is_subscribed = 1 RETURNING hook_id, event

-- name: phone_state_event_insert
-- plan: hot
-- A phone's line came up or went down: kept to be told, where somebody listens. Written in the transaction of the change.
INSERT INTO org_events (org_no, at, name, phone_no, detail)
SELECT p.org_no, :now, CASE WHEN :state = 'connected' THEN 'org.phone.connected' ELSE 'org.phone.disconnected' END,
  p.phone_no, :detail
FROM phones p JOIN orgs o ON o.org_no = p.org_no
WHERE p.org_no = :org_no AND p.phone_no = :phone_no AND p.deleted_at IS NULL AND o.hooks > 0
  AND (p.state = 'connected') <> (:state = 'connected')

-- name: hook_told
-- plan: hot
-- A hook was disabled: kept to be told to the organisation's other hooks.
INSERT INTO org_events (org_no, at, name, detail, data) VALUES (:org_no, :now, :name, :detail, :data)

-- name: fanout_due
-- plan: whole
-- The organisations with something to fan out: three index probes each. Takes no locks.
SELECT f.org_no FROM fanouts f WHERE EXISTS (SELECT 1 FROM events e /*index events_unfanned*/ WHERE e.org_no = f.org_no AND e.fanned_out = 0)
OR EXISTS (SELECT 1 FROM inbound i WHERE i.org_no = f.org_no AND i.fanned_out = 0)
OR EXISTS (SELECT 1 FROM org_events g WHERE g.org_no = f.org_no AND g.fanned_out = 0) ORDER BY f.org_no

-- name: fanout_lock
-- plan: hot
-- One fans out for an organisation at a time; the others take another one.
SELECT next_no FROM fanouts WHERE org_no = :org_no /*lock skip*/

-- name: fanout_advance
-- plan: hot
-- The numbers that were given out.
UPDATE fanouts SET next_no = :next_no WHERE org_no = :org_no

-- name: fanout_number
-- plan: hot
-- One number, for a delivery that no event asked for.
UPDATE fanouts SET next_no = next_no + 1 WHERE org_no = :org_no RETURNING next_no - 1 AS no

-- name: hooks_listening
-- plan: hot
-- Who wants which event.
SELECT hook_no, endpoint_no, event FROM hooks
WHERE org_no = :org_no AND deleted_at IS NULL AND is_subscribed = 1 ORDER BY hook_no

-- name: events_to_fan
-- plan: hot
-- By flag, not by cursor: a lower key may be committed later. Events of one job come in their order.
SELECT e.job_id, e.n, e.at, e.kind, e.before, e.after, e.ack, e.attempt, j.chat_id, j.phone_no
FROM events e /*index events_unfanned*/ JOIN jobs j ON j.org_no = e.org_no AND j.job_id = e.job_id
WHERE e.org_no = :org_no AND e.fanned_out = 0 ORDER BY e.job_id, e.n LIMIT :limit

-- name: inbound_to_fan
-- plan: hot
-- What people wrote, oldest first.
SELECT phone_no, message_id, chat_id, type, at FROM inbound WHERE org_no = :org_no AND fanned_out = 0 ORDER BY created_at LIMIT :limit

-- name: org_events_to_fan
-- plan: hot
-- What happened to phones and hooks.
SELECT org_event_no, at, name, phone_no FROM org_events WHERE org_no = :org_no AND fanned_out = 0 ORDER BY org_event_no LIMIT :limit

-- name: events_fanned
-- plan: hot
-- Told to whoever listens.
UPDATE events SET fanned_out = 1 FROM $rows(org_no bigint, job_id bigint, n int)
WHERE events.org_no = r.org_no AND events.job_id = r.job_id AND events.n = r.n

-- name: inbound_fanned
-- plan: hot
-- Told to whoever listens.
UPDATE inbound SET fanned_out = 1 FROM $rows(org_no bigint, phone_no bigint, message_id text)
WHERE inbound.org_no = r.org_no AND inbound.phone_no = r.phone_no AND inbound.message_id = r.message_id

-- name: org_events_fanned
-- plan: hot
-- Told to whoever listens.
UPDATE org_events SET fanned_out = 1 FROM $rows(org_no bigint, org_event_no bigint)
WHERE org_events.org_no = r.org_no AND org_events.org_event_no = r.org_event_no

-- name: org_events_prune
-- plan: background
-- Past their retention, if no webhook has to tell of them any more; a bounded piece at a time.
DELETE FROM org_events WHERE org_no = :org_no AND org_event_no IN (
  SELECT g.org_event_no FROM org_events g /*index org_events_age*/
  WHERE g.org_no = :org_no AND g.fanned_out = 1 AND g.at < :before AND NOT EXISTS (
    SELECT 1 FROM deliveries d /*index deliveries_telling*/ WHERE d.org_no = g.org_no AND d.job_id IS NULL AND d.ref IS NULL
    AND d.n = g.org_event_no AND d.state = 'pending')
  ORDER BY g.at LIMIT :limit)

-- name: fanouts_all
-- plan: whole
-- The organisations that ever had a hook.
SELECT org_no FROM fanouts ORDER BY org_no
