-- name: pace_log_insert
-- Writes the starts of phones that have a pace to keep, in the transaction of the start.
-- plan: hot
-- takes: now int
INSERT INTO pace_log (org_no, phone_no, at, chat_id, new_chat)
SELECT r.org_no, r.phone_no, CAST(:now AS BIGINT), r.chat_id, r.new_chat
FROM $rows(org_no bigint, phone_no bigint, chat_id text, new_chat int) WHERE true
ON CONFLICT (org_no, phone_no, at, chat_id) DO NOTHING

-- name: pace_log_recent
-- Lists the recent starts of a phone.
-- plan: hot
-- takes: org_no int, phone_no int, after int
-- returns: at int, chat_id text, new_chat int
SELECT at, chat_id, new_chat FROM pace_log WHERE org_no = :org_no AND phone_no = :phone_no AND at > :after ORDER BY at

-- name: pace_log_prune
-- Deletes starts that no pacing window includes any more, some at a time.
-- plan: background
-- takes: org_no int, phone_no int, before int
-- returns: at int
DELETE FROM pace_log WHERE (org_no, phone_no, at, chat_id) IN (
  SELECT org_no, phone_no, at, chat_id FROM pace_log WHERE org_no = :org_no AND phone_no = :phone_no AND at < :before
    LIMIT 5000)
RETURNING at
