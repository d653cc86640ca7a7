-- Broadcasts, schedules, holds, pacing and suppressions. org_no leads every key. Broadcast and schedule numbers are
-- made like job ids, so that their public ids are functions of them and need no index.

-- the targets that a person stopped: `phone`, `chat:ID` or `broadcast:NO`. Nearly always empty, so a look is cheap
CREATE TABLE holds (
  org_no BIGINT NOT NULL,
  phone_no BIGINT NOT NULL,
  target $key NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  PRIMARY KEY (org_no, phone_no, target)
) $clustered;

-- the recent starts of phones with a pacing policy, for their next owner; pruned after the policy's longest window
CREATE TABLE pace_log (
  org_no BIGINT NOT NULL,
  phone_no BIGINT NOT NULL,
  at BIGINT NOT NULL,
  chat_id $key NOT NULL,
  new_chat INT NOT NULL,
  PRIMARY KEY (org_no, phone_no, at, chat_id)
) $clustered;

-- `state` gone: being removed, after a load was cut off or past its retention. `idempotency_key`: of the request that
-- loads it. `enqueued`: recipients before this number are jobs. `feed_at`: nothing is enqueued before. `blocked`: the
-- enqueued jobs had not started at the last look. Written by the API and the broadcast service; outcomes of messages
-- are counted in broadcast_counts, by the phone's owner
CREATE TABLE broadcasts (
  org_no BIGINT NOT NULL,
  broadcast_no BIGINT NOT NULL,
  phone_no BIGINT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('loading', 'running', 'completed', 'cancelled', 'gone')),
  idempotency_key $key,
  content TEXT NOT NULL,
  priority INT NOT NULL CHECK (priority IN (0, 1, 2)),
  delay_us BIGINT NOT NULL,
  expires_at BIGINT,
  total BIGINT NOT NULL DEFAULT 0,
  enqueued BIGINT NOT NULL DEFAULT 0,
  skipped BIGINT NOT NULL DEFAULT 0,
  scheduled_at BIGINT,
  feed_at BIGINT NOT NULL,
  blocked INT NOT NULL DEFAULT 0,
  paused_at BIGINT,
  paused_by TEXT,
  performed_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  started_at BIGINT,
  ended_at BIGINT,
  PRIMARY KEY (org_no, broadcast_no)
) $fill(50);
CREATE INDEX broadcasts_due ON broadcasts (feed_at) WHERE state = 'running' AND paused_at IS NULL;

CREATE TABLE broadcast_counts (
  org_no BIGINT NOT NULL,
  broadcast_no BIGINT NOT NULL,
  sent BIGINT NOT NULL DEFAULT 0,
  failed BIGINT NOT NULL DEFAULT 0,
  delivered BIGINT NOT NULL DEFAULT 0,
  read BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (org_no, broadcast_no)
) $fill(50);

-- n counts from 0; vars: JSON object. job_id is fixed when the recipient is added, so that a published id stays valid
CREATE TABLE broadcast_recipients (
  org_no BIGINT NOT NULL,
  broadcast_no BIGINT NOT NULL,
  n BIGINT NOT NULL,
  chat_id $key NOT NULL,
  vars TEXT NOT NULL,
  job_id BIGINT NOT NULL,
  PRIMARY KEY (org_no, broadcast_no, n)
) $clustered;
-- only enqueued jobs that wait: a few hundred rows for each broadcast
CREATE INDEX jobs_of_broadcast ON jobs (org_no, broadcast_no, job_id) WHERE watched = 1 AND broadcast_no IS NOT NULL;

-- next_at: the next run. every NULL: runs once
CREATE TABLE schedules (
  org_no BIGINT NOT NULL,
  schedule_no BIGINT NOT NULL,
  phone_no BIGINT NOT NULL,
  chat_id $key NOT NULL,
  content TEXT NOT NULL,
  priority INT NOT NULL CHECK (priority IN (0, 1, 2)),
  state TEXT NOT NULL CHECK (state IN ('scheduled', 'completed', 'deleted')),
  first_at BIGINT NOT NULL,
  every TEXT CHECK (every IN ('day', 'week', 'month')),
  step INT,
  days TEXT NOT NULL DEFAULT '',
  ends_at BIGINT,
  zone TEXT NOT NULL DEFAULT 'UTC',
  next_at BIGINT,
  skip_next INT NOT NULL DEFAULT 0,
  paused_at BIGINT,
  paused_by TEXT,
  missed TEXT NOT NULL CHECK (missed IN ('late', 'skip')),
  ttl_us BIGINT,
  runs BIGINT NOT NULL DEFAULT 0,
  performed_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (org_no, schedule_no)
) $fill(70);
CREATE INDEX schedules_to_come ON schedules (org_no, phone_no) WHERE state = 'scheduled';
CREATE INDEX schedules_due ON schedules (next_at) WHERE state = 'scheduled' AND paused_at IS NULL;

CREATE TABLE schedule_runs (
  org_no BIGINT NOT NULL,
  schedule_no BIGINT NOT NULL,
  at BIGINT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('queued', 'late', 'skipped', 'missed', 'refused')),
  job_id BIGINT,
  remarks TEXT NOT NULL DEFAULT '',
  created_at BIGINT NOT NULL,
  PRIMARY KEY (org_no, schedule_no, at)
) $clustered;
CREATE INDEX schedule_runs_age ON schedule_runs (org_no, created_at);

-- chats that asked not to be written to, or that an operator entered
CREATE TABLE suppressions (
  org_no BIGINT NOT NULL,
  chat_id $key NOT NULL,
  reason TEXT NOT NULL,
  actor TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (org_no, chat_id)
) $clustered;

-- the actions of operators
CREATE TABLE audit_log (
  org_no BIGINT NOT NULL,
  act_no BIGINT NOT NULL,
  phone_no BIGINT,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  act TEXT NOT NULL,
  target $key NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (org_no, act_no)
) $clustered;
