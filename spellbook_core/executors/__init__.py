"""Where attempts run: `process` for work, `inline` for tests of the runner."""
