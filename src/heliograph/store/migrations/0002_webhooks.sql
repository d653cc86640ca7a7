-- Webhooks: hooks, their endpoints, and deliveries in streams, which are for an endpoint what lanes are for a phone.
-- org_no leads every key.

-- one row for each organisation that ever had a hook: fan-out locks it, so that numbers rise in the order of events
CREATE TABLE fanouts (
  org_no BIGINT PRIMARY KEY,
  next_no BIGINT NOT NULL DEFAULT 1
) $fill(50);

CREATE TABLE signing_keys (
  org_no BIGINT PRIMARY KEY,
  current TEXT NOT NULL,
  previous TEXT,
  switch_at BIGINT NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL
);

-- one URL of one organisation, whose health all its hooks share. probe_at: the circuit is open until then
CREATE TABLE endpoints (
  endpoint_no $identity,
  org_no BIGINT NOT NULL REFERENCES orgs (org_no),
  url TEXT NOT NULL,
  failures INT NOT NULL DEFAULT 0,
  failing_since BIGINT,
  probe_at BIGINT,
  disabled_at BIGINT,
  disabled_reason TEXT,
  UNIQUE (org_no, url)
) $fill(50);

-- one event name for one URL
CREATE TABLE hooks (
  hook_no $identity,
  org_no BIGINT NOT NULL REFERENCES orgs (org_no),
  hook_id TEXT NOT NULL UNIQUE,
  endpoint_no BIGINT NOT NULL REFERENCES endpoints (endpoint_no),
  event TEXT NOT NULL,
  integration_type TEXT NOT NULL,
  integration_id TEXT NOT NULL,
  metadata TEXT NOT NULL,
  type TEXT NOT NULL,
  name TEXT NOT NULL,
  is_subscribed INT NOT NULL DEFAULT 1,
  subscribed_at BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  deleted_at BIGINT
);
CREATE INDEX hooks_of_org ON hooks (org_no, hook_no) WHERE deleted_at IS NULL;

-- events of phones and hooks, which are not of one job
CREATE TABLE org_events (
  org_event_no $identity,
  org_no BIGINT NOT NULL,
  at BIGINT NOT NULL,
  name TEXT NOT NULL,
  phone_no BIGINT,
  detail TEXT NOT NULL DEFAULT '',
  data TEXT NOT NULL DEFAULT '{}',
  fanned_out INT NOT NULL DEFAULT 0
);
CREATE INDEX org_events_unfanned ON org_events (org_no, org_event_no) WHERE fanned_out = 0;
CREATE INDEX org_events_age ON org_events (org_no, at) WHERE fanned_out = 1;

-- the deliveries to one endpoint about one chat, in order, one in flight at a time. A parked one has its own stream
CREATE TABLE streams (
  org_no BIGINT NOT NULL,
  endpoint_no BIGINT NOT NULL,
  stream TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('ready', 'busy', 'delayed')),
  head_no BIGINT NOT NULL,
  not_before BIGINT,
  worker TEXT,
  claim BIGINT,
  PRIMARY KEY (org_no, endpoint_no, stream)
) $fill(60) $clustered;
CREATE INDEX streams_ready ON streams (org_no, endpoint_no, head_no) WHERE status = 'ready';
CREATE INDEX streams_delayed ON streams (not_before) WHERE status = 'delayed';
CREATE INDEX streams_busy ON streams (worker) WHERE status = 'busy';

-- source says where the content comes from: job (job_id, n), inbound (phone_no, ref), org (n), test (its stored body).
-- place repeats no: it orders a stream or a hook's list, so that no planner reads the primary key from end to end
CREATE TABLE deliveries (
  org_no BIGINT NOT NULL,
  no BIGINT NOT NULL,
  place BIGINT NOT NULL,
  hook_no BIGINT NOT NULL,
  endpoint_no BIGINT NOT NULL,
  stream TEXT NOT NULL,
  event TEXT NOT NULL,
  source TEXT NOT NULL CHECK (source IN ('job', 'inbound', 'org', 'test')),
  job_id BIGINT,
  n BIGINT NOT NULL,
  phone_no BIGINT,
  ref TEXT,
  ack INT NOT NULL,
  ack_before INT NOT NULL,
  sequence BIGINT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead', 'cancelled')),
  tries INT NOT NULL DEFAULT 0,
  attempts INT NOT NULL DEFAULT 0,
  outcome TEXT,
  not_before BIGINT,
  created_at BIGINT NOT NULL,
  finished_at BIGINT,
  PRIMARY KEY (org_no, no)
) $fill(80) $clustered;
CREATE INDEX deliveries_pending ON deliveries (org_no, endpoint_no, stream, place) WHERE state = 'pending';
-- finds what waiting deliveries report, which must not be pruned
CREATE INDEX deliveries_telling ON deliveries (job_id, org_no, ref, n) WHERE state = 'pending';
CREATE INDEX deliveries_of_hook ON deliveries (hook_no, org_no, place);
CREATE INDEX deliveries_dead ON deliveries (org_no, hook_no, place) WHERE state = 'dead';

-- the bytes of deliveries whose first attempt failed, as they were sent; the others can be rendered again
CREATE TABLE delivery_bodies (
  org_no BIGINT NOT NULL,
  no BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (org_no, no)
);

CREATE TABLE delivery_attempts (
  org_no BIGINT NOT NULL,
  no BIGINT NOT NULL,
  attempt INT NOT NULL,
  at BIGINT NOT NULL,
  took_ms BIGINT NOT NULL,
  outcome TEXT NOT NULL,
  status INT NOT NULL,
  detail TEXT NOT NULL,
  answer TEXT NOT NULL,
  PRIMARY KEY (org_no, no, attempt)
) $clustered;

-- one row for each webhook worker; its claims are released if its heartbeat is late
CREATE TABLE hook_workers (
  worker TEXT PRIMARY KEY,
  alive_until BIGINT NOT NULL
) $fill(50);
