"""The script that Streamlit runs for every page view; everything it does is in `shell`."""

from spellbook_core.ui import shell, streamlit_mends

streamlit_mends.install()
shell.main()
