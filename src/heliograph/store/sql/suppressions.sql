-- columns: suppression: chat_id text, reason text, actor text, created_at int

-- name: suppression_insert
-- Puts a chat on the suppression list. Gives no row if it was on it already.
-- plan: hot
-- takes: org_no int, chat_id text, reason text, actor text, now int
-- returns: chat_id text
INSERT INTO suppressions (org_no, chat_id, reason, actor, created_at) VALUES (:org_no, :chat_id, :reason, :actor, :now)
ON CONFLICT (org_no, chat_id) DO NOTHING RETURNING chat_id

-- name: suppression_delete
-- Takes a chat off the suppression list.
-- plan: hot
-- takes: org_no int, chat_id text
-- returns: chat_id text
DELETE FROM suppressions WHERE org_no = :org_no AND chat_id = :chat_id RETURNING chat_id

-- name: suppression_by_chat
-- Reads the suppression of a chat, if there is one.
-- plan: hot
-- takes: org_no int, chat_id text
-- returns: *suppression
SELECT chat_id, reason, actor, created_at FROM suppressions WHERE org_no = :org_no AND chat_id = :chat_id

-- name: suppressions_of_org
-- Lists suppressed chats by chat id.
-- plan: hot
-- takes: org_no int, after text, limit int
-- returns: *suppression
SELECT chat_id, reason, actor, created_at FROM suppressions WHERE org_no = :org_no AND chat_id > :after
ORDER BY chat_id LIMIT :limit

-- name: suppressions_insert
-- Suppresses the chats of people who asked for it.
-- plan: hot
-- takes: now int
INSERT INTO suppressions (org_no, chat_id, reason, actor, created_at)
SELECT r.org_no, r.chat_id, 'STOP', r.actor, CAST(:now AS BIGINT) FROM $rows(org_no bigint, chat_id text, actor text)
  WHERE true
ON CONFLICT (org_no, chat_id) DO NOTHING

-- name: suppressions_delete
-- Deletes suppressions of people who took their request back; what an operator entered stays.
-- plan: hot
-- only: sqlite
-- each: org_no, chat_id
DELETE FROM suppressions WHERE reason = 'STOP' AND org_no = :org_no AND chat_id = :chat_id

-- name: suppressions_delete
-- Deletes suppressions of people who took their request back; what an operator entered stays.
-- plan: hot
-- only: postgresql
DELETE FROM suppressions WHERE reason = 'STOP' AND (org_no, chat_id) IN (
  SELECT r.org_no, r.chat_id FROM $rows(org_no bigint, chat_id text))
