-- part: first_ready:
--   SELECT * FROM (SELECT org_no, phone_no, chat_id, priority, new_chat, head_job, head_seq FROM lanes
--   WHERE org_no = :org_no AND phone_no = :phone_no AND new_chat = $1 AND priority = $2 AND status = 'ready'
--   AND NOT EXISTS (SELECT 1 FROM lanes b WHERE b.org_no = lanes.org_no AND b.phone_no = lanes.phone_no
--     AND b.chat_id = lanes.chat_id AND b.status = 'busy')
--   ORDER BY head_seq LIMIT :limit)

-- columns: lane: org_no int, phone_no int, chat_id text, priority int

-- name: lanes_upsert
-- Creates lanes with their first job as head. A lane with work stays as it is, but is locked until the commit.
-- plan: hot
-- only: sqlite
INSERT INTO lanes (org_no, phone_no, chat_id, priority, new_chat, status, head_seq, head_job)
SELECT r.org_no, r.phone_no, r.chat_id, r.priority,
  coalesce((SELECT 0 FROM chats c WHERE c.org_no = r.org_no AND c.phone_no = r.phone_no AND c.chat_id = r.chat_id
    LIMIT 1), 1),
  'ready', r.head_seq, r.head_job
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, head_seq bigint, head_job bigint) WHERE true
ORDER BY r.org_no, r.phone_no, r.chat_id, r.priority
ON CONFLICT (org_no, phone_no, chat_id, priority)
DO UPDATE SET head_seq = excluded.head_seq, head_job = excluded.head_job WHERE lanes.head_job IS NULL

-- name: lanes_lock
-- Locks lanes in the order of their keys. Lanes are locked before jobs.
-- plan: hot
-- only: postgresql
SELECT 1 FROM lanes l JOIN $rows(org_no bigint, phone_no bigint, chat_id text, priority int)
ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.priority = r.priority
ORDER BY l.org_no, l.phone_no, l.chat_id, l.priority /*lock of l*/

-- name: lanes_heads
-- Finds the next waiting job of each lane, which must be locked. `since`: nothing of the lane waits before this
-- place; NULL: nothing before its head_seq.
-- plan: hot
-- only: sqlite
-- returns: *lane, job_id id?, seq int?
SELECT r.org_no, r.phone_no, r.chat_id, r.priority, j.job_id, j.seq
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, since bigint?)
LEFT JOIN lanes l ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id
  AND l.priority = r.priority
LEFT JOIN jobs j ON j.org_no = r.org_no AND j.job_id = (
  SELECT q.job_id FROM jobs q /*index jobs_in_lane*/ WHERE q.org_no = r.org_no AND q.chat_id = r.chat_id
  AND q.phone_no = r.phone_no AND q.priority = r.priority AND q.seq >= coalesce(r.since, l.head_seq)
    AND q.state = 'queued'
  ORDER BY q.seq LIMIT 1)

-- name: lanes_heads
-- Finds the next waiting job of each lane, which must be locked. `since`: nothing of the lane waits before this
-- place; NULL: nothing before its head_seq.
-- plan: hot
-- only: postgresql
-- returns: *lane, job_id id?, seq int?
SELECT r.org_no, r.phone_no, r.chat_id, r.priority, j.job_id, j.seq
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, since bigint?)
LEFT JOIN lanes l ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id
  AND l.priority = r.priority
LEFT JOIN LATERAL (
  SELECT q.job_id, q.seq FROM jobs q WHERE q.org_no = r.org_no AND q.chat_id = r.chat_id AND q.phone_no = r.phone_no
  AND q.priority = r.priority AND q.seq >= coalesce(r.since, l.head_seq) AND q.state = 'queued' ORDER BY q.seq
    LIMIT 1) AS j ON true

-- name: lanes_set
-- Gives lanes their next head; delayed lanes wait until not_before, because of waits_for.
-- plan: hot
UPDATE lanes SET head_job = r.head_job, head_seq = r.head_seq, status = r.status, not_before = r.not_before,
  waits_for = r.waits_for, new_chat = coalesce(r.new_chat, lanes.new_chat)
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, head_job bigint?, head_seq bigint?,
  status text, not_before bigint?, waits_for bigint?, new_chat int?)
WHERE lanes.org_no = r.org_no AND lanes.phone_no = r.phone_no AND lanes.chat_id = r.chat_id
  AND lanes.priority = r.priority

-- name: lanes_delete
-- Deletes lanes that have no work. One at a time: SQLite searches a list of keys only by its leading numbers.
-- plan: hot
-- only: sqlite
-- each: org_no, phone_no, chat_id, priority
DELETE FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND chat_id = :chat_id AND priority = :priority

-- name: lanes_delete
-- Deletes lanes that have no work.
-- plan: hot
-- only: postgresql
DELETE FROM lanes WHERE (org_no, phone_no, chat_id, priority) IN (
  SELECT r.org_no, r.phone_no, r.chat_id, r.priority FROM $rows(org_no bigint, phone_no bigint, chat_id text,
    priority int))

-- name: lanes_due
-- Lists lanes whose wait is over, at most :limit for each phone.
-- plan: hot
-- only: sqlite
-- each: org_no, phone_no
-- takes: now int, limit int
-- returns: *lane
SELECT org_no, phone_no, chat_id, priority FROM lanes
WHERE org_no = :org_no AND phone_no = :phone_no AND status = 'delayed' AND not_before <= :now
ORDER BY not_before LIMIT :limit

-- name: lanes_due
-- Lists lanes whose wait is over, at most :limit for each phone. Takes no locks: these lanes are locked with all
-- others, sorted.
-- plan: hot
-- only: postgresql
-- takes: now int, limit int
-- returns: *lane
SELECT l.* FROM $rows(org_no bigint, phone_no bigint) CROSS JOIN LATERAL (
  SELECT l.org_no, l.phone_no, l.chat_id, l.priority FROM lanes l
  WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.status = 'delayed' AND l.not_before <= :now
  ORDER BY l.not_before LIMIT :limit) AS l

-- name: lanes_candidates
-- Lists the first ready lanes of each phone by priority, for known and for new chats: six index probes. Leaves out
-- chats that have a message in flight in another lane.
-- plan: hot
-- only: sqlite
-- each: org_no, phone_no
-- takes: limit int
-- returns: *lane, new_chat int, head_job id, head_seq int
$part(first_ready, 0, 0) UNION ALL $part(first_ready, 1, 0)
UNION ALL $part(first_ready, 0, 1) UNION ALL $part(first_ready, 1, 1)
UNION ALL $part(first_ready, 0, 2) UNION ALL $part(first_ready, 1, 2)

-- name: lanes_candidates
-- Lists the first ready lanes of each phone by priority, for known and for new chats; skips locked lanes. Leaves out
-- chats that have a message in flight in another lane; the form of its status makes PostgreSQL search the chat's key.
-- plan: hot
-- only: postgresql
-- takes: limit int
-- returns: *lane, new_chat int, head_job id, head_seq int
SELECT l.* FROM $rows(org_no bigint, phone_no bigint)
CROSS JOIN (VALUES (0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)) AS k(new_chat, priority)
CROSS JOIN LATERAL (
  SELECT l.org_no, l.phone_no, l.chat_id, l.priority, l.new_chat, l.head_job, l.head_seq FROM lanes l
  WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.new_chat = k.new_chat AND l.priority = k.priority
    AND l.status = 'ready'
  AND (SELECT 1 FROM lanes b WHERE b.org_no = l.org_no AND b.phone_no = l.phone_no AND b.chat_id = l.chat_id
    AND b.status || '' = 'busy' LIMIT 1) IS NULL
  ORDER BY l.head_seq LIMIT :limit /*lock skip*/) AS l

-- name: lanes_busy_of_phone
-- Lists the lanes of a phone that have a message in flight.
-- plan: hot
-- takes: org_no int, phone_no int
-- returns: *lane
SELECT org_no, phone_no, chat_id, priority FROM lanes /*index lanes_busy*/
WHERE org_no = :org_no AND phone_no + 0 = :phone_no AND status = 'busy'

-- name: lanes_in_flight
-- Gives the message in flight of each busy lane. The form of the status keeps PostgreSQL from the index of busy
-- lanes.
-- plan: hot
-- returns: job_id id?
SELECT (SELECT q.job_id FROM jobs q /*index jobs_in_lane*/ WHERE q.org_no = r.org_no AND q.chat_id = r.chat_id
  AND q.phone_no = r.phone_no AND q.priority = r.priority AND q.seq >= l.head_seq AND q.state = 'sending'
    ORDER BY q.seq LIMIT 1) AS job_id
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int)
JOIN lanes l ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.priority = r.priority
WHERE l.status || '' = 'busy'

-- name: lanes_waiting_for
-- Lists lanes that are blocked by one of these jobs.
-- plan: hot
-- returns: *lane
SELECT l.org_no, l.phone_no, l.chat_id, l.priority FROM lanes l
JOIN $rows(org_no bigint, phone_no bigint, chat_id text, priority int, job_id bigint)
ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.priority = r.priority
WHERE (l.waits_for = r.job_id OR l.head_job = r.job_id) AND l.status <> 'busy'

-- name: lanes_headed_by
-- Lists the lanes whose head was cancelled, unless they have a message in flight.
-- plan: hot
-- returns: *lane, not_before int?, waits_for int?
SELECT l.org_no, l.phone_no, l.chat_id, l.priority, l.not_before, l.waits_for FROM lanes l
JOIN $rows(org_no bigint, phone_no bigint, chat_id text, priority int, job_id bigint)
ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.priority = r.priority
WHERE l.head_job = r.job_id AND l.status <> 'busy'

-- name: lanes_of_jobs
-- Gives the lanes of jobs, to tell whether the job blocks its lane or is its head.
-- plan: hot
-- returns: *lane, status text, not_before int?, waits_for int?, head_job id?, head_seq int?, job_id id
SELECT l.org_no, l.phone_no, l.chat_id, l.priority, l.status, l.not_before, l.waits_for, l.head_job, l.head_seq,
  r.job_id
FROM lanes l
JOIN $rows(org_no bigint, phone_no bigint, chat_id text, priority int, job_id bigint)
ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.priority = r.priority

-- name: lanes_lower_head_seq
-- Lowers the head_seq of locked lanes that got a job at an earlier place.
-- plan: hot
UPDATE lanes SET head_seq = r.seq FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, seq bigint)
WHERE lanes.org_no = r.org_no AND lanes.phone_no = r.phone_no AND lanes.chat_id = r.chat_id
  AND lanes.priority = r.priority
  AND lanes.head_seq > r.seq

-- name: lanes_open
-- Creates lanes for jobs that are put back, from their place on; the head is found afterwards. An existing lane is
-- locked until the commit: its owner may be about to delete it.
-- plan: hot
INSERT INTO lanes (org_no, phone_no, chat_id, priority, new_chat, status, head_seq, head_job)
SELECT r.org_no, r.phone_no, r.chat_id, r.priority,
  coalesce((SELECT 0 FROM chats c WHERE c.org_no = r.org_no AND c.phone_no = r.phone_no AND c.chat_id = r.chat_id
    LIMIT 1), 1),
  'delayed', r.seq, NULL
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, seq bigint) WHERE true
ORDER BY r.org_no, r.phone_no, r.chat_id, r.priority
ON CONFLICT (org_no, phone_no, chat_id, priority) DO UPDATE SET head_seq = lanes.head_seq

-- name: lanes_hold
-- Sets lanes aside whose head a person stopped, until that person resumes it.
-- plan: background
-- returns: head_job id
UPDATE lanes SET status = 'held'
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, job_id bigint)
WHERE lanes.org_no = r.org_no AND lanes.phone_no = r.phone_no AND lanes.chat_id = r.chat_id
  AND lanes.priority = r.priority
  AND lanes.head_job = r.job_id AND EXISTS (SELECT 1 FROM jobs j JOIN holds h
    ON h.org_no = j.org_no AND h.phone_no = j.phone_no
    AND h.target IN ('chat:' || j.chat_id, 'broadcast:' || CAST(j.broadcast_no AS TEXT))
    WHERE j.org_no = r.org_no AND j.job_id = r.job_id)
RETURNING lanes.head_job

-- name: lanes_held_of_chat
-- Lists the lanes of one chat that were set aside.
-- plan: hot
-- takes: org_no int, phone_no int, chat_id text
-- returns: *lane
SELECT org_no, phone_no, chat_id, priority FROM lanes
WHERE org_no = :org_no AND phone_no = :phone_no AND chat_id = :chat_id AND status = 'held' ORDER BY priority

-- name: lanes_held_of_broadcast
-- Lists the lanes that were set aside with a message of this broadcast at their head.
-- plan: hot
-- takes: org_no int, broadcast_no int
-- returns: *lane
SELECT l.org_no, l.phone_no, l.chat_id, l.priority FROM jobs j /*index jobs_of_broadcast*/
JOIN lanes l ON l.org_no = j.org_no AND l.phone_no = j.phone_no AND l.chat_id = j.chat_id AND l.priority = j.priority
WHERE j.org_no = :org_no AND j.broadcast_no = :broadcast_no AND j.watched = 1 AND j.state = 'queued'
  AND l.status = 'held'
  AND l.head_job = j.job_id

-- name: lanes_of_new_chats
-- Lists lanes of these chats that still count as new, to lock them.
-- plan: hot
-- only: postgresql
-- returns: *lane
SELECT l.org_no, l.phone_no, l.chat_id, l.priority FROM lanes l JOIN $rows(org_no bigint, phone_no bigint, chat_id text)
ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id WHERE l.new_chat = 1

-- name: lanes_known
-- Marks lanes of these chats as known; skips lanes that another transaction has locked.
-- plan: hot
UPDATE lanes SET new_chat = 0 FROM (
  SELECT l.org_no, l.phone_no, l.chat_id, l.priority FROM $rows(org_no bigint, phone_no bigint, chat_id text)
  CROSS JOIN lanes l WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.new_chat = 1
  /*lock skip of l*/) AS k
WHERE lanes.org_no = k.org_no AND lanes.phone_no = k.phone_no AND lanes.chat_id = k.chat_id
  AND lanes.priority = k.priority

-- name: lanes_delete_of_phone
-- Deletes lanes of a deleted phone in which nothing waits, some at a time.
-- plan: background
-- takes: org_no int, phone_no int, limit int
-- returns: priority int
DELETE FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND head_job IS NULL AND (chat_id, priority) IN (
  SELECT chat_id, priority FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND head_job IS NULL LIMIT :limit)
RETURNING priority
