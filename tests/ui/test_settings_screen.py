"""The settings screen: health, versions, where state lies; never the token."""

from __future__ import annotations

from tests.conftest import make_project
from tests.ui.conftest import texts


def test_settings_show_state_and_versions(open_screen, tmp_path):
    make_project(tmp_path)
    app = open_screen("settings")
    shown = texts(app)
    assert "streamlit" in shown
    assert "Run store" in shown
    assert app.button(key="engine_start_here")


def test_the_token_is_never_on_the_page(open_screen, tmp_path, workspace):
    make_project(tmp_path)
    workspace.token_path.write_text("sesame-sesame-sesame")
    app = open_screen("settings")
    assert "token" in texts(app)
    assert "sesame" not in texts(app)
