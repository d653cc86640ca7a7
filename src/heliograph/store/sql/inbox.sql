-- name: inbox_insert
-- Stores a provider's webhook once for each phone that it concerns.
-- plan: hot
INSERT INTO provider_inbox (org_no, phone_no, inbox_no, received_at, payload)
SELECT r.org_no, r.phone_no, r.inbox_no, r.received_at, r.payload
FROM $rows(org_no bigint, phone_no bigint, inbox_no bigint, received_at bigint, payload text) WHERE true

-- name: inbox_oldest
-- Reads the oldest webhooks of each phone.
-- plan: hot
-- only: sqlite
-- each: org_no, phone_no
-- takes: limit int
-- returns: org_no int, phone_no int, inbox_no int, received_at int, payload text
SELECT org_no, phone_no, inbox_no, received_at, payload FROM provider_inbox
WHERE org_no = :org_no AND phone_no = :phone_no ORDER BY inbox_no LIMIT :limit

-- name: inbox_oldest
-- Reads the oldest webhooks of each phone.
-- plan: hot
-- only: postgresql
-- takes: limit int
-- returns: org_no int, phone_no int, inbox_no int, received_at int, payload text
SELECT i.org_no, i.phone_no, i.inbox_no, i.received_at, i.payload FROM $rows(org_no bigint, phone_no bigint)
CROSS JOIN LATERAL (SELECT * FROM provider_inbox p WHERE p.org_no = r.org_no AND p.phone_no = r.phone_no
  ORDER BY p.inbox_no LIMIT :limit) i
ORDER BY i.phone_no, i.inbox_no

-- name: inbox_delete
-- Deletes webhooks that were applied.
-- plan: background
DELETE FROM provider_inbox WHERE (org_no, phone_no, inbox_no) IN (
  SELECT r.org_no, r.phone_no, r.inbox_no FROM $rows(org_no bigint, phone_no bigint, inbox_no bigint))

-- name: inbox_prune
-- Deletes webhooks that no owner ever applied: their phone was deleted.
-- plan: whole
-- takes: before int
DELETE FROM provider_inbox WHERE received_at < :before
