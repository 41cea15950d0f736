-- A host that delivers a wake itself leases it. The lease ends at a stored time, whatever happens to the host.

-- The lease of a wake in flight. Without one, a sink has the wake.
ALTER TABLE wakes ADD COLUMN lease TEXT;
-- The name of the host, for people.
ALTER TABLE wakes ADD COLUMN lease_holder TEXT;
-- Milliseconds since the epoch.
ALTER TABLE wakes ADD COLUMN lease_expires_at INTEGER;

-- Which lease an attempt had, so that a repeated answer is recognised, and its holder.
ALTER TABLE attempts ADD COLUMN lease TEXT;
ALTER TABLE attempts ADD COLUMN holder TEXT;

-- The column sink of wakes is empty where no sink was found: only a claim delivers the wake.

-- Whether the monitor has still to tell a person that the wake is dead. Hosts and hooks also give wakes up.
ALTER TABLE wakes ADD COLUMN unannounced INTEGER NOT NULL DEFAULT 0;
CREATE INDEX wakes_unannounced ON wakes (seq) WHERE unannounced <> 0;
