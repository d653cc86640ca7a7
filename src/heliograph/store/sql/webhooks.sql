-- columns: hook: hook_no int, org_no int, o.org_id text, hook_id text, endpoint_no int, e.url text, event text,
--   integration_type text, integration_id text, metadata text, type text, name text, is_subscribed int,
--   subscribed_at int, created_at int, e.failures int, e.failing_since int?, e.disabled_at int?,
--   e.disabled_reason text?

-- columns: endpoint: org_no int, endpoint_no int

-- columns: signing_key: current text, previous text?, switch_at int

-- name: hooks_insert
-- Creates the hooks of one request, all or none.
-- plan: small
-- takes: now int
INSERT INTO hooks (org_no, hook_id, endpoint_no, event, integration_type, integration_id, metadata, type, name,
  subscribed_at, created_at)
SELECT r.org_no, r.hook_id, r.endpoint_no, r.event, r.integration_type, r.integration_id, r.metadata, r.type, r.name,
  :now, :now
FROM $rows(org_no bigint, hook_id text, endpoint_no bigint, event text, integration_type text, integration_id text,
  metadata text, type text, name text)

-- name: hooks_of
-- Lists the hooks of an organisation in the order of their creation.
-- plan: hot
-- takes: org_no int
-- returns: *hook
SELECT $columns(h.hook) FROM hooks h JOIN endpoints e ON e.org_no = h.org_no AND e.endpoint_no = h.endpoint_no
JOIN orgs o ON o.org_no = h.org_no
WHERE h.org_no = :org_no AND h.deleted_at IS NULL ORDER BY h.hook_no

-- name: hook_by_id
-- Reads one hook of an organisation.
-- plan: small
-- takes: org_no int, hook_id text
-- returns: *hook
SELECT $columns(h.hook) FROM hooks h JOIN endpoints e ON e.org_no = h.org_no AND e.endpoint_no = h.endpoint_no
JOIN orgs o ON o.org_no = h.org_no
WHERE h.org_no = :org_no AND h.hook_id = :hook_id AND h.deleted_at IS NULL

-- name: hook_update
-- Changes what a person may change.
-- plan: hot
-- takes: endpoint_no int, event text, integration_type text, metadata text, type text, name text, is_subscribed int,
--   subscribed_at int, org_no int, hook_no int
UPDATE hooks SET endpoint_no = :endpoint_no, event = :event, integration_type = :integration_type, metadata = :metadata,
  type = :type, name = :name, is_subscribed = :is_subscribed, subscribed_at = :subscribed_at
WHERE org_no = :org_no AND hook_no = :hook_no AND deleted_at IS NULL

-- name: hook_delete
-- Marks a hook as deleted, so that its deliveries keep their hook.
-- plan: small
-- takes: now int, org_no int, hook_id text
-- returns: hook_no int
UPDATE hooks SET deleted_at = :now, is_subscribed = 0 WHERE org_no = :org_no AND hook_id = :hook_id
  AND deleted_at IS NULL
RETURNING hook_no

-- name: hooks_subscribed
-- Lists the subscribed hooks of an organisation.
-- plan: hot
-- takes: org_no int
-- returns: hook_no int, endpoint_no int, event text
SELECT hook_no, endpoint_no, event FROM hooks
WHERE org_no = :org_no AND deleted_at IS NULL AND is_subscribed = 1 ORDER BY hook_no

-- name: hooks_unsubscribe_endpoint
-- Unsubscribes all hooks of an endpoint that wants or can take no more.
-- plan: hot
-- takes: org_no int, endpoint_no int
-- returns: hook_id text, event text
UPDATE hooks SET is_subscribed = 0 WHERE org_no = :org_no AND endpoint_no = :endpoint_no AND deleted_at IS NULL
AND is_subscribed = 1 RETURNING hook_id, event

-- name: endpoint_ensure
-- Creates the endpoint of a URL, if the organisation has none.
-- plan: small
-- takes: org_no int, url text
INSERT INTO endpoints (org_no, url) VALUES (:org_no, :url) ON CONFLICT (org_no, url) DO NOTHING

-- name: endpoint_by_url
-- Finds the endpoint of a URL.
-- plan: hot
-- takes: org_no int, url text
-- returns: endpoint_no int
SELECT endpoint_no FROM endpoints WHERE org_no = :org_no AND url = :url

-- name: endpoint_enable
-- Enables an endpoint to which a person subscribed again; its health starts anew.
-- plan: hot
-- takes: org_no int, endpoint_no int
UPDATE endpoints SET disabled_at = NULL, disabled_reason = NULL, failures = 0, failing_since = NULL, probe_at = NULL
WHERE org_no = :org_no AND endpoint_no = :endpoint_no

-- name: endpoint_disable
-- Disables an endpoint until a person subscribes again; waiting deliveries stay.
-- plan: hot
-- takes: now int, reason text, org_no int, endpoint_no int
-- returns: url text
UPDATE endpoints SET disabled_at = :now, disabled_reason = :reason
WHERE org_no = :org_no AND endpoint_no = :endpoint_no AND disabled_at IS NULL RETURNING url

-- name: endpoints_due
-- Lists endpoints of all organisations that have deliveries and may be tried: one index probe each. Takes no locks.
-- plan: whole
-- takes: now int
-- returns: *endpoint
SELECT e.org_no, e.endpoint_no FROM endpoints e WHERE e.disabled_at IS NULL AND (e.probe_at IS NULL
  OR e.probe_at <= :now)
AND EXISTS (SELECT 1 FROM streams s WHERE s.org_no = e.org_no AND s.endpoint_no = e.endpoint_no AND s.status = 'ready')

-- name: endpoints_given_up
-- Lists endpoints of all organisations that were disabled long ago and have waiting deliveries: one index probe each.
-- Takes no locks.
-- plan: whole
-- takes: before int
-- returns: *endpoint
SELECT e.org_no, e.endpoint_no FROM endpoints e WHERE e.disabled_at < :before AND EXISTS (
  SELECT 1 FROM deliveries d /*index deliveries_pending*/
  WHERE d.org_no = e.org_no AND d.endpoint_no = e.endpoint_no AND d.state = 'pending')
ORDER BY e.org_no, e.endpoint_no

-- name: endpoints_available
-- Gives those of these endpoints that may be tried; with probe_at set, only one probe may go.
-- plan: hot
-- takes: now int
-- returns: org_no int, endpoint_no int, probe_at int?
SELECT e.org_no, e.endpoint_no, e.probe_at FROM endpoints e JOIN $rows(org_no bigint, endpoint_no bigint)
ON e.org_no = r.org_no AND e.endpoint_no = r.endpoint_no
WHERE e.disabled_at IS NULL AND (e.probe_at IS NULL OR e.probe_at <= :now)

-- name: endpoints_probe
-- Gives one worker the right to probe, until the probe must have ended.
-- plan: hot
-- takes: until int, now int
-- returns: *endpoint
UPDATE endpoints SET probe_at = :until FROM $rows(org_no bigint, endpoint_no bigint)
WHERE endpoints.org_no = r.org_no AND endpoints.endpoint_no = r.endpoint_no AND endpoints.probe_at <= :now
RETURNING endpoints.org_no, endpoints.endpoint_no

-- name: endpoints_return_probe
-- Returns a right to probe that found nothing to send.
-- plan: hot
-- takes: now int
UPDATE endpoints SET probe_at = :now FROM $rows(org_no bigint, endpoint_no bigint)
WHERE endpoints.org_no = r.org_no AND endpoints.endpoint_no = r.endpoint_no

-- name: endpoints_failures
-- Gives the failure counts of endpoints.
-- plan: hot
-- returns: org_no int, endpoint_no int, failures int
SELECT e.org_no, e.endpoint_no, e.failures FROM endpoints e JOIN $rows(org_no bigint, endpoint_no bigint)
ON e.org_no = r.org_no AND e.endpoint_no = r.endpoint_no

-- name: endpoints_lock
-- Locks endpoints in the order of their keys. Endpoints are locked before streams.
-- plan: hot
-- returns: org_no int, endpoint_no int, url text, failures int, failing_since int?, probe_at int?, disabled_at int?
SELECT e.org_no, e.endpoint_no, e.url, e.failures, e.failing_since, e.probe_at, e.disabled_at FROM endpoints e
JOIN $rows(org_no bigint, endpoint_no bigint) ON e.org_no = r.org_no AND e.endpoint_no = r.endpoint_no
ORDER BY e.org_no, e.endpoint_no /*lock of e*/

-- name: endpoints_health
-- Writes the health of endpoints after a batch of attempts.
-- plan: hot
UPDATE endpoints SET failures = r.failures, failing_since = r.failing_since, probe_at = r.probe_at
FROM $rows(org_no bigint, endpoint_no bigint, failures int, failing_since bigint?, probe_at bigint?)
WHERE endpoints.org_no = r.org_no AND endpoints.endpoint_no = r.endpoint_no

-- name: signing_key_ensure
-- Creates the organisation's first signing key; an existing one stays.
-- plan: hot
-- takes: org_no int, current text, now int
INSERT INTO signing_keys (org_no, current, created_at) VALUES (:org_no, :current, :now) ON CONFLICT (org_no) DO NOTHING

-- name: signing_keys_of
-- Reads the signing keys in force.
-- plan: hot
-- takes: org_no int
-- returns: *signing_key
SELECT current, previous, switch_at FROM signing_keys WHERE org_no = :org_no

-- name: signing_keys_lock
-- Reads the signing keys in force and locks their row.
-- plan: hot
-- takes: org_no int
-- returns: *signing_key
SELECT current, previous, switch_at FROM signing_keys WHERE org_no = :org_no /*lock*/

-- name: signing_keys_set
-- Writes rotated signing keys.
-- plan: hot
-- takes: current text, previous text?, switch_at int, org_no int
UPDATE signing_keys SET current = :current, previous = CAST(:previous AS TEXT), switch_at = :switch_at
  WHERE org_no = :org_no

-- name: fanout_ensure
-- Creates the row whose lock keeps an organisation's deliveries in order.
-- plan: hot
-- takes: org_no int
INSERT INTO fanouts (org_no) VALUES (:org_no) ON CONFLICT (org_no) DO NOTHING

-- name: fanout_lock
-- Locks an organisation's fan-out while its hooks are changed, so that their count is right.
-- plan: hot
-- takes: org_no int
-- returns: next_no int
SELECT next_no FROM fanouts WHERE org_no = :org_no /*lock*/

-- name: fanout_lock_or_skip
-- Locks an organisation's fan-out; gives no row if another worker has it.
-- plan: hot
-- takes: org_no int
-- returns: next_no int
SELECT next_no FROM fanouts WHERE org_no = :org_no /*lock skip*/

-- name: fanout_advance
-- Writes which delivery numbers were given out.
-- plan: hot
-- takes: next_no int, org_no int
UPDATE fanouts SET next_no = :next_no WHERE org_no = :org_no

-- name: fanout_number
-- Takes one delivery number, for a delivery without an event.
-- plan: hot
-- takes: org_no int
-- returns: no int
UPDATE fanouts SET next_no = next_no + 1 WHERE org_no = :org_no RETURNING next_no - 1 AS no

-- name: fanout_due
-- Lists organisations with something to fan out: three index probes each. Takes no locks.
-- plan: whole
-- returns: org_no int
SELECT f.org_no FROM fanouts f WHERE EXISTS (SELECT 1 FROM events e /*index events_unfanned*/
  WHERE e.org_no = f.org_no AND e.fanned_out = 0)
OR EXISTS (SELECT 1 FROM inbound i WHERE i.org_no = f.org_no AND i.fanned_out = 0)
OR EXISTS (SELECT 1 FROM org_events g WHERE g.org_no = f.org_no AND g.fanned_out = 0) ORDER BY f.org_no

-- name: fanouts_all
-- Lists organisations that ever had a hook.
-- plan: whole
-- returns: org_no int
SELECT org_no FROM fanouts ORDER BY org_no

-- name: worker_heartbeat
-- Writes until when a webhook worker counts as alive.
-- plan: small
-- takes: worker text, alive_until int
INSERT INTO hook_workers (worker, alive_until) VALUES (:worker, :alive_until)
ON CONFLICT (worker) DO UPDATE SET alive_until = excluded.alive_until

-- name: workers_dead
-- Lists workers that did not write their heartbeat in time.
-- plan: small
-- takes: now int, worker text
-- returns: worker text
SELECT worker FROM hook_workers WHERE alive_until < :now AND worker <> :worker

-- name: worker_delete
-- Deletes a worker that left or died.
-- plan: small
-- takes: worker text
DELETE FROM hook_workers WHERE worker = :worker
