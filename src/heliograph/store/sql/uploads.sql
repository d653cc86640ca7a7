-- name: upload_find
-- Finds the id of an uploaded file that has not expired.
-- plan: small
-- takes: phone_no int, sha256 text, mimetype text, now int
-- returns: media_id text
SELECT media_id FROM uploads
WHERE phone_no = :phone_no AND sha256 = :sha256 AND mimetype = :mimetype AND expires_at > :now

-- name: upload_upsert
-- Stores an upload; the newest one counts.
-- plan: small
-- takes: phone_no int, sha256 text, mimetype text, media_id text, expires_at int
INSERT INTO uploads (phone_no, sha256, mimetype, media_id, expires_at)
VALUES (:phone_no, :sha256, :mimetype, :media_id, :expires_at)
ON CONFLICT (phone_no, sha256, mimetype) DO UPDATE SET media_id = excluded.media_id, expires_at = excluded.expires_at

-- name: uploads_prune
-- Deletes a phone's uploads that have expired.
-- plan: small
-- takes: phone_no int, now int
DELETE FROM uploads WHERE phone_no = :phone_no AND expires_at <= :now

-- name: upload_delete
-- Deletes an upload that the network does not know any more.
-- plan: small
-- takes: phone_no int, sha256 text, mimetype text
DELETE FROM uploads WHERE phone_no = :phone_no AND sha256 = :sha256 AND mimetype = :mimetype
