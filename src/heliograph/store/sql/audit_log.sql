-- name: audit_log_insert
-- Writes what an operator did to a queue.
-- plan: hot
-- takes: org_no int, act_no int, phone_no int?, now int, actor text, act text, target text, detail text
INSERT INTO audit_log (org_no, act_no, phone_no, at, actor, act, target, detail)
VALUES (:org_no, :act_no, :phone_no, :now, :actor, :act, :target, :detail)

-- name: audit_log_of_org
-- Lists the audit log, newest first.
-- plan: hot
-- takes: org_no int, below int, limit int
-- returns: act_no int, phone_no int?, at int, actor text, act text, target text, detail text
SELECT act_no, phone_no, at, actor, act, target, detail FROM audit_log
WHERE org_no = :org_no AND act_no < :below ORDER BY act_no DESC LIMIT :limit

-- name: audit_log_prune
-- Deletes entries past their retention.
-- plan: background
-- takes: org_no int, below int
DELETE FROM audit_log WHERE org_no = :org_no AND act_no < :below
