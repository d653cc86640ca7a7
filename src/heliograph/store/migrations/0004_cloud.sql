-- The Cloud API: webhooks that are not applied yet, and uploaded files.
-- compatible

-- webhooks of a provider as they came, until the phone's owner has applied them
CREATE TABLE provider_inbox (
  org_no BIGINT NOT NULL,
  phone_no BIGINT NOT NULL,
  inbox_no BIGINT NOT NULL,
  received_at BIGINT NOT NULL,
  payload TEXT NOT NULL,
  PRIMARY KEY (org_no, phone_no, inbox_no)
) $clustered;

CREATE TABLE uploads (
  phone_no BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  mimetype TEXT NOT NULL,
  media_id TEXT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (phone_no, sha256, mimetype)
) $clustered;
