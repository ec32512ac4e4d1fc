"""Spellbook's page: `streamlit run app.py`, or `python app.py`.

Serves this file's folder, or the one that SPELLBOOK_WORKSPACE names; `spellbook start` serves any folder.
"""

from pathlib import Path

import streamlit as st

from spellbook_core.serve import app_options, run

app = st.App(**app_options(Path(__file__).resolve().parent))

if __name__ == "__main__":
    run(app)
