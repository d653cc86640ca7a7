-- name: queue_counters_insert
-- Creates both sides of the counters of a phone's three priorities.
-- plan: small
INSERT INTO queue_counters (org_no, phone_no, priority, side)
SELECT r.org_no, r.phone_no, r.priority, r.side FROM $rows(org_no bigint, phone_no bigint, priority int, side int)

-- name: queue_counters_delete
-- Deletes the counters of a phone: nothing more is queued for it.
-- plan: hot
-- takes: org_no int, phone_no int
DELETE FROM queue_counters WHERE org_no = :org_no AND phone_no = :phone_no

-- name: queue_lock
-- Locks counters in the order of their keys. An UPDATE from unnest does not sort, so two batches over several phones
-- would deadlock.
-- plan: hot
-- only: postgresql
SELECT 1 FROM queue_counters q JOIN $rows(org_no bigint, phone_no bigint, priority int, side int)
ON q.org_no = r.org_no AND q.phone_no = r.phone_no AND q.priority = r.priority AND q.side = r.side
ORDER BY q.org_no, q.phone_no, q.priority /*lock of q*/

-- name: queue_reserve_and_count
-- Reserves places in the order and counts them as waiting. The commit order of this row is the order of sending.
-- plan: hot
-- returns: phone_no int, priority int, next_seq int, ahead int
UPDATE queue_counters SET next_seq = queue_counters.next_seq + r.count, waiting = queue_counters.waiting + r.count
FROM $rows(org_no bigint, phone_no bigint, priority int, side int, count bigint)
WHERE queue_counters.org_no = r.org_no AND queue_counters.phone_no = r.phone_no
  AND queue_counters.priority = r.priority AND queue_counters.side = r.side
RETURNING queue_counters.phone_no, queue_counters.priority, queue_counters.next_seq, queue_counters.waiting +
  queue_counters.active + (
  SELECT e.waiting + e.active FROM queue_counters e
  WHERE e.org_no = queue_counters.org_no AND e.phone_no = queue_counters.phone_no
    AND e.priority = queue_counters.priority AND e.side = 1) AS ahead

-- name: queue_reserve
-- Reserves places at the end of the order for jobs that are put back; they are counted separately.
-- plan: background
-- returns: phone_no int, priority int, next_seq int
UPDATE queue_counters SET next_seq = queue_counters.next_seq + r.count
FROM $rows(org_no bigint, phone_no bigint, priority int, count bigint)
WHERE queue_counters.org_no = r.org_no AND queue_counters.phone_no = r.phone_no
  AND queue_counters.priority = r.priority AND queue_counters.side = 0
RETURNING queue_counters.phone_no, queue_counters.priority, queue_counters.next_seq

-- name: queue_counters_add
-- Adds changes to one side of the counters.
-- plan: hot
UPDATE queue_counters SET waiting = queue_counters.waiting + r.waiting, active = queue_counters.active + r.active,
  completed = queue_counters.completed + r.completed, failed = queue_counters.failed + r.failed
FROM $rows(org_no bigint, phone_no bigint, priority int, side int, waiting bigint, active bigint, completed bigint,
  failed bigint)
WHERE queue_counters.org_no = r.org_no AND queue_counters.phone_no = r.phone_no
  AND queue_counters.priority = r.priority AND queue_counters.side = r.side

-- name: queue_counters_add_alike
-- Adds the same change to one side of the counters of several phones.
-- plan: hot
-- takes: waiting int, active int, completed int, failed int, org_no int, priority int, side int
UPDATE queue_counters SET waiting = queue_counters.waiting + :waiting, active = queue_counters.active + :active,
  completed = queue_counters.completed + :completed, failed = queue_counters.failed + :failed
WHERE queue_counters.org_no = :org_no AND queue_counters.priority = :priority AND queue_counters.side = :side
  AND queue_counters.phone_no IN (SELECT r.phone_no FROM $rows(phone_no bigint))

-- name: queue_counters_open
-- Counts what is accepted and not settled for one phone and priority.
-- plan: hot
-- takes: org_no int, phone_no int, priority int
-- returns: waiting int
SELECT CAST(coalesce(sum(waiting + active), 0) AS BIGINT) AS waiting
FROM queue_counters WHERE org_no = :org_no AND phone_no = :phone_no AND priority = :priority

-- name: counts_of_phone
-- Sums the counters of a phone. `paused`: how many of the waiting jobs are of a paused phone. `delayed`: schedules
-- with a run to come, up to :most.
-- plan: hot
-- takes: org_no int, phone_no int, most int
-- returns: waiting int?, active int?, completed int?, failed int?, delayed int, paused int?
SELECT CAST(sum(q.waiting) AS BIGINT) AS waiting, CAST(sum(q.active) AS BIGINT) AS active,
  CAST(sum(q.completed) AS BIGINT) AS completed, CAST(sum(q.failed) AS BIGINT) AS failed,
  (SELECT count(*) FROM (SELECT 1 FROM schedules s /*index schedules_to_come*/ WHERE s.org_no = :org_no
    AND s.phone_no = :phone_no AND s.state = 'scheduled' LIMIT :most) AS t) AS delayed,
  CAST(sum(CASE WHEN p.paused_at IS NULL THEN 0 ELSE q.waiting END) AS BIGINT) AS paused
FROM queue_counters q LEFT JOIN phones p ON p.phone_no = q.phone_no AND p.org_no = q.org_no
WHERE q.org_no = :org_no AND q.phone_no = :phone_no

-- name: counts_of_org
-- Sums the counters over all phones of the organisation: six rows a phone. Columns as in counts_of_phone.
-- plan: whole
-- takes: org_no int, most int
-- returns: waiting int?, active int?, completed int?, failed int?, delayed int, paused int?
SELECT CAST(sum(q.waiting) AS BIGINT) AS waiting, CAST(sum(q.active) AS BIGINT) AS active,
  CAST(sum(q.completed) AS BIGINT) AS completed, CAST(sum(q.failed) AS BIGINT) AS failed,
  (SELECT count(*) FROM (SELECT 1 FROM schedules s /*index schedules_to_come*/ WHERE s.org_no = :org_no
    AND s.state = 'scheduled' LIMIT :most) AS t) AS delayed,
  CAST(sum(CASE WHEN p.paused_at IS NULL THEN 0 ELSE q.waiting END) AS BIGINT) AS paused
FROM queue_counters q LEFT JOIN phones p ON p.phone_no = q.phone_no AND p.org_no = q.org_no WHERE q.org_no = :org_no

-- name: counts_of_phones
-- Sums the counters of each phone of an organisation. Of the active jobs as many are being sent as lanes are busy;
-- the others are uncertain.
-- plan: whole
-- takes: org_no int, most int
-- returns: phone_no int, waiting int, active int, completed int, failed int, delayed int, sending int
SELECT q.phone_no, CAST(sum(q.waiting) AS BIGINT) AS waiting, CAST(sum(q.active) AS BIGINT) AS active,
  CAST(sum(q.completed) AS BIGINT) AS completed, CAST(sum(q.failed) AS BIGINT) AS failed,
  (SELECT count(*) FROM (SELECT 1 FROM schedules s /*index schedules_to_come*/ WHERE s.org_no = :org_no
    AND s.phone_no = q.phone_no AND s.state = 'scheduled' LIMIT :most) AS t) AS delayed, (SELECT count(*)
      FROM lanes l /*index lanes_busy*/ WHERE l.org_no = :org_no
  AND l.phone_no + 0 = q.phone_no AND l.status = 'busy') AS sending
FROM queue_counters q WHERE q.org_no = :org_no GROUP BY q.phone_no

-- name: explain_queue
-- Gives what waits or is being sent for each priority of the phone, and the next place in the order. Counts busy
-- lanes, not active jobs: an uncertain job is active but blocks only its own chat, and only for a while.
-- plan: hot
-- takes: org_no int, phone_no int
-- returns: priority int, open_now int, next_seq int
SELECT q.priority, CAST(sum(q.waiting) AS BIGINT) + (SELECT count(*) FROM lanes l /*index lanes_busy*/
  WHERE l.org_no = :org_no
  AND l.phone_no + 0 = :phone_no AND l.status = 'busy' AND l.priority = q.priority) AS open_now,
  CAST(max(q.next_seq) AS BIGINT) AS next_seq
FROM queue_counters q WHERE q.org_no = :org_no AND q.phone_no = :phone_no GROUP BY q.priority
