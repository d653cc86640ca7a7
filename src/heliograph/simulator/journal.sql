-- One file for one simulated network. Changes are appended to `log` as whole batches and folded into the tables later,
-- many at once, so that an index page is written once for many rows. A read folds first.

-- name: schema
-- Tables and indexes of a new file.
CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, size INTEGER NOT NULL, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS messages (
  no INTEGER PRIMARY KEY, device TEXT NOT NULL, number TEXT NOT NULL, chat_id TEXT NOT NULL, message_id TEXT NOT NULL,
  behaviour TEXT NOT NULL, since_us INTEGER NOT NULL, next_us INTEGER NOT NULL, owed INTEGER NOT NULL,
  ack INTEGER NOT NULL, received_at_us INTEGER NOT NULL, content TEXT NOT NULL, quoted_id TEXT,
  transmissions INTEGER NOT NULL DEFAULT 1, shown INTEGER NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX IF NOT EXISTS message_once ON messages (message_id, number, chat_id);
CREATE INDEX IF NOT EXISTS message_chat ON messages (chat_id, no);
CREATE INDEX IF NOT EXISTS message_number ON messages (number, no);
CREATE INDEX IF NOT EXISTS message_owed ON messages (device, no) WHERE owed > 0;
CREATE TABLE IF NOT EXISTS turns (
  message_id TEXT NOT NULL, number TEXT NOT NULL, chat_id TEXT NOT NULL, times INTEGER NOT NULL,
  PRIMARY KEY (message_id, number, chat_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS devices (
  device TEXT PRIMARY KEY, number TEXT NOT NULL, trouble TEXT, until_us INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS device_number ON devices (number);
CREATE TABLE IF NOT EXISTS post (
  no INTEGER PRIMARY KEY AUTOINCREMENT, device TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS post_device ON post (device, no);
CREATE TABLE IF NOT EXISTS contacts (chat_id TEXT PRIMARY KEY, behaviour TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- name: append
-- Appends one batch to the log.
INSERT INTO log (kind, size, body) VALUES (:kind, :size, :body);

-- name: log_page
-- Oldest entries of the log.
SELECT id, kind, size, body FROM log ORDER BY id LIMIT 200;

-- name: log_size
-- Number of messages in the log.
SELECT coalesce(sum(size), 0) FROM log;

-- name: log_trim
-- Removes folded entries.
DELETE FROM log WHERE id <= :id;

-- name: fold_arrivals
-- A repeated id is counted, and shown again only where ids are not honoured (66).
INSERT INTO messages (no, device, number, chat_id, message_id, behaviour, since_us, next_us, owed, ack, received_at_us,
                      content, quoted_id)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
       json_extract(value, '$[6]'), json_extract(value, '$[7]'),
       json_extract(value, '$[8]'), json_extract(value, '$[9]'), json_extract(value, '$[10]'),
       json_extract(value, '$[11]'), json_extract(value, '$[12]')
FROM json_each(:body) WHERE true
ON CONFLICT (message_id, number, chat_id)
DO UPDATE SET transmissions = transmissions + 1, shown = shown + (excluded.behaviour = '66');

-- name: fold_settled
-- `owed` steps are left; `next` is the delay of the first of them. What is known never goes down.
UPDATE messages SET
  ack = max(ack, json_extract(:body, '$.ack')),
  next_us = CASE WHEN owed > (json_extract(:body, '$.owed'))
    THEN since_us + (json_extract(:body, '$.next')) ELSE next_us END,
  owed = min(owed, json_extract(:body, '$.owed'))
WHERE no IN (SELECT value FROM json_each(:body, '$.nos'));

-- name: last_no
-- Highest message number.
SELECT coalesce(max(no), 0) FROM messages;

-- name: messages
-- Messages of some devices, or of all.
SELECT message_id, number, chat_id, content, quoted_id, received_at_us, transmissions, shown, ack FROM messages
WHERE (:devices IS NULL OR device IN (SELECT value FROM json_each(:devices))) ORDER BY no LIMIT :limit;

-- name: messages_of_chat
-- Messages of one chat.
SELECT message_id, number, chat_id, content, quoted_id, received_at_us, transmissions, shown, ack FROM messages
WHERE chat_id = :chat_id
AND (:devices IS NULL OR device IN (SELECT value FROM json_each(:devices))) ORDER BY no LIMIT :limit;

-- name: messages_of_number
-- Messages of one number.
SELECT message_id, number, chat_id, content, quoted_id, received_at_us, transmissions, shown, ack FROM messages
WHERE number = :number
AND (:devices IS NULL OR device IN (SELECT value FROM json_each(:devices))) ORDER BY no LIMIT :limit;

-- name: messages_of_chat_and_number
-- Messages of one number in one chat.
SELECT message_id, number, chat_id, content, quoted_id, received_at_us, transmissions, shown, ack FROM messages
WHERE chat_id = :chat_id AND number = :number
AND (:devices IS NULL OR device IN (SELECT value FROM json_each(:devices))) ORDER BY no LIMIT :limit;

-- name: owed_page
-- Messages of a device with a step that is due.
SELECT no, chat_id, message_id, behaviour, since_us, owed FROM messages
WHERE device = :device AND owed > 0 AND no > :after AND next_us <= :now ORDER BY no LIMIT :limit;

-- name: owed_later
-- Messages with a step that is not due yet.
SELECT no, device, chat_id, message_id, behaviour, since_us, owed FROM messages WHERE owed > 0 AND next_us > :now;

-- name: body
-- Text of a message.
SELECT json_extract(content, '$.body') FROM messages WHERE no = :no;

-- name: known_chat
-- One row if the number has written to the chat.
SELECT 1 FROM messages WHERE chat_id = :chat_id AND number = :number LIMIT 1;

-- name: last_writer
-- Device that wrote to a chat last.
SELECT device, number FROM messages
WHERE chat_id = :chat_id AND (:devices IS NULL OR device IN (SELECT value FROM json_each(:devices)))
ORDER BY no DESC LIMIT 1;

-- name: senders
-- Devices that sent a message id.
SELECT no, device FROM messages WHERE message_id = :message_id;

-- name: hand_ack
-- Sets an ack level by hand.
UPDATE messages SET ack = CASE WHEN :ack < 0 THEN :ack ELSE max(ack, :ack) END WHERE no = :no;

-- name: turn
-- Counts an arrival of a message.
INSERT INTO turns (message_id, number, chat_id, times) VALUES (:message_id, :number, :chat_id, 1)
ON CONFLICT (message_id, number, chat_id) DO UPDATE SET times = times + 1 RETURNING times;

-- name: devices
-- Devices in trouble.
SELECT device, trouble, until_us FROM devices WHERE trouble IS NOT NULL;

-- name: devices_of
-- Devices of a number.
SELECT device FROM devices
WHERE number = :number AND (:devices IS NULL OR device IN (SELECT value FROM json_each(:devices)));

-- name: numbers
-- Up to two numbers, enough to tell one from many.
SELECT DISTINCT number FROM devices WHERE :devices IS NULL OR device IN (SELECT value FROM json_each(:devices)) LIMIT 2;

-- name: see_device
-- Keeps the number of a device.
INSERT INTO devices (device, number) VALUES (:device, :number)
ON CONFLICT (device) DO UPDATE SET number = excluded.number;

-- name: trouble
-- Begins a trouble of a device.
INSERT INTO devices (device, number, trouble, until_us) VALUES (:device, :number, :trouble, :until_us)
ON CONFLICT (device) DO UPDATE SET trouble = excluded.trouble, until_us = excluded.until_us;

-- name: trouble_over
-- Ends the trouble of a device.
UPDATE devices SET trouble = NULL, until_us = NULL WHERE device = :device;

-- name: mail
-- Keeps an inbound message or receipt for a device.
INSERT INTO post (device, kind, body) VALUES (:device, :kind, :body);

-- name: mail_page
-- Oldest mail of a device.
SELECT no, kind, body FROM post WHERE device = :device ORDER BY no LIMIT 200;

-- name: mail_confirm
-- Removes confirmed mail.
DELETE FROM post WHERE no IN (SELECT value FROM json_each(:nos));

-- name: contacts
-- Behaviours that were given to contacts.
SELECT chat_id, behaviour FROM contacts;

-- name: set_contact
-- Gives a contact a behaviour.
INSERT INTO contacts (chat_id, behaviour) VALUES (:chat_id, :behaviour)
ON CONFLICT (chat_id) DO UPDATE SET behaviour = excluded.behaviour;

-- name: drop_contact
-- Takes the behaviour of a contact back.
DELETE FROM contacts WHERE chat_id = :chat_id;

-- name: setting
-- Value of a setting.
SELECT value FROM settings WHERE name = :name;

-- name: set_setting
-- Writes a setting.
INSERT INTO settings (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: empty_messages
-- Removes messages.
DELETE FROM messages WHERE :devices IS NULL OR device IN (SELECT value FROM json_each(:devices));

-- name: empty_turns
-- Before its messages. A turn of a message that never came through stays, unless all go: it meets nobody else.
DELETE FROM turns WHERE :devices IS NULL OR (message_id, number, chat_id) IN (
  SELECT message_id, number, chat_id FROM messages WHERE device IN (SELECT value FROM json_each(:devices)));

-- name: empty_post
-- Removes mail.
DELETE FROM post WHERE :devices IS NULL OR device IN (SELECT value FROM json_each(:devices));
