-- name: owners_lock
-- plan: hot
-- only: postgresql
-- The first of all locks: waits for the transactions of the phones' owners that are under way, and they for us. Whoever takes
-- waiting messages from under an owner, which starts the next of a busy lane without a lock on the lane, holds this.
SELECT 1 FROM leases l JOIN $rows(org_no bigint, phone_no bigint) ON l.org_no = r.org_no AND l.phone_no = r.phone_no
ORDER BY l.org_no, l.phone_no /*lock of l*/

-- name: sender_heartbeat
-- plan: small
-- The heartbeat of a sender. No row: it was declared dead.
UPDATE senders SET heartbeat = heartbeat + 1, seen_at = :now WHERE owner = :owner RETURNING heartbeat

-- name: sender_join
-- plan: small
-- A sender joins.
INSERT INTO senders (owner, heartbeat, seen_at) VALUES (:owner, 1, :now) ON CONFLICT (owner) DO UPDATE SET heartbeat = senders.heartbeat + 1

-- name: senders_seen
-- plan: whole
-- All senders and their heartbeats.
SELECT owner, heartbeat FROM senders ORDER BY owner

-- name: leases_seen
-- plan: whole
-- Whose each phone is. One narrow row a phone.
SELECT org_no, phone_no, owner, token FROM leases ORDER BY org_no, phone_no

-- name: leases_claim
-- plan: hot
-- The token rises; a lease that changed meanwhile is left alone.
UPDATE leases SET owner = :owner, token = leases.token + 1
FROM $rows(org_no bigint, phone_no bigint, token bigint)
WHERE leases.org_no = r.org_no AND leases.phone_no = r.phone_no AND leases.token = r.token
RETURNING leases.phone_no, leases.token

-- name: leases_release
-- plan: hot
-- Free for the next one, who need not wait.
UPDATE leases SET owner = NULL FROM $rows(org_no bigint, phone_no bigint, token bigint)
WHERE leases.org_no = r.org_no AND leases.phone_no = r.phone_no AND leases.token = r.token AND leases.owner = :owner
RETURNING leases.phone_no

-- name: sender_forget
-- plan: small
-- A sender that left or died.
DELETE FROM senders WHERE owner = :owner

-- name: notify
-- plan: small
-- only: postgresql
-- A hint to all senders.
SELECT pg_notify(:channel, :payload)
