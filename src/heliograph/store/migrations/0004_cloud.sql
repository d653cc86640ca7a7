-- The Cloud API: webhooks on their way in, and files that are already up.
-- compatible

-- a provider's webhook as it came, until the phone's owner has applied it
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
