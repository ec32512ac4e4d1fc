"""The history of runs: the run store behind its protocol, and readers of the logs and metrics of attempts."""
