-- name: write_probe_upsert
-- plan: small
-- A write of about the size of a message, to find out whether there is room for one.
INSERT INTO write_probe (no, at, filler) VALUES (1, :now, :filler)
ON CONFLICT (no) DO UPDATE SET at = excluded.at, filler = excluded.filler
