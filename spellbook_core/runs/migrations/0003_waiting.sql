-- Block runs that will run again later, and how each of their earlier attempts ended.

ALTER TABLE block_runs ADD COLUMN waiting_for TEXT;
ALTER TABLE block_runs ADD COLUMN waiting_since TEXT;
ALTER TABLE block_runs ADD COLUMN due_at TEXT;
ALTER TABLE block_runs ADD COLUMN retried INTEGER NOT NULL DEFAULT 0;
ALTER TABLE block_runs ADD COLUMN first_started_at TEXT;

-- Of attempts that were followed by another one; the newest attempt's end is the block run's.
ALTER TABLE attempts ADD COLUMN ended_at TEXT;
ALTER TABLE attempts ADD COLUMN duration_s REAL;
ALTER TABLE attempts ADD COLUMN error TEXT;
