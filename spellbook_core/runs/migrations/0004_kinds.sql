-- Blocks that run once per item, and blocks that hang on another one.

-- Which child of its block a row is, as `3` or `0:2`; empty for a block that runs once, and for the block as a whole.
ALTER TABLE block_runs ADD COLUMN child TEXT NOT NULL DEFAULT '';
-- Of a condition or callback: the block it belongs to.
ALTER TABLE block_runs ADD COLUMN hangs_on TEXT NOT NULL DEFAULT '';
-- Of a block that runs once per item: the names of its children as JSON, once they are known.
ALTER TABLE block_runs ADD COLUMN children TEXT;
