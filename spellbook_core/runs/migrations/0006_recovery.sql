-- Runs that repeat an earlier one, and what every run needs to go on without its files.

ALTER TABLE pipeline_runs ADD COLUMN again TEXT;
-- The pipeline's variables as they were when the run began; NULL in runs of earlier versions.
ALTER TABLE pipeline_runs ADD COLUMN pipeline_variables TEXT;
