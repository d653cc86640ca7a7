-- name: hold_insert
-- Stops a phone, chat or broadcast from now on. Gives no row if it was stopped already.
-- plan: hot
-- takes: org_no int, phone_no int, target text, actor text, reason text, now int
-- returns: target text
INSERT INTO holds (org_no, phone_no, target, actor, reason, created_at)
VALUES (:org_no, :phone_no, :target, :actor, :reason, :now)
ON CONFLICT (org_no, phone_no, target) DO NOTHING RETURNING target

-- name: hold_delete
-- Removes a hold. Gives no row if there was none.
-- plan: hot
-- takes: org_no int, phone_no int, target text
-- returns: target text
DELETE FROM holds WHERE org_no = :org_no AND phone_no = :phone_no AND target = :target RETURNING target

-- name: holds_of_phone
-- Lists the holds of a phone.
-- plan: hot
-- takes: org_no int, phone_no int
-- returns: target text, actor text, reason text, created_at int
SELECT target, actor, reason, created_at FROM holds WHERE org_no = :org_no AND phone_no = :phone_no ORDER BY target

-- name: holds_delete_of_phone
-- Deletes the holds of a deleted phone.
-- plan: background
-- takes: org_no int, phone_no int
DELETE FROM holds WHERE org_no = :org_no AND phone_no = :phone_no
