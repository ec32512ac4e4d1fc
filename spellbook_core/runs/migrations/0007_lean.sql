-- Fewer pages of the file change with each block that ends.

-- Found by its key only: a table that is its own index.
CREATE TABLE attempts_by_key (
    block_run_id INTEGER NOT NULL REFERENCES block_runs (id),
    attempt INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    handle TEXT,
    pid INTEGER,
    process_started TEXT,
    boot_id TEXT,
    ended_at TEXT,
    duration_s REAL,
    error TEXT,
    PRIMARY KEY (block_run_id, attempt)
) WITHOUT ROWID;
INSERT INTO attempts_by_key SELECT block_run_id, attempt, created_at, handle, pid, process_started, boot_id, ended_at,
    duration_s, error FROM attempts;
DROP TABLE attempts;
ALTER TABLE attempts_by_key RENAME TO attempts;

-- Only a clean-up asked for it, which reads all fingerprints anyway.
DROP INDEX fingerprints_by_block_run;
