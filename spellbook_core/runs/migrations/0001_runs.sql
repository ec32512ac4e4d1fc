-- Runs, block runs, attempts, the code they ran, and the engine's lease.
-- Times are UTC text of fixed width (clock.to_text), which sorts as time does. Keys are integers, never used again.

CREATE TABLE pipeline_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    status TEXT NOT NULL,
    is_ended INTEGER NOT NULL DEFAULT 0,
    trigger_kind TEXT NOT NULL,
    selection TEXT NOT NULL,
    variables TEXT NOT NULL,
    request_id TEXT,
    owner TEXT,
    execution_date TEXT NOT NULL,
    created_at TEXT NOT NULL,
    cancel_requested_at TEXT,
    started_at TEXT,
    ended_at TEXT,
    error TEXT,
    blocks_total INTEGER NOT NULL DEFAULT 0,
    blocks_done INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX pipeline_runs_by_request ON pipeline_runs (request_id);
CREATE INDEX pipeline_runs_by_place ON pipeline_runs (project, pipeline, id);
CREATE INDEX pipeline_runs_by_status ON pipeline_runs (status, id);
CREATE INDEX pipeline_runs_unended ON pipeline_runs (is_ended, id);

CREATE TABLE code (
    code_hash TEXT PRIMARY KEY,
    source TEXT NOT NULL
);

CREATE TABLE block_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id INTEGER NOT NULL REFERENCES pipeline_runs (id),
    block TEXT NOT NULL,
    block_type TEXT NOT NULL,
    status TEXT NOT NULL,
    position INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL,
    code_hash TEXT NOT NULL,
    spec TEXT NOT NULL,
    queued_at TEXT,
    started_at TEXT,
    ended_at TEXT,
    duration_s REAL,
    cpu_s REAL,
    peak_memory_bytes INTEGER,
    outputs TEXT NOT NULL DEFAULT '[]',
    tests TEXT NOT NULL DEFAULT '[]',
    warnings TEXT NOT NULL DEFAULT '[]',
    error TEXT,
    reused INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX block_runs_by_run ON block_runs (run_id, position);

-- One row per attempt, written before its process exists; the process is added once it is known.
CREATE TABLE attempts (
    block_run_id INTEGER NOT NULL REFERENCES block_runs (id),
    attempt INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    handle TEXT,
    pid INTEGER,
    process_started TEXT,
    boot_id TEXT,
    PRIMARY KEY (block_run_id, attempt)
);

-- The newest block run of each block and the newest that completed: a notebook of any age opens with one short read.
CREATE TABLE block_heads (
    project TEXT NOT NULL,
    pipeline TEXT NOT NULL,
    block TEXT NOT NULL,
    newest_id INTEGER NOT NULL,
    completed_id INTEGER,
    PRIMARY KEY (project, pipeline, block)
);

CREATE TABLE engine (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    pid INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    version TEXT NOT NULL,
    started_at TEXT NOT NULL,
    heartbeat_at TEXT NOT NULL,
    workers INTEGER NOT NULL
);
