-- States are checked by the program, not by the tables: a row in a state that it does not know is left alone.
-- Tables are made anew because SQLite cannot drop a CHECK (https://sqlite.org/lang_altertable.html, section 7).
-- Foreign keys are off while this runs.

CREATE TABLE jobs_new (
    -- Order in which jobs were asked for: does not depend on the wall clock.
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    session      TEXT NOT NULL,
    state        TEXT NOT NULL,
    -- Milliseconds since the epoch.
    ended_at     INTEGER,
    -- The documents of the job directory: spec.json, and the slots of the record.
    spec         TEXT NOT NULL,
    started      TEXT,
    finished     TEXT,
    -- Bytes of output that are there.
    output_kept  INTEGER NOT NULL DEFAULT 0,
    -- What is left to do for a job whose supervisor died: 'not_recorded' or 'not_searched'.
    recovery     TEXT
) STRICT;

INSERT INTO jobs_new (seq, id, session, state, ended_at, spec, started, finished, output_kept, recovery)
    SELECT seq, id, session, state, ended_at, spec, started, finished, output_kept, recovery FROM jobs ORDER BY seq;

-- Numbers are never given twice, also where the newest jobs are gone.
DELETE FROM sqlite_sequence WHERE name = 'jobs_new';
INSERT INTO sqlite_sequence (name, seq) SELECT 'jobs_new', seq FROM sqlite_sequence WHERE name = 'jobs';

DROP TABLE jobs;
ALTER TABLE jobs_new RENAME TO jobs;

CREATE INDEX jobs_of_session ON jobs (session, seq);
CREATE INDEX jobs_unfinished ON jobs (seq) WHERE state <> 'finished';
CREATE INDEX jobs_finished ON jobs (ended_at) WHERE state = 'finished';
CREATE INDEX jobs_needing_recovery ON jobs (seq) WHERE recovery IS NOT NULL;

CREATE TABLE follow_ups_new (
    job        INTEGER PRIMARY KEY REFERENCES jobs (seq) ON DELETE CASCADE,
    -- A job never changes its session; with it here, what a session is owed is found without looking at its other jobs.
    session    TEXT NOT NULL,
    state      TEXT NOT NULL,
    -- The wake that carries it now; it knows about attempts.
    wake       INTEGER REFERENCES wakes (seq) ON DELETE SET NULL,
    -- Since when it is to be delivered: when the end was taken in, or when somebody asked for another attempt.
    due_at     INTEGER,
    -- When it was given up because it was undelivered for too long.
    expired_at INTEGER
) STRICT;

INSERT INTO follow_ups_new (job, session, state, wake, due_at)
    SELECT follow_ups.job, follow_ups.session, follow_ups.state, follow_ups.wake, jobs.ended_at
    FROM follow_ups JOIN jobs ON jobs.seq = follow_ups.job;

DROP TABLE follow_ups;
ALTER TABLE follow_ups_new RENAME TO follow_ups;

-- In the order of jobs, so that the newest are read without sorting all of them.
CREATE INDEX follow_ups_open ON follow_ups (job) WHERE state IN ('pending', 'handed_off', 'dead');
CREATE INDEX follow_ups_untold ON follow_ups (session, job) WHERE state = 'pending' AND wake IS NULL;
CREATE INDEX follow_ups_of_wake ON follow_ups (wake) WHERE wake IS NOT NULL;
-- What expires next, and what has.
CREATE INDEX follow_ups_undelivered ON follow_ups (due_at) WHERE state IN ('pending', 'handed_off');
CREATE INDEX follow_ups_expired ON follow_ups (expired_at) WHERE expired_at IS NOT NULL;

CREATE TABLE wakes_new (
    -- Order of making: within a session also the order of delivery.
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    session      TEXT NOT NULL,
    -- Name of the sink it was made for.
    sink         TEXT NOT NULL,
    state        TEXT NOT NULL,
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

INSERT INTO wakes_new SELECT seq, id, session, sink, state, created_at, text, job_ids, jobs, attempts, busy_answers,
    next_at, since, last_error FROM wakes ORDER BY seq;

DELETE FROM sqlite_sequence WHERE name = 'wakes_new';
INSERT INTO sqlite_sequence (name, seq) SELECT 'wakes_new', seq FROM sqlite_sequence WHERE name = 'wakes';

DROP TABLE wakes;
ALTER TABLE wakes_new RENAME TO wakes;

CREATE INDEX wakes_of_session ON wakes (session, seq);
CREATE INDEX wakes_open ON wakes (session, seq) WHERE state IN ('scheduled', 'in_flight', 'handed_off');
