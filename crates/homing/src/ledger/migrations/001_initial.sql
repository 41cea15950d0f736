-- An index of the jobs, made from their directories, and the truth about follow-ups.

CREATE TABLE jobs (
    -- Order in which jobs were asked for: does not depend on the wall clock.
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    session      TEXT NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('starting', 'running', 'finished')),
    -- Milliseconds since the epoch.
    ended_at     INTEGER,
    -- The documents of the job directory: spec.json, and the slots of the record.
    spec         TEXT NOT NULL,
    started      TEXT,
    finished     TEXT,
    -- Bytes of output that are there.
    output_kept  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX jobs_of_session ON jobs (session, seq);
CREATE INDEX jobs_unfinished ON jobs (seq) WHERE state <> 'finished';
CREATE INDEX jobs_finished ON jobs (ended_at) WHERE state = 'finished';

CREATE TABLE follow_ups (
    job             INTEGER PRIMARY KEY REFERENCES jobs (seq) ON DELETE CASCADE,
    state           TEXT NOT NULL CHECK
        (state IN ('waiting', 'pending', 'handed_off', 'acknowledged', 'suppressed', 'dead')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    next_attempt_at INTEGER,
    last_error      TEXT
) STRICT;

-- In the order of jobs, so that the newest are read without sorting all of them.
CREATE INDEX follow_ups_open ON follow_ups (job) WHERE state IN ('pending', 'handed_off', 'dead');

CREATE TABLE facts (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
