-- name: inbox_keep
-- plan: hot
-- A provider's webhook, once for each phone it speaks of.
INSERT INTO provider_inbox (org_no, phone_no, inbox_no, received_at, payload)
SELECT r.org_no, r.phone_no, r.inbox_no, r.received_at, r.payload
FROM $rows(org_no bigint, phone_no bigint, inbox_no bigint, received_at bigint, payload text) WHERE true

-- name: inbox_oldest
-- plan: hot
-- Of each phone the first few, oldest first.
-- only: sqlite
-- each: org_no, phone_no
SELECT org_no, phone_no, inbox_no, received_at, payload FROM provider_inbox
WHERE org_no = :org_no AND phone_no = :phone_no ORDER BY inbox_no LIMIT :limit

-- name: inbox_oldest
-- plan: hot
-- Of each phone the first few, oldest first.
-- only: postgresql
SELECT i.org_no, i.phone_no, i.inbox_no, i.received_at, i.payload FROM $rows(org_no bigint, phone_no bigint)
CROSS JOIN LATERAL (SELECT * FROM provider_inbox p WHERE p.org_no = r.org_no AND p.phone_no = r.phone_no
  ORDER BY p.inbox_no LIMIT :limit) i
ORDER BY i.phone_no, i.inbox_no

-- name: inbox_drop
-- plan: background
-- Applied: gone.
DELETE FROM provider_inbox WHERE (org_no, phone_no, inbox_no) IN (
  SELECT r.org_no, r.phone_no, r.inbox_no FROM $rows(org_no bigint, phone_no bigint, inbox_no bigint))

-- name: inbox_prune
-- plan: whole
-- What nobody applied in all this time: its phone was deleted.
DELETE FROM provider_inbox WHERE received_at < :before
