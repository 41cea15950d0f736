-- Finds failed jobs without reading the documents of all jobs. The condition repeats that of the query.
CREATE INDEX jobs_failed ON jobs (seq)
    WHERE state = 'finished' AND coalesce(finished ->> '$.outcome.exit_code', 1) <> 0;
