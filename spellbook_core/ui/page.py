"""The script that Streamlit runs for every page view; everything it does is in `shell`."""

from spellbook_core.ui import shell, uninterrupted

uninterrupted.install()
shell.main()
