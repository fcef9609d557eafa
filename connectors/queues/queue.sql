CREATE TABLE IF NOT EXISTS queue (
    name TEXT PRIMARY KEY
) WITHOUT ROWID;

-- One row per message; place is the order within and across queues and is never used twice.
CREATE TABLE IF NOT EXISTS message (
    place        INTEGER PRIMARY KEY AUTOINCREMENT,
    queue        TEXT NOT NULL,
    id           TEXT NOT NULL,
    content_type TEXT NOT NULL,
    headers      TEXT NOT NULL,
    size         INTEGER NOT NULL,
    digest       BLOB NOT NULL,
    enqueued     REAL NOT NULL,
    spool        TEXT,
    body         BLOB
);
CREATE UNIQUE INDEX IF NOT EXISTS message_once ON message (queue, id);
CREATE INDEX IF NOT EXISTS message_order ON message (queue, place, enqueued);
CREATE INDEX IF NOT EXISTS message_spool ON message (spool) WHERE spool IS NOT NULL;

-- Messages whose payload was damaged on the disk: kept for a person, never handed out again.
CREATE TABLE IF NOT EXISTS damaged (
    place   INTEGER PRIMARY KEY,
    queue   TEXT NOT NULL,
    id      TEXT NOT NULL,
    headers TEXT NOT NULL,
    spool   TEXT,
    reason  TEXT NOT NULL,
    at      REAL NOT NULL
);
