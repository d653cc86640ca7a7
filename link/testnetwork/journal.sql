CREATE TABLE IF NOT EXISTS linked_settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS linked_contacts (chat_id TEXT PRIMARY KEY, behaviour TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS linked_people (
    number TEXT PRIMARY KEY, lid TEXT NOT NULL UNIQUE, passkey INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS linked_devices (
    number TEXT NOT NULL, device INTEGER NOT NULL, noise BLOB NOT NULL, identity BLOB NOT NULL,
    registration INTEGER NOT NULL, signed_id INTEGER NOT NULL, signed_key BLOB NOT NULL, signature BLOB NOT NULL,
    system TEXT NOT NULL, linked_at_us INTEGER NOT NULL, gone INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (number, device)
);
CREATE TABLE IF NOT EXISTS linked_prekeys (
    number TEXT NOT NULL, device INTEGER NOT NULL, id INTEGER NOT NULL, key BLOB NOT NULL,
    PRIMARY KEY (number, device, id)
);
CREATE TABLE IF NOT EXISTS linked_messages (
    no INTEGER PRIMARY KEY, number TEXT NOT NULL, chat_id TEXT NOT NULL, message_id TEXT NOT NULL,
    type TEXT NOT NULL, body TEXT NOT NULL, media TEXT, poll TEXT, extra TEXT, quoted_id TEXT, target_id TEXT,
    secret BLOB, received_at_us INTEGER NOT NULL, transmissions INTEGER NOT NULL DEFAULT 1,
    shown INTEGER NOT NULL DEFAULT 1, ack INTEGER NOT NULL DEFAULT 0, device INTEGER NOT NULL,
    edited INTEGER NOT NULL DEFAULT 0, revoked INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX IF NOT EXISTS linked_messages_key ON linked_messages (message_id, number, chat_id);
CREATE INDEX IF NOT EXISTS linked_messages_chat ON linked_messages (chat_id, number);
CREATE INDEX IF NOT EXISTS linked_messages_number ON linked_messages (number);
CREATE TABLE IF NOT EXISTS linked_turns (
    number TEXT NOT NULL, chat_id TEXT NOT NULL, message_id TEXT NOT NULL, times INTEGER NOT NULL,
    PRIMARY KEY (message_id, number, chat_id)
);
CREATE TABLE IF NOT EXISTS linked_due (
    no INTEGER PRIMARY KEY, due_ms INTEGER NOT NULL, message_no INTEGER NOT NULL, ack INTEGER NOT NULL, reply TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS linked_due_time ON linked_due (due_ms);
CREATE TABLE IF NOT EXISTS linked_outbox (
    no INTEGER PRIMARY KEY AUTOINCREMENT, number TEXT NOT NULL, device INTEGER NOT NULL, key TEXT NOT NULL, stanza BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS linked_outbox_device ON linked_outbox (number, device, key);
CREATE TABLE IF NOT EXISTS linked_inbound (
    message_id TEXT NOT NULL, number TEXT NOT NULL, chat_id TEXT NOT NULL, author TEXT NOT NULL,
    body BLOB NOT NULL, kind TEXT NOT NULL, acked INTEGER NOT NULL DEFAULT 0, read INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (message_id, number)
);
CREATE TABLE IF NOT EXISTS linked_held (number TEXT PRIMARY KEY, trouble TEXT NOT NULL, until_ms INTEGER);
CREATE TABLE IF NOT EXISTS linked_groups (chat_id TEXT PRIMARY KEY, subject TEXT NOT NULL, created_s INTEGER NOT NULL, owner TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS linked_members (
    chat_id TEXT NOT NULL, number TEXT NOT NULL, admin INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (chat_id, number)
);
CREATE TABLE IF NOT EXISTS linked_media (path TEXT PRIMARY KEY, body BLOB NOT NULL);
