"""Parts of the files screen."""
