"""One module per screen, each with `render()`; the shell imports it when it is shown."""
