-- name: seed_lock
-- Takes a lock until the commit, so that only one process fills an empty database.
-- plan: small
-- only: postgresql
-- takes: lock int
SELECT pg_advisory_xact_lock(:lock)

-- name: missing_rights
-- Lists the rights that the database user lacks on the program's tables; asked once at the start.
-- plan: small
-- only: postgresql
-- returns: name text, privilege text
SELECT r.name, p.privilege FROM $rows(name text) CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE',
  'DELETE']) AS p(privilege)
WHERE to_regclass(r.name) IS NOT NULL AND NOT has_table_privilege(to_regclass(r.name), p.privilege)

-- name: write_probe_upsert
-- Writes about as much as one message takes, to find out whether the database has room.
-- plan: small
-- takes: now int, filler text
INSERT INTO write_probe (no, at, filler) VALUES (1, :now, :filler)
ON CONFLICT (no) DO UPDATE SET at = excluded.at, filler = excluded.filler

-- name: notify
-- Sends a wake-up hint to all processes that listen.
-- plan: small
-- only: postgresql
-- takes: channel text, payload text
SELECT pg_notify(:channel, :payload)
