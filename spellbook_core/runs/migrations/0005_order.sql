-- Which run goes first, what a queued run waits for, and what housekeeping has taken away.

ALTER TABLE pipeline_runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pipeline_runs ADD COLUMN waiting_for TEXT;
ALTER TABLE pipeline_runs ADD COLUMN outputs_removed_at TEXT;

-- A woken engine reads what is new and what shall end, not every run that waits.
CREATE INDEX pipeline_runs_asked_to_end ON pipeline_runs (id) WHERE is_ended = 0 AND cancel_requested_at IS NOT NULL;

-- The run list counts and pages by these without reading rows that it does not show.
CREATE INDEX pipeline_runs_by_kind ON pipeline_runs (project, trigger_kind, status, pipeline, id);
CREATE INDEX fingerprints_by_block_run ON fingerprints (block_run_id);
