-- name: inbound_insert
-- Stores inbound messages, each once; gives the new ones.
-- plan: hot
-- takes: now int
-- returns: message_id text, chat_id text
INSERT INTO inbound (org_no, phone_no, message_id, chat_id, author, type, body, raw, at, created_at, fanned_out)
SELECT r.org_no, r.phone_no, r.message_id, r.chat_id, r.author, r.type, r.body, r.raw, r.at, :now,
  coalesce((SELECT 0 FROM orgs o WHERE o.org_no = r.org_no AND o.hooks > 0 LIMIT 1), 1)
FROM $rows(org_no bigint, phone_no bigint, message_id text, chat_id text, author text, type text, body text, raw text,
  at bigint)
WHERE true ON CONFLICT (org_no, phone_no, message_id) DO NOTHING
RETURNING message_id, chat_id

-- name: inbound_by_id
-- Finds an inbound message by its bare id.
-- plan: hot
-- takes: org_no int, phone_no int, message_id text
-- returns: chat_id text, author text
SELECT chat_id, author FROM inbound WHERE org_no = :org_no AND phone_no = :phone_no AND message_id = :message_id

-- name: inbound_to_fan_out
-- Lists inbound messages that are not fanned out yet, oldest first.
-- plan: hot
-- takes: org_no int, limit int
-- returns: phone_no int, message_id text, chat_id text, type text, at int
SELECT phone_no, message_id, chat_id, type, at FROM inbound WHERE org_no = :org_no AND fanned_out = 0
  ORDER BY created_at LIMIT :limit

-- name: inbound_set_fanned_out
-- Marks inbound messages as fanned out.
-- plan: hot
UPDATE inbound SET fanned_out = 1 FROM $rows(org_no bigint, phone_no bigint, message_id text)
WHERE inbound.org_no = r.org_no AND inbound.phone_no = r.phone_no AND inbound.message_id = r.message_id

-- name: inbound_by_key
-- Reads several inbound messages by their keys.
-- plan: hot
-- returns: org_no int, phone_no int, message_id text, chat_id text, author text, type text, body text, raw text,
--   at int
SELECT i.org_no, i.phone_no, i.message_id, i.chat_id, i.author, i.type, i.body, i.raw, i.at FROM inbound i
JOIN $rows(org_no bigint, phone_no bigint, ref text)
ON i.org_no = r.org_no AND i.phone_no = r.phone_no AND i.message_id = r.ref

-- name: inbound_old
-- Lists inbound messages past their retention that are fanned out; never more than :limit rows.
-- plan: background
-- takes: before int, since int, limit int
-- returns: org_no int, phone_no int, message_id text, created_at int
SELECT org_no, phone_no, message_id, created_at FROM inbound /*index inbound_age*/
WHERE fanned_out = 1 AND created_at < :before AND created_at >= :since ORDER BY created_at LIMIT :limit

-- name: inbound_prune
-- Deletes those of the messages found before that no webhook delivery still has to report.
-- plan: background
-- only: sqlite
-- each: org_no, phone_no, message_id
DELETE FROM inbound WHERE org_no = :org_no AND phone_no = :phone_no AND message_id = :message_id
AND NOT EXISTS (SELECT 1 FROM deliveries d /*index deliveries_telling*/
  WHERE d.org_no = :org_no AND d.job_id IS NULL AND d.ref = :message_id AND d.state = 'pending')

-- name: inbound_prune
-- Deletes those of the messages found before that no webhook delivery still has to report.
-- plan: background
-- only: postgresql
DELETE FROM inbound WHERE (org_no, phone_no, message_id) IN (
  SELECT r.org_no, r.phone_no, r.message_id FROM $rows(org_no bigint, phone_no bigint, message_id text)
  WHERE NOT EXISTS (SELECT 1 FROM deliveries d
    WHERE d.org_no = r.org_no AND d.job_id IS NULL AND d.ref = r.message_id AND d.state = 'pending'))
