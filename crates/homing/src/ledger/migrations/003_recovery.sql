-- What is left to do for a job whose supervisor died: 'not_recorded' or 'not_searched'.
ALTER TABLE jobs ADD COLUMN recovery TEXT;
CREATE INDEX jobs_needing_recovery ON jobs (seq) WHERE recovery IS NOT NULL;
