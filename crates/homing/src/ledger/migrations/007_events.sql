-- The log of events: a row is written in the transaction of the change that it reports, and never changed. Jobs and
-- wakes are named by their ids, because the log keeps what it says about those that are deleted.

CREATE TABLE events (
    -- Order of recording. The oldest rows are deleted, and never the newest one, so no number is given twice.
    seq           INTEGER PRIMARY KEY,
    type          TEXT NOT NULL,
    -- Milliseconds since the epoch.
    occurred_at   INTEGER NOT NULL,
    recorded_at   INTEGER NOT NULL,
    session       TEXT,
    job           TEXT,
    wake          TEXT,
    -- Who caused it.
    actor         TEXT NOT NULL,
    actor_uid     INTEGER,
    actor_pid     INTEGER,
    actor_session TEXT,
    actor_token   TEXT,
    actor_program TEXT,
    -- What the type does not say, as a JSON object.
    detail        TEXT
) STRICT;
