-- name: lease_insert
-- Creates the lease of a new phone, which has no owner yet.
-- plan: small
-- takes: org_no int, phone_no int
INSERT INTO leases (org_no, phone_no) VALUES (:org_no, :phone_no)

-- name: lease_delete
-- Deletes the lease of a phone. Its owner sees that, and no write under its token is accepted any more.
-- plan: hot
-- takes: org_no int, phone_no int
DELETE FROM leases WHERE org_no = :org_no AND phone_no = :phone_no

-- name: leases_seen
-- Lists the owner and token of each phone: one narrow row a phone.
-- plan: whole
-- returns: org_no int, phone_no int, owner text?, token int
SELECT org_no, phone_no, owner, token FROM leases ORDER BY org_no, phone_no

-- name: leases_claim
-- Takes leases under a higher token; a lease that changed in the meantime is left alone.
-- plan: hot
-- takes: owner text
-- returns: phone_no int, token int
UPDATE leases SET owner = :owner, token = leases.token + 1
FROM $rows(org_no bigint, phone_no bigint, token bigint)
WHERE leases.org_no = r.org_no AND leases.phone_no = r.phone_no AND leases.token = r.token
RETURNING leases.phone_no, leases.token

-- name: leases_release
-- Gives leases up, so that the next owner need not wait for their end.
-- plan: hot
-- takes: owner text
-- returns: phone_no int
UPDATE leases SET owner = NULL FROM $rows(org_no bigint, phone_no bigint, token bigint)
WHERE leases.org_no = r.org_no AND leases.phone_no = r.phone_no AND leases.token = r.token AND leases.owner = :owner
RETURNING leases.phone_no

-- name: leases_lock
-- Locks the leases of phones; this comes before all other locks. Lock this row before you take waiting jobs away from
-- their owner, who starts the next job of a busy lane without a lock on the lane.
-- plan: hot
-- only: postgresql
SELECT 1 FROM leases l JOIN $rows(org_no bigint, phone_no bigint) ON l.org_no = r.org_no AND l.phone_no = r.phone_no
ORDER BY l.org_no, l.phone_no /*lock of l*/

-- name: fence
-- Gives those of these phones that are ours under the given token, and locks their leases until the commit.
-- plan: hot
-- returns: phone_no int, token int
SELECT l.phone_no, l.token FROM leases l JOIN $rows(org_no bigint, phone_no bigint, token bigint)
ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.token = r.token
ORDER BY l.org_no, l.phone_no /*lock of l*/

-- name: fence_with_state
-- Does what `fence` does, and gives the state of each phone. `held` is 2 if a person paused the phone, 1 if a chat or
-- broadcast of it. `ready`: the phone has a ready lane; `due_at`: its first delayed lane falls due then.
-- plan: hot
-- only: sqlite
-- returns: phone_no int, token int, held int, updated_at int, ready int, due_at int?
SELECT l.phone_no, l.token, coalesce(
  (SELECT 2 FROM holds h WHERE h.org_no = l.org_no AND h.phone_no = l.phone_no AND h.target = 'phone'),
  (SELECT 1 FROM holds h WHERE h.org_no = l.org_no AND h.phone_no = l.phone_no LIMIT 1), 0) AS held, p.updated_at,
  EXISTS (SELECT 1 FROM lanes n /*index lanes_ready*/ WHERE n.org_no = l.org_no AND n.phone_no = l.phone_no
    AND n.status = 'ready') AS ready,
  (SELECT min(n.not_before) FROM lanes n /*index lanes_delayed*/ WHERE n.org_no = l.org_no AND n.phone_no = l.phone_no
    AND n.status = 'delayed') AS due_at
FROM $rows(org_no bigint, phone_no bigint, token bigint)
CROSS JOIN leases l ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.token = r.token
CROSS JOIN phones p ON p.phone_no = l.phone_no AND p.org_no = l.org_no

-- name: fence_with_state
-- Does what `fence` does, and gives the state of each phone. `held` is 2 if a person paused the phone, else 1: a hold
-- that was written while we waited for the lock is not seen here, so each start looks again. A lane that got its
-- first job meanwhile is not seen either: a wake-up follows.
-- plan: hot
-- only: postgresql
-- returns: phone_no int, token int, held int, updated_at int, ready int, due_at int?
SELECT l.phone_no, l.token, CASE WHEN EXISTS (
  SELECT 1 FROM holds h WHERE h.org_no = l.org_no AND h.phone_no = l.phone_no
    AND h.target = 'phone') THEN 2 ELSE 1 END AS held,
  p.updated_at, coalesce((SELECT 1 FROM lanes n WHERE n.org_no = l.org_no AND n.phone_no = l.phone_no
  AND n.new_chat IN (0, 1) AND n.priority IN (0, 1, 2) AND n.status = 'ready' LIMIT 1), 0) AS ready, (
  SELECT min(n.not_before) FROM lanes n WHERE n.org_no = l.org_no AND n.phone_no = l.phone_no
    AND n.status = 'delayed') AS due_at
FROM leases l JOIN $rows(org_no bigint, phone_no bigint, token bigint)
ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.token = r.token
JOIN phones p ON p.phone_no = l.phone_no AND p.org_no = l.org_no
ORDER BY l.org_no, l.phone_no /*lock of l*/

-- name: sender_heartbeat
-- Raises the heartbeat of a sender; gives no row if it was declared dead.
-- plan: small
-- takes: now int, owner text
-- returns: heartbeat int
UPDATE senders SET heartbeat = heartbeat + 1, seen_at = :now WHERE owner = :owner RETURNING heartbeat

-- name: sender_join
-- Adds a sender.
-- plan: small
-- takes: owner text, now int
INSERT INTO senders (owner, heartbeat, seen_at) VALUES (:owner, 1, :now) ON CONFLICT (owner) DO UPDATE
  SET heartbeat = senders.heartbeat + 1

-- name: senders_seen
-- Lists all senders and their heartbeats.
-- plan: whole
-- returns: owner text, heartbeat int
SELECT owner, heartbeat FROM senders ORDER BY owner

-- name: sender_delete
-- Deletes a sender that left or died.
-- plan: small
-- takes: owner text
DELETE FROM senders WHERE owner = :owner

-- name: lease_owner
-- Gives the owner of a phone.
-- plan: hot
-- takes: org_no int, phone_no int
-- returns: owner text?
SELECT owner FROM leases WHERE org_no = :org_no AND phone_no = :phone_no
