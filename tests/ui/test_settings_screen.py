"""The settings screen: health, versions, where state lies; never the token."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spellbook_core.model.run import NewRun, Status
from spellbook_core.runs.records import BlockEnd, BlockSpec, NewBlockRun
from spellbook_core.services import runs
from tests.conftest import chain, make_project
from tests.ui.conftest import texts


def test_settings_show_state_and_versions(open_screen, tmp_path):
    make_project(tmp_path)
    app = open_screen("settings")
    shown = texts(app)
    assert "streamlit" in shown
    assert "Run store" in shown
    assert app.button(key="engine_start_here")


def test_an_empty_workspace_has_settings_without_an_error(open_screen):
    app = open_screen("settings")
    assert "Run store" in texts(app)
    assert not app.error
    assert not app.exception


def test_the_token_is_never_on_the_page(open_screen, tmp_path, workspace):
    make_project(tmp_path)
    workspace.token_path.write_text("sesame-sesame-sesame")
    app = open_screen("settings")
    assert "token" in texts(app)
    assert "sesame" not in texts(app)


@pytest.mark.guarantee("N31")
def test_secrets_are_kept_and_removed_by_name_alone(open_screen, tmp_path):
    project = make_project(tmp_path)
    (project / ".env").write_text("OLD_TOKEN=sesame-sesame\nSTAGE=dev\n")
    app = open_screen("settings")
    assert "OLD_TOKEN" in texts(app)
    app.text_input(key="secret_name").input("API_KEY")
    app.text_input(key="secret_value").input("open-sesame-now")
    next(button for button in app.button if button.label == "Keep").click().run()
    assert not app.exception
    assert 'API_KEY="open-sesame-now"' in (project / ".env").read_text()
    app.button(key="secret_remove_OLD_TOKEN").click().run()
    assert "OLD_TOKEN" not in (project / ".env").read_text()
    assert "API_KEY" in texts(app)
    assert "sesame" not in texts(app)
    assert app.session_state["secret_value"] == ""


def test_secret_that_cannot_be_masked_is_refused(open_screen, tmp_path):
    project = make_project(tmp_path)
    app = open_screen("settings")
    app.text_input(key="secret_name").input("PIN")
    app.text_input(key="secret_value").input("12")
    next(button for button in app.button if button.label == "Keep").click().run()
    assert "cannot be kept" in app.error[0].value
    assert not (project / ".env").exists()


def test_disk_is_measured_and_cleaned_up_when_asked(open_screen, tmp_path, context):
    make_project(tmp_path, blocks=chain(1))
    old = context.clock.now() - timedelta(days=200)
    for at in (old, context.clock.now()):
        run = context.store.create_run(NewRun("demo", "main", "manual"), now=at)
        planned = NewBlockRun("b0", "data_loader", "", "", "h", BlockSpec())
        (number,) = context.store.begin_run(run.id, [planned], now=at)
        context.store.end_block(number, BlockEnd(Status.COMPLETED, at))
        context.store.end_run(run.id, Status.COMPLETED, None, now=at)
    folder = context.workspace.attempt_dir(1, 1, 1)
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text("x" * 5000)
    app = open_screen("settings")
    assert "Measure tells" in texts(app)
    assert app.button(key="disk_clean").disabled
    app.button(key="disk_measure").click().run()
    assert "Clean up would free" in texts(app)
    app.button(key="disk_clean").click().run()
    assert not app.exception
    assert "Freed" in texts(app)
    assert [run.id for run in context.store.upkeep.ended_runs()] == [2]


def test_odd_names_of_secrets_are_shown_as_letters(open_screen, tmp_path):
    project = make_project(tmp_path)
    (project / ".env").write_text("<img src onerror>=sesame-sesame\n:red[x]=sesame-sesame\n")
    (project / "io_config.yaml").write_text("a:\n  DB_PASSWORD: sesame-one\nb:\n  DB_PASSWORD: sesame-two\n")
    app = open_screen("settings")
    assert not app.exception
    shown = texts(app)
    assert "`<img src onerror>`" in shown
    assert "`:red[x]`" in shown
    assert shown.count("DB_PASSWORD") == 1
    assert "sesame" not in shown


def test_damaged_run_store_is_told(open_screen, tmp_path, context):
    make_project(tmp_path)

    def warnings():
        return " ".join(warning.value for warning in open_screen("settings").warning)

    assert "was damaged" not in warnings()
    context.workspace.ensure_state_dir()
    context.workspace.database_path.write_bytes(b"garbage" * 4000)
    assert runs.list_runs(context).total == 0
    assert "The run store was damaged. Its history was read back" in warnings()
    assert "corrupt" in warnings()
