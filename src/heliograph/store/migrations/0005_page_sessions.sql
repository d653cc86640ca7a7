-- Logins at the page: ended by a logout, by the end of their key, or by their time.
-- compatible

CREATE TABLE page_sessions (
  digest TEXT PRIMARY KEY,
  link TEXT UNIQUE,
  org_no BIGINT NOT NULL,
  key_no BIGINT,
  ends_at BIGINT NOT NULL
);
