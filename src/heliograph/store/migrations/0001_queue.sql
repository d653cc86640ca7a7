-- The queue: organisations, phones, jobs, lanes, counters, events, leases.
-- $identity, $fill(n), $clustered, $row, $wide: see migrate.py. Times are microseconds UTC. org_no leads every key, so
-- that all tables but the small ones (orgs, api_keys, senders, write_probe) can be distributed by organisation.

CREATE TABLE orgs (
  org_no $identity,
  org_id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  hooks BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
  key_no $identity,
  org_no BIGINT NOT NULL REFERENCES orgs (org_no),
  name TEXT NOT NULL,
  prefix TEXT NOT NULL,
  digest TEXT NOT NULL UNIQUE,
  created_at BIGINT NOT NULL,
  revoked_at BIGINT,
  last_used_at BIGINT
);

CREATE TABLE phones (
  phone_no $identity,
  org_no BIGINT NOT NULL REFERENCES orgs (org_no),
  phone_id TEXT NOT NULL UNIQUE,
  number TEXT NOT NULL,
  provider TEXT NOT NULL,
  name TEXT NOT NULL DEFAULT '',
  image TEXT NOT NULL DEFAULT '',
  labels TEXT NOT NULL DEFAULT '[]',
  state TEXT NOT NULL DEFAULT 'connecting',
  state_detail TEXT NOT NULL DEFAULT '',
  state_at BIGINT NOT NULL,
  pacing TEXT NOT NULL DEFAULT 'none',
  config TEXT NOT NULL DEFAULT '{}',
  paused_at BIGINT,
  paused_by TEXT,
  hold_until BIGINT,
  hold_reason TEXT,
  new_chats_until BIGINT,
  restarts BIGINT NOT NULL DEFAULT 0,
  first_connected_at BIGINT,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  deleted_at BIGINT
);
CREATE UNIQUE INDEX phones_number ON phones (org_no, number) WHERE deleted_at IS NULL;

-- one row for each phone: its owner. token rises with each new owner, and every write of an owner names it
CREATE TABLE leases (
  org_no BIGINT NOT NULL,
  phone_no BIGINT NOT NULL,
  owner TEXT,
  token BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (org_no, phone_no)
) $fill(50);

-- one row for each sender process. It is alive while its heartbeat changes, so clocks need not agree
CREATE TABLE senders (
  owner TEXT PRIMARY KEY,
  heartbeat BIGINT NOT NULL,
  seen_at BIGINT NOT NULL
) $fill(50);

-- counters in two rows for each phone and priority: side 0 is written by the API, side 1 by the phone's owner, so that
-- they never wait for each other. The value is the sum of both.
CREATE TABLE queue_counters (
  org_no BIGINT NOT NULL,
  phone_no BIGINT NOT NULL,
  priority INT NOT NULL CHECK (priority IN (0, 1, 2)),
  side INT NOT NULL CHECK (side IN (0, 1)),
  next_seq BIGINT NOT NULL DEFAULT 0,
  waiting BIGINT NOT NULL DEFAULT 0,
  active BIGINT NOT NULL DEFAULT 0,
  completed BIGINT NOT NULL DEFAULT 0,
  failed BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (org_no, phone_no, priority, side)
) $fill(50);

CREATE TABLE jobs (
  org_no BIGINT NOT NULL,
  job_id $row,
  phone_no BIGINT NOT NULL,
  chat_id $key NOT NULL,
  priority INT NOT NULL CHECK (priority IN (0, 1, 2)),
  seq BIGINT NOT NULL,
  state TEXT NOT NULL CHECK (state IN
    ('scheduled', 'queued', 'sending', 'uncertain', 'sent', 'failed', 'cancelled', 'expired')),
  content TEXT NOT NULL,
  attempts INT NOT NULL DEFAULT 0,
  starts INT NOT NULL DEFAULT 0,
  maybe_sent INT NOT NULL DEFAULT 0,
  ack INT NOT NULL DEFAULT 0,
  reason TEXT,
  detail TEXT,
  not_before BIGINT,
  expires_at BIGINT,
  broadcast_no BIGINT,
  schedule_no BIGINT,
  performed_by TEXT NOT NULL,
  provider_message_id $key,
  author TEXT,
  events INT NOT NULL DEFAULT 1,
  token BIGINT NOT NULL DEFAULT 0,
  queued_at BIGINT NOT NULL,
  started_at BIGINT,
  sent_at BIGINT,
  delivered_at BIGINT,
  read_at BIGINT,
  settled_at BIGINT,
  -- 1 while the job is not settled and must be found by other means than its lane: it expires, is uncertain, was put
  -- back by a person, or is of a broadcast
  watched INT,
  $wide PRIMARY KEY (org_no, job_id)
) $fill(50);
-- No index of jobs has a column that a start or a plain success changes: those rewrite one row, and no index.
-- On an expression, so that a planner without statistics uses it for nothing but the list of a phone's jobs.
CREATE INDEX jobs_of_phone ON jobs ((phone_no + 0), org_no, job_id);
-- Searched from the lane's head_seq on, before which nothing of the lane waits; the chat first, for the same reason.
CREATE INDEX jobs_in_lane ON jobs (chat_id, org_no, phone_no, priority, seq);
CREATE INDEX jobs_uncertain ON jobs (org_no, phone_no, job_id) WHERE watched = 1 AND maybe_sent = 1;
CREATE INDEX jobs_expiring ON jobs (org_no, phone_no, expires_at)
  WHERE watched = 1 AND maybe_sent = 0 AND expires_at IS NOT NULL;

-- one row for each chat and priority that has work, so that the next job to start is found without a scan. head_job is
-- the next to start. While a job is in flight (busy), head_job is that one or an earlier one: a lane that goes on with
-- its next message is not written for each. Nothing of the lane waits before head_seq.
CREATE TABLE lanes (
  org_no BIGINT NOT NULL,
  phone_no BIGINT NOT NULL,
  chat_id $key NOT NULL,
  priority INT NOT NULL,
  new_chat INT NOT NULL CHECK (new_chat IN (0, 1)),
  status TEXT NOT NULL CHECK (status IN ('ready', 'busy', 'delayed', 'held')),
  head_seq BIGINT,
  head_job BIGINT,
  not_before BIGINT,
  waits_for BIGINT,
  PRIMARY KEY (org_no, phone_no, chat_id, priority)
) $fill(60) $clustered;
CREATE INDEX lanes_ready ON lanes (org_no, phone_no, new_chat, priority, head_seq) WHERE status = 'ready';
CREATE INDEX lanes_delayed ON lanes (org_no, phone_no, not_before) WHERE status = 'delayed';
-- on an expression: see jobs_of_phone
CREATE INDEX lanes_busy ON lanes ((phone_no + 0), org_no) WHERE status = 'busy';

-- chats that the phone has written to, or that wrote to it: these do not count as new chats
CREATE TABLE chats (
  org_no BIGINT NOT NULL,
  phone_no BIGINT NOT NULL,
  chat_id $key NOT NULL,
  first_at BIGINT NOT NULL,
  last_inbound_at BIGINT,
  PRIMARY KEY (org_no, phone_no, chat_id)
) $clustered;

CREATE TABLE events (
  org_no BIGINT NOT NULL,
  job_id BIGINT NOT NULL,
  n INT NOT NULL,
  at BIGINT NOT NULL,
  kind TEXT NOT NULL,
  before TEXT,
  after TEXT NOT NULL,
  ack INT NOT NULL,
  attempt INT NOT NULL,
  token BIGINT NOT NULL,
  actor TEXT NOT NULL,
  reason TEXT,
  detail TEXT,
  fanned_out INT NOT NULL DEFAULT 1,
  PRIMARY KEY (org_no, job_id, n)
) $clustered;
CREATE INDEX events_unfanned ON events (org_no, job_id, n) WHERE fanned_out = 0;

CREATE TABLE idempotency (
  org_no BIGINT NOT NULL,
  key $key NOT NULL,
  fingerprint TEXT NOT NULL,
  job_id BIGINT,
  position BIGINT,
  response TEXT,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (org_no, key)
) $clustered;
CREATE INDEX idempotency_age ON idempotency (created_at);

-- the ids that providers gave to our messages
CREATE TABLE provider_message_ids (
  org_no BIGINT NOT NULL,
  alias $key NOT NULL,
  job_id BIGINT NOT NULL,
  PRIMARY KEY (org_no, alias)
) $clustered;

-- receipts that came before their message's id was known; applied as soon as it is
CREATE TABLE unmatched_receipts (
  org_no BIGINT NOT NULL,
  phone_no BIGINT NOT NULL,
  provider_message_id $key NOT NULL,
  ack INT NOT NULL,
  at BIGINT NOT NULL,
  code TEXT,
  detail TEXT,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (org_no, phone_no, provider_message_id, ack)
) $clustered;
CREATE INDEX unmatched_receipts_age ON unmatched_receipts (created_at);

CREATE TABLE inbound (
  org_no BIGINT NOT NULL,
  phone_no BIGINT NOT NULL,
  message_id $key NOT NULL,
  chat_id $key NOT NULL,
  author TEXT NOT NULL,
  type TEXT NOT NULL,
  body TEXT NOT NULL,
  raw TEXT NOT NULL,
  at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  fanned_out INT NOT NULL DEFAULT 1,
  PRIMARY KEY (org_no, phone_no, message_id)
);
CREATE INDEX inbound_unfanned ON inbound (org_no, created_at) WHERE fanned_out = 0;
CREATE INDEX inbound_age ON inbound (created_at) WHERE fanned_out = 1;

-- one row, written to find out whether writes succeed again
CREATE TABLE write_probe (
  no INT PRIMARY KEY,
  at BIGINT NOT NULL,
  filler TEXT NOT NULL
);
