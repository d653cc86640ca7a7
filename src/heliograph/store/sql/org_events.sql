-- name: org_event_insert
-- Writes an organisation event, if the organisation has hooks.
-- plan: hot
-- takes: now int, name text, phone_no int?, detail text, data text, org_no int
INSERT INTO org_events (org_no, at, name, phone_no, detail, data)
SELECT o.org_no, CAST(:now AS BIGINT), CAST(:name AS TEXT), CAST(:phone_no AS BIGINT), CAST(:detail AS TEXT),
  CAST(:data AS TEXT)
FROM orgs o WHERE o.org_no = :org_no AND o.hooks > 0

-- name: phone_state_event_insert
-- Writes that a phone was connected or disconnected, if its state changes by this and the organisation has hooks.
-- plan: hot
-- takes: now int, state text, detail text, org_no int, phone_no int
INSERT INTO org_events (org_no, at, name, phone_no, detail)
SELECT p.org_no, :now, CASE WHEN :state = 'connected' THEN 'org.phone.connected' ELSE 'org.phone.disconnected' END,
  p.phone_no, :detail
FROM phones p JOIN orgs o ON o.org_no = p.org_no
WHERE p.org_no = :org_no AND p.phone_no = :phone_no AND p.deleted_at IS NULL AND o.hooks > 0
  AND (p.state = 'connected') <> (:state = 'connected')

-- name: hook_event_insert
-- Writes that a hook was disabled, for the other hooks of the organisation.
-- plan: hot
-- takes: org_no int, now int, name text, detail text, data text
INSERT INTO org_events (org_no, at, name, detail, data) VALUES (:org_no, :now, :name, :detail, :data)

-- name: org_events_to_fan_out
-- Lists organisation events that are not fanned out yet.
-- plan: hot
-- takes: org_no int, limit int
-- returns: org_event_no int, at int, name text, phone_no int?
SELECT org_event_no, at, name, phone_no FROM org_events WHERE org_no = :org_no AND fanned_out = 0
  ORDER BY org_event_no LIMIT :limit

-- name: org_events_set_fanned_out
-- Marks organisation events as fanned out.
-- plan: hot
UPDATE org_events SET fanned_out = 1 FROM $rows(org_no bigint, org_event_no bigint)
WHERE org_events.org_no = r.org_no AND org_events.org_event_no = r.org_event_no

-- name: org_events_by_no
-- Reads several organisation events by number.
-- plan: hot
-- returns: org_event_no int, at int, name text, phone_no int?, detail text, data text
SELECT g.org_event_no, g.at, g.name, g.phone_no, g.detail, g.data FROM org_events g
JOIN $rows(org_no bigint, org_event_no bigint) ON g.org_no = r.org_no AND g.org_event_no = r.org_event_no

-- name: org_events_prune
-- Deletes organisation events past their retention that no webhook delivery still has to report, some at a time.
-- plan: background
-- takes: org_no int, before int, limit int
DELETE FROM org_events WHERE org_no = :org_no AND org_event_no IN (
  SELECT g.org_event_no FROM org_events g /*index org_events_age*/
  WHERE g.org_no = :org_no AND g.fanned_out = 1 AND g.at < :before AND NOT EXISTS (
    SELECT 1 FROM deliveries d /*index deliveries_telling*/ WHERE d.org_no = g.org_no AND d.job_id IS NULL
      AND d.ref IS NULL
    AND d.n = g.org_event_no AND d.state = 'pending')
  ORDER BY g.at LIMIT :limit)
