"""Parts of the pipelines screen."""
