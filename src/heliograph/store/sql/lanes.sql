-- name: lanes_lock
-- plan: hot
-- only: postgresql
-- Lanes before jobs, sorted: the one order of locks.
SELECT 1 FROM lanes l JOIN $rows(org_no bigint, phone_no bigint, chat_id text, priority int)
ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.priority = r.priority
ORDER BY l.org_no, l.phone_no, l.chat_id, l.priority /*lock of l*/

-- name: lanes_heads
-- plan: hot
-- only: sqlite
-- After the lanes are locked: the next waiting job of each, if any. `since`: nothing of the lane waits before this place; NULL:
-- before its head_seq.
SELECT r.org_no, r.phone_no, r.chat_id, r.priority, j.job_id, j.seq
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, since bigint)
LEFT JOIN lanes l ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.priority = r.priority
LEFT JOIN jobs j ON j.org_no = r.org_no AND j.job_id = (
  SELECT q.job_id FROM jobs q /*index jobs_in_lane*/ WHERE q.org_no = r.org_no AND q.chat_id = r.chat_id
  AND q.phone_no = r.phone_no AND q.priority = r.priority AND q.seq >= coalesce(r.since, l.head_seq) AND q.state = 'queued'
  ORDER BY q.seq LIMIT 1)

-- name: lanes_heads
-- plan: hot
-- only: postgresql
-- After the lanes are locked: the next waiting job of each, if any. `since`: nothing of the lane waits before this place; NULL:
-- before its head_seq.
SELECT r.org_no, r.phone_no, r.chat_id, r.priority, j.job_id, j.seq
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, since bigint)
LEFT JOIN lanes l ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.priority = r.priority
LEFT JOIN LATERAL (
  SELECT q.job_id, q.seq FROM jobs q WHERE q.org_no = r.org_no AND q.chat_id = r.chat_id AND q.phone_no = r.phone_no
  AND q.priority = r.priority AND q.seq >= coalesce(r.since, l.head_seq) AND q.state = 'queued' ORDER BY q.seq LIMIT 1) AS j ON true

-- name: lanes_set
-- plan: hot
-- Gives lanes their next head; delayed ones wait until not_before, because of waits_for.
UPDATE lanes SET head_job = r.head_job, head_seq = r.head_seq, status = r.status, not_before = r.not_before,
  waits_for = r.waits_for, new_chat = coalesce(r.new_chat, lanes.new_chat)
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int, head_job bigint, head_seq bigint, status text,
  not_before bigint, waits_for bigint, new_chat int)
WHERE lanes.org_no = r.org_no AND lanes.phone_no = r.phone_no AND lanes.chat_id = r.chat_id AND lanes.priority = r.priority

-- name: lanes_drop
-- plan: hot
-- only: sqlite
-- each: org_no, phone_no, chat_id, priority
-- Lanes that have no work are no rows. One at a time: SQLite searches a list of keys by its leading numbers only.
DELETE FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND chat_id = :chat_id AND priority = :priority

-- name: lanes_drop
-- plan: hot
-- only: postgresql
-- Lanes that have no work are no rows.
DELETE FROM lanes WHERE (org_no, phone_no, chat_id, priority) IN (
  SELECT r.org_no, r.phone_no, r.chat_id, r.priority FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int))

-- name: lanes_due
-- plan: hot
-- only: sqlite
-- each: org_no, phone_no
-- Lanes whose wait is over, at most :limit for each phone.
SELECT org_no, phone_no, chat_id, priority FROM lanes
WHERE org_no = :org_no AND phone_no = :phone_no AND status = 'delayed' AND not_before <= :now
ORDER BY not_before LIMIT :limit

-- name: lanes_due
-- plan: hot
-- only: postgresql
-- Lanes whose wait is over, at most :limit for each phone. Not locked here: that is done in their order, with all others.
SELECT l.* FROM $rows(org_no bigint, phone_no bigint) CROSS JOIN LATERAL (
  SELECT l.org_no, l.phone_no, l.chat_id, l.priority FROM lanes l
  WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.status = 'delayed' AND l.not_before <= :now
  ORDER BY l.not_before LIMIT :limit) AS l

-- name: lanes_candidates
-- plan: hot
-- only: sqlite
-- each: org_no, phone_no
-- The first ready lanes of one phone, for each lane and class: six index probes. Not of chats that have a message on its way
-- in another lane: at most as many as are in flight are passed over.
SELECT * FROM (SELECT org_no, phone_no, chat_id, priority, new_chat, head_job, head_seq FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND new_chat = 0 AND priority = 0 AND status = 'ready' AND NOT EXISTS (SELECT 1 FROM lanes b WHERE b.org_no = lanes.org_no AND b.phone_no = lanes.phone_no AND b.chat_id = lanes.chat_id AND b.status = 'busy') ORDER BY head_seq LIMIT :limit)
UNION ALL SELECT * FROM (SELECT org_no, phone_no, chat_id, priority, new_chat, head_job, head_seq FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND new_chat = 1 AND priority = 0 AND status = 'ready' AND NOT EXISTS (SELECT 1 FROM lanes b WHERE b.org_no = lanes.org_no AND b.phone_no = lanes.phone_no AND b.chat_id = lanes.chat_id AND b.status = 'busy') ORDER BY head_seq LIMIT :limit)
UNION ALL SELECT * FROM (SELECT org_no, phone_no, chat_id, priority, new_chat, head_job, head_seq FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND new_chat = 0 AND priority = 1 AND status = 'ready' AND NOT EXISTS (SELECT 1 FROM lanes b WHERE b.org_no = lanes.org_no AND b.phone_no = lanes.phone_no AND b.chat_id = lanes.chat_id AND b.status = 'busy') ORDER BY head_seq LIMIT :limit)
UNION ALL SELECT * FROM (SELECT org_no, phone_no, chat_id, priority, new_chat, head_job, head_seq FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND new_chat = 1 AND priority = 1 AND status = 'ready' AND NOT EXISTS (SELECT 1 FROM lanes b WHERE b.org_no = lanes.org_no AND b.phone_no = lanes.phone_no AND b.chat_id = lanes.chat_id AND b.status = 'busy') ORDER BY head_seq LIMIT :limit)
UNION ALL SELECT * FROM (SELECT org_no, phone_no, chat_id, priority, new_chat, head_job, head_seq FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND new_chat = 0 AND priority = 2 AND status = 'ready' AND NOT EXISTS (SELECT 1 FROM lanes b WHERE b.org_no = lanes.org_no AND b.phone_no = lanes.phone_no AND b.chat_id = lanes.chat_id AND b.status = 'busy') ORDER BY head_seq LIMIT :limit)
UNION ALL SELECT * FROM (SELECT org_no, phone_no, chat_id, priority, new_chat, head_job, head_seq FROM lanes WHERE org_no = :org_no AND phone_no = :phone_no AND new_chat = 1 AND priority = 2 AND status = 'ready' AND NOT EXISTS (SELECT 1 FROM lanes b WHERE b.org_no = lanes.org_no AND b.phone_no = lanes.phone_no AND b.chat_id = lanes.chat_id AND b.status = 'busy') ORDER BY head_seq LIMIT :limit)

-- name: lanes_candidates
-- plan: hot
-- only: postgresql
-- The first ready lanes of each phone, for each lane and class; a lane that another transaction holds is left for later.
-- Not of chats that have a message on its way in another lane; the status is written so that the chat's key is searched.
SELECT l.* FROM $rows(org_no bigint, phone_no bigint)
CROSS JOIN (VALUES (0, 0), (1, 0), (0, 1), (1, 1), (0, 2), (1, 2)) AS k(new_chat, priority)
CROSS JOIN LATERAL (
  SELECT l.org_no, l.phone_no, l.chat_id, l.priority, l.new_chat, l.head_job, l.head_seq FROM lanes l
  WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.new_chat = k.new_chat AND l.priority = k.priority AND l.status = 'ready'
  AND (SELECT 1 FROM lanes b WHERE b.org_no = l.org_no AND b.phone_no = l.phone_no AND b.chat_id = l.chat_id
    AND b.status || '' = 'busy' LIMIT 1) IS NULL
  ORDER BY l.head_seq LIMIT :limit /*lock skip*/) AS l

-- name: lanes_busy_of_phone
-- plan: hot
-- The lanes that have a message on its way: as many as are in flight.
SELECT org_no, phone_no, chat_id, priority FROM lanes /*index lanes_busy*/
WHERE org_no = :org_no AND phone_no + 0 = :phone_no AND status = 'busy'

-- name: lanes_in_flight
-- plan: hot
-- What busy lanes have on its way. The status is written so that nobody looks for these lanes in the index of busy ones.
SELECT (SELECT q.job_id FROM jobs q /*index jobs_in_lane*/ WHERE q.org_no = r.org_no AND q.chat_id = r.chat_id
  AND q.phone_no = r.phone_no AND q.priority = r.priority AND q.seq >= l.head_seq AND q.state = 'sending' ORDER BY q.seq LIMIT 1) AS job_id
FROM $rows(org_no bigint, phone_no bigint, chat_id text, priority int)
JOIN lanes l ON l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.chat_id = r.chat_id AND l.priority = r.priority
WHERE l.status || '' = 'busy'

-- name: phones_next_start
-- plan: hot
-- only: sqlite
-- Whether each phone has a ready lane, and when its first waiting one falls due: two probes a phone.
SELECT r.org_no, r.phone_no,
  EXISTS (SELECT 1 FROM lanes l /*index lanes_ready*/ WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no
    AND l.status = 'ready') AS ready,
  (SELECT min(l.not_before) FROM lanes l /*index lanes_delayed*/ WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no
    AND l.status = 'delayed') AS due_at
FROM $rows(org_no bigint, phone_no bigint)

-- name: phones_next_start
-- plan: hot
-- only: postgresql
-- Whether each phone has a ready lane, and when its first waiting one falls due.
SELECT r.org_no, r.phone_no, coalesce((SELECT 1 FROM lanes l WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no
  AND l.new_chat IN (0, 1) AND l.priority IN (0, 1, 2) AND l.status = 'ready' LIMIT 1), 0) AS ready, (
  SELECT min(l.not_before) FROM lanes l WHERE l.org_no = r.org_no AND l.phone_no = r.phone_no AND l.status = 'delayed') AS due_at
FROM $rows(org_no bigint, phone_no bigint)
