-- name: hold_put
-- plan: hot
-- A chat or a broadcast of a phone starts nothing from now on. No row: it was stopped already.
INSERT INTO holds (org_no, phone_no, target, actor, reason, created_at)
VALUES (:org_no, :phone_no, :target, :actor, :reason, :now)
ON CONFLICT (org_no, phone_no, target) DO NOTHING RETURNING target

-- name: hold_drop
-- plan: hot
-- It may start again. No row: it was not stopped.
DELETE FROM holds WHERE org_no = :org_no AND phone_no = :phone_no AND target = :target RETURNING target

-- name: holds_of_phone
-- plan: hot
-- What is stopped.
SELECT target, actor, reason, created_at FROM holds WHERE org_no = :org_no AND phone_no = :phone_no ORDER BY target

-- name: lanes_hold
-- plan: background
-- Of these lanes, those whose head must not start are put aside until a person lets them go on.
UPDATE lanes SET status = 'held'
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, job_id bigint)
WHERE lanes.org_no = r.org_no AND lanes.phone_no = r.phone_no AND lanes.chat_id = r.chat_id AND lanes.priority = r.priority
  AND lanes.head_job = r.job_id AND EXISTS (SELECT 1 FROM jobs j JOIN holds h
    ON h.org_no = j.org_no AND h.phone_no = j.phone_no
    AND h.target IN ('chat:' || j.chat_id, 'broadcast:' || CAST(j.broadcast_no AS TEXT))
    WHERE j.org_no = r.org_no AND j.job_id = r.job_id)
RETURNING lanes.head_job

-- name: lanes_held_of_chat
-- plan: hot
-- The lanes of one chat that were put aside.
SELECT org_no, phone_no, chat_id, priority FROM lanes
WHERE org_no = :org_no AND phone_no = :phone_no AND chat_id = :chat_id AND status = 'held' ORDER BY priority

-- name: lanes_held_of_broadcast
-- plan: hot
-- The lanes that were put aside with a message of this broadcast at their head: among the few that are fed.
SELECT l.org_no, l.phone_no, l.chat_id, l.priority FROM jobs j /*index jobs_of_broadcast*/
JOIN lanes l ON l.org_no = j.org_no AND l.phone_no = j.phone_no AND l.chat_id = j.chat_id AND l.priority = j.priority
WHERE j.org_no = :org_no AND j.broadcast_no = :broadcast_no AND j.watched = 1 AND j.state = 'queued' AND l.status = 'held'
  AND l.head_job = j.job_id

-- name: org_event_insert
-- plan: hot
-- Kept to be told, where somebody listens.
INSERT INTO org_events (org_no, at, name, phone_no, detail, data)
SELECT o.org_no, CAST(:now AS BIGINT), CAST(:name AS TEXT), CAST(:phone_no AS BIGINT), CAST(:detail AS TEXT), CAST(:data AS TEXT)
FROM orgs o WHERE o.org_no = :org_no AND o.hooks > 0

-- name: audit_log_insert
-- plan: hot
-- Who did what to a queue, when.
INSERT INTO audit_log (org_no, act_no, phone_no, at, actor, act, target, detail)
VALUES (:org_no, :act_no, :phone_no, :now, :actor, :act, :target, :detail)

-- name: audit_log_of_org
-- plan: hot
-- Newest first.
SELECT act_no, phone_no, at, actor, act, target, detail FROM audit_log
WHERE org_no = :org_no AND act_no < :below ORDER BY act_no DESC LIMIT :limit

-- name: audit_log_prune
-- plan: background
-- Past their retention.
DELETE FROM audit_log WHERE org_no = :org_no AND act_no < :below
