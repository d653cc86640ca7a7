-- columns: lane_state: status text, new_chat int, not_before int?, waits_for int?, head_job id?

-- name: explain_lane
-- Reads the state of a chat's lane.
-- plan: hot
-- takes: org_no int, phone_no int, chat_id text, priority int
-- returns: *lane_state, head_seq int?
SELECT status, new_chat, not_before, waits_for, head_job, head_seq FROM lanes
WHERE org_no = :org_no AND phone_no = :phone_no AND chat_id = :chat_id AND priority = :priority

-- name: explain_lanes
-- Reads the states of several chats' lanes.
-- plan: hot
-- returns: phone_no int, chat_id text, priority int, *lane_state
SELECT l.phone_no, l.chat_id, l.priority, l.status, l.new_chat, l.not_before, l.waits_for, l.head_job
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int)
JOIN lanes l ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.priority = r.priority

-- name: explain_ahead_in_chat
-- Counts earlier messages of the same lane, up to :most.
-- plan: hot
-- takes: org_no int, phone_no int, chat_id text, priority int, seq int, most int
-- returns: ahead int
SELECT count(*) AS ahead FROM (SELECT 1 FROM jobs WHERE org_no = :org_no AND phone_no = :phone_no AND chat_id = :chat_id
  AND priority = :priority AND state = 'queued' AND seq < :seq AND seq >= (SELECT l.head_seq FROM lanes l
    WHERE l.org_no = :org_no
  AND l.phone_no = :phone_no AND l.chat_id = :chat_id AND l.priority = :priority) ORDER BY seq LIMIT :most) AS earlier

-- name: explain_behind
-- Counts earlier messages of the same lane for each of several messages, up to :most each.
-- plan: hot
-- takes: most int
-- returns: job_id id, ahead int
SELECT r.job_id, (SELECT count(*) FROM (SELECT 1 FROM jobs j WHERE j.org_no = r.org_no AND j.phone_no = r.phone_no
  AND j.chat_id = r.chat_id AND j.priority = r.priority AND j.state = 'queued' AND j.seq < r.seq AND j.seq >= (
    SELECT l.head_seq FROM lanes l WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id
      AND l.priority = r.priority)
  ORDER BY j.seq LIMIT :most) AS earlier) AS ahead
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, seq bigint, job_id bigint)

-- name: explain_new_ahead
-- Counts lanes of new chats that stand before a place in the order, up to a bound.
-- plan: hot
-- takes: org_no int, phone_no int, priority int, seq int
-- returns: ahead int
SELECT count(*) AS ahead FROM (SELECT 1 FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND new_chat = 1
  AND priority = :priority AND status = 'ready' AND head_seq < :seq LIMIT 3000) AS fresh

-- name: explain_head
-- Gives the message that the phone would start next with this priority: two index probes.
-- plan: hot
-- takes: org_no int, phone_no int, priority int
-- returns: head_job id?
SELECT min(head_job) AS head_job FROM (
  SELECT * FROM (SELECT head_job FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND new_chat = 0
    AND priority = :priority
    AND status = 'ready' ORDER BY head_seq LIMIT 1) AS known
  UNION ALL SELECT * FROM (SELECT head_job FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND new_chat = 1
    AND priority = :priority AND status = 'ready' ORDER BY head_seq LIMIT 1) AS fresh) AS heads

-- name: explain_speed
-- Lists the times of the phone's last sent messages among those made before a key.
-- plan: background
-- takes: org_no int, below int, phone_no int
-- returns: queued_at int, started_at int?, sent_at int?
SELECT queued_at, started_at, sent_at FROM (
  SELECT phone_no, state, queued_at, started_at, sent_at FROM jobs WHERE org_no = :org_no AND job_id < :below
  ORDER BY job_id DESC LIMIT 500) AS late WHERE phone_no = :phone_no AND state = 'sent' LIMIT 400
