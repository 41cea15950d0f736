-- Wakes: one message for one session each, with what came of every attempt to deliver it.

CREATE TABLE wakes (
    -- Order of making: within a session also the order of delivery.
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    session      TEXT NOT NULL,
    -- Name of the sink it was made for.
    sink         TEXT NOT NULL,
    state        TEXT NOT NULL CHECK
        (state IN ('scheduled', 'in_flight', 'handed_off', 'delivered', 'dead', 'settled')),
    -- Times are milliseconds since the epoch.
    created_at   INTEGER NOT NULL,
    -- The content, written once: what the agent reads, the ids of the jobs and their documents (JSON arrays).
    text         TEXT NOT NULL,
    job_ids      TEXT NOT NULL,
    jobs         TEXT NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    busy_answers INTEGER NOT NULL DEFAULT 0,
    next_at      INTEGER,
    since        INTEGER NOT NULL,
    last_error   TEXT
) STRICT;

CREATE INDEX wakes_of_session ON wakes (session, seq);
CREATE INDEX wakes_open ON wakes (session, seq) WHERE state IN ('scheduled', 'in_flight', 'handed_off');

-- Which jobs a wake tells of: all wakes that ever did, so that the history of a job can be shown.
CREATE TABLE wake_jobs (
    job  INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    wake INTEGER NOT NULL REFERENCES wakes (seq) ON DELETE CASCADE,
    PRIMARY KEY (job, wake)
) STRICT, WITHOUT ROWID;

CREATE INDEX jobs_of_wake ON wake_jobs (wake);

CREATE TABLE attempts (
    wake       INTEGER NOT NULL REFERENCES wakes (seq) ON DELETE CASCADE,
    -- 1 for the first. A busy answer uses no number up: the next attempt takes its place.
    number     INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    result     TEXT,
    error      TEXT,
    PRIMARY KEY (wake, number)
) STRICT, WITHOUT ROWID;

-- Why follow-ups that no wake carries are not told yet.
CREATE TABLE held_sessions (
    session TEXT PRIMARY KEY,
    until   INTEGER,
    reason  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The wake that carries a follow-up now; it knows about attempts.
ALTER TABLE follow_ups ADD COLUMN wake INTEGER REFERENCES wakes (seq) ON DELETE SET NULL;
ALTER TABLE follow_ups DROP COLUMN attempts;
ALTER TABLE follow_ups DROP COLUMN next_attempt_at;
ALTER TABLE follow_ups DROP COLUMN last_error;

-- A job never changes its session; with it here, what a session is owed is found without looking at its other jobs.
ALTER TABLE follow_ups ADD COLUMN session TEXT NOT NULL DEFAULT '';
UPDATE follow_ups SET session = (SELECT session FROM jobs WHERE jobs.seq = follow_ups.job);

CREATE INDEX follow_ups_untold ON follow_ups (session, job) WHERE state = 'pending' AND wake IS NULL;
CREATE INDEX follow_ups_of_wake ON follow_ups (wake) WHERE wake IS NOT NULL;
