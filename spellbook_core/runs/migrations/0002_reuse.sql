-- What outputs were made from, so that they can be used again and a later difference can be told.

ALTER TABLE block_runs ADD COLUMN fingerprint TEXT;
ALTER TABLE block_runs ADD COLUMN reused_from INTEGER;

-- The newest execution with each fingerprint of a block. Complete in itself: the run may be deleted.
CREATE TABLE fingerprints (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    block TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    run_id INTEGER NOT NULL,
    block_run_id INTEGER NOT NULL,
    made_at TEXT NOT NULL,
    parts TEXT NOT NULL,
    recorded TEXT NOT NULL,
    outputs TEXT NOT NULL,
    tests TEXT NOT NULL,
    warnings TEXT NOT NULL
);
CREATE UNIQUE INDEX fingerprints_by_block ON fingerprints (project, pipeline, block, fingerprint);

-- What a digest in `parts` stands for: the modules that a block reached, the top-level names of a module.
CREATE TABLE meanings (
    digest TEXT PRIMARY KEY,
    meaning TEXT NOT NULL
);
