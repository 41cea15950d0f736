-- What decides which sink delivers a follow-up stands beside it, so that a decision reads a few rows of one index,
-- however many follow-ups of the session are undelivered.

-- The harness that the job was launched from, and the sink that it names; empty where there is none.
ALTER TABLE follow_ups ADD COLUMN harness TEXT NOT NULL DEFAULT '';
ALTER TABLE follow_ups ADD COLUMN sink TEXT NOT NULL DEFAULT '';
-- When the job ended: the order of delivery.
ALTER TABLE follow_ups ADD COLUMN ended_at INTEGER;

UPDATE follow_ups SET
    harness = coalesce((SELECT spec ->> '$.harness' FROM jobs WHERE jobs.seq = follow_ups.job), ''),
    sink = coalesce((SELECT spec ->> '$.sink' FROM jobs WHERE jobs.seq = follow_ups.job), ''),
    ended_at = (SELECT ended_at FROM jobs WHERE jobs.seq = follow_ups.job);

DROP INDEX follow_ups_untold;
CREATE INDEX follow_ups_by_route ON follow_ups (session, sink, harness, ended_at, job)
    WHERE state = 'pending' AND wake IS NULL;

-- Why follow-ups that no wake carries are not delivered yet: those of one session that take the same route.
DROP TABLE held_sessions;
CREATE TABLE holds (
    session TEXT NOT NULL,
    sink    TEXT NOT NULL,
    harness TEXT NOT NULL,
    until   INTEGER,
    reason  TEXT NOT NULL,
    PRIMARY KEY (session, sink, harness)
) STRICT, WITHOUT ROWID;

-- Whether a wake counts against the budget of its session: not where its sink was removed and another wake took its place.
ALTER TABLE wakes ADD COLUMN counts INTEGER NOT NULL DEFAULT 1;
