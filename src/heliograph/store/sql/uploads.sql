-- name: upload_find
-- plan: small
-- The id of a file that is up and has not run out.
SELECT media_id FROM uploads
WHERE phone_no = :phone_no AND sha256 = :sha256 AND mimetype = :mimetype AND expires_at > :now

-- name: upload_keep
-- plan: small
-- The newest upload counts.
INSERT INTO uploads (phone_no, sha256, mimetype, media_id, expires_at)
VALUES (:phone_no, :sha256, :mimetype, :media_id, :expires_at)
ON CONFLICT (phone_no, sha256, mimetype) DO UPDATE SET media_id = excluded.media_id, expires_at = excluded.expires_at

-- name: uploads_prune
-- plan: small
-- A phone's uploads that have run out.
DELETE FROM uploads WHERE phone_no = :phone_no AND expires_at <= :now

-- name: upload_forget
-- plan: small
-- The network does not know it any more.
DELETE FROM uploads WHERE phone_no = :phone_no AND sha256 = :sha256 AND mimetype = :mimetype
