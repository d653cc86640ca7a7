-- name: chats_insert
-- Adds chats that were written to for the first time.
-- plan: hot
-- takes: now int
INSERT INTO chats (org_no, phone_no, chat_id, first_at)
SELECT DISTINCT r.org_no, r.phone_no, r.chat_id, CAST(:now AS BIGINT)
FROM $rows(org_no bigint, phone_no bigint, chat_id text) WHERE true
ON CONFLICT (org_no, phone_no, chat_id) DO NOTHING

-- name: chats_upsert_inbound
-- Adds chats that wrote to a phone, or stores when they last did.
-- plan: hot
-- takes: now int
INSERT INTO chats (org_no, phone_no, chat_id, first_at, last_inbound_at)
SELECT DISTINCT r.org_no, r.phone_no, r.chat_id, CAST(:now AS BIGINT), CAST(:now AS BIGINT)
FROM $rows(org_no bigint, phone_no bigint, chat_id text) WHERE true
ON CONFLICT (org_no, phone_no, chat_id) DO UPDATE SET last_inbound_at = excluded.last_inbound_at

-- name: chats_known_among
-- Gives those of these chats that their phone has written to or heard from.
-- plan: hot
-- returns: phone_no int, chat_id text
SELECT c.phone_no, c.chat_id FROM chats c JOIN $rows(org_no bigint, phone_no bigint, chat_id text)
ON c.org_no = r.org_no AND c.phone_no = r.phone_no AND c.chat_id = r.chat_id

-- name: chat_known
-- Tells whether the phone has written to this chat or heard from it.
-- plan: hot
-- takes: org_no int, phone_no int, chat_id text
-- returns: known int
SELECT 1 AS known FROM chats WHERE org_no = :org_no AND phone_no = :phone_no AND chat_id = :chat_id

-- name: phones_of_chat
-- Gives those of these phones that have written to the chat or heard from it.
-- plan: hot
-- returns: phone_no int
SELECT c.phone_no FROM chats c JOIN $rows(org_no bigint, phone_no bigint, chat_id text)
ON c.org_no = r.org_no AND c.phone_no = r.phone_no AND c.chat_id = r.chat_id
