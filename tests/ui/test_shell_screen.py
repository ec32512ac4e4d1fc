"""The frame around the screens: first use, unknown projects, our own faults, the engine's banner."""

from __future__ import annotations

import pytest

from spellbook_core.ui import engine_watch
from tests.conftest import chain, make_project
from tests.ui.conftest import texts


def test_empty_workspace_welcomes(open_screen):
    app = open_screen()
    assert "Welcome to Spellbook" in texts(app)
    assert app.button(key="first_project_create")
    assert not app.exception


def test_unknown_project_is_one_message(open_screen, tmp_path):
    make_project(tmp_path)
    app = open_screen("runs", project="other")
    assert "SB\\-SYS\\-002" in app.error[0].value
    assert not app.exception


def test_project_comes_from_the_address(open_screen, tmp_path):
    make_project(tmp_path, name="alpha")
    make_project(tmp_path, name="beta")
    app = open_screen("", project="beta")
    assert app.selectbox(key="project_switch").value == "beta"


def test_korean_project_is_shown(open_screen, tmp_path):
    make_project(tmp_path, name="매출 예측", blocks=chain(2))
    app = open_screen()
    assert app.selectbox(key="project_switch").value == "매출 예측"
    assert not app.error


@pytest.mark.parametrize("route", ["", "runs", "library", "files", "settings", "run"])
def test_every_screen_opens_on_an_empty_project(open_screen, tmp_path, route):
    make_project(tmp_path)
    (tmp_path / "projects/demo/pipelines/main/metadata.yaml").unlink()
    (tmp_path / "projects/demo/pipelines/main").rmdir()
    app = open_screen(route)
    assert not app.exception
    assert "our fault" not in texts(app)


def test_our_own_fault_stays_calm(open_screen, tmp_path, monkeypatch):
    """A bug shows an id and the log, never a trace; the trace is in the log."""
    make_project(tmp_path)
    monkeypatch.setattr("spellbook_core.ui.screens.pipelines.render", lambda: 1 / 0)
    app = open_screen()
    assert not app.exception
    assert "our fault" in texts(app)
    assert "ZeroDivisionError" not in texts(app)
    assert "ZeroDivisionError" in (tmp_path / ".spellbook/ui.log").read_text()
    assert (tmp_path / ".spellbook/ui.log").stat().st_mode & 0o077 == 0


def test_stopped_engine_offers_a_start(open_screen, tmp_path, context):
    make_project(tmp_path)
    app = open_screen()
    engine_watch.watch(context).is_stopped = True
    app.run()
    assert app.button(key="engine_start")


@pytest.mark.guarantee("N19")
def test_hostile_names_are_inert_in_markdown(open_screen, tmp_path):
    """A pipeline's description with an image must not make the browser call out."""
    project = make_project(tmp_path, blocks=chain(1))
    file = project / "pipelines/main/metadata.yaml"
    file.write_text(file.read_text() + "description: '![x](http://127.0.0.1:9/canary) <img src=x>'\n")
    app = open_screen()
    assert "canary" in texts(app)
    assert "](" not in texts(app)
    assert "<img" not in texts(app).replace("\\<", "")
