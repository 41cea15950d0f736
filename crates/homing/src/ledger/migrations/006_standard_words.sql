-- States and tables get the names that the rest of the program uses.

-- A wake that nothing needs any more.
UPDATE wakes SET state = 'superseded' WHERE state = 'settled';
-- A hook of the session claimed the wake.
UPDATE attempts SET result = 'claimed' WHERE result = 'taken';

-- What the ledger notes about itself.
ALTER TABLE facts RENAME TO meta;
