"""Parts of the runs screen and of one run's page."""
