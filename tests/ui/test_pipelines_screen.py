"""The list of pipelines: figures, search, broken files, examples, acts."""

from __future__ import annotations

from spellbook_core.services import pipelines, runs
from tests.conftest import chain, make_project
from tests.ui.conftest import texts


def test_empty_project_offers_examples(open_screen, tmp_path):
    project = make_project(tmp_path)
    (project / "pipelines/main/metadata.yaml").unlink()
    (project / "pipelines/main").rmdir()
    app = open_screen()
    runs_in_one_click = [button.key for button in app.button if (button.key or "").startswith("example_run_")]
    assert runs_in_one_click
    assert app.button(key="example_create_blank")


def test_list_shows_last_run_and_figures(open_screen, tmp_path, seed_run):
    make_project(tmp_path, blocks=chain(2))
    seed_run("demo", "main", ["b0", "b1"])
    seed_run("demo", "main", ["b0", "b1"], failed="b1", minutes_ago=2)
    app = open_screen()
    shown = {metric.label: metric.value for metric in app.metric}
    assert shown == {"Pipelines": "1", "Runs in 24 h": "2", "Success in 24 h": "50%", "Running now": "0"}
    assert app.button(key="run_main")


def test_broken_pipeline_is_listed_with_its_problem(open_screen, tmp_path):
    make_project(tmp_path, blocks=chain(1))
    broken = tmp_path / "projects/demo/pipelines/broken"
    broken.mkdir()
    (broken / "metadata.yaml").write_text("blocks: [\n a: b: c\n")
    app = open_screen()
    assert "cannot be read" in texts(app)
    assert "broken" in texts(app)
    assert not app.exception


def test_pipeline_that_is_not_run_here_has_no_run_button_to_press(open_screen, tmp_path):
    make_project(tmp_path, blocks=chain(1))
    file = make_project(tmp_path, blocks=chain(1), pipeline="stream") / "pipelines/stream/metadata.yaml"
    file.write_text(file.read_text().replace("type: python\n", "type: streaming\n", 1))
    app = open_screen()
    assert (app.button(key="run_main").disabled, app.button(key="run_stream").disabled) == (False, True)
    assert "Not run here: it is a streaming pipeline" in app.button(key="run_stream").help


def test_search_comes_from_the_address(open_screen, tmp_path):
    make_project(tmp_path, pipeline="alpha", blocks=chain(1))
    make_project(tmp_path, pipeline="beta", blocks=chain(1))
    app = open_screen("", project="demo", q="BET")
    assert [button.key for button in app.button if (button.key or "").startswith("run_")] == ["run_beta"]


def test_nothing_found_is_said(open_screen, tmp_path):
    make_project(tmp_path, blocks=chain(1))
    app = open_screen("", q="zzz")
    assert "No pipeline matches" in texts(app)


def test_delete_can_be_undone(open_screen, tmp_path, context):
    make_project(tmp_path, blocks=chain(1))
    app = open_screen()
    app.menu_button(key="menu_main").click("Delete").run()
    assert [summary.uuid for summary in pipelines.list_pipelines(context, "demo")] == []
    app.button(key="undo").click().run()
    assert [summary.uuid for summary in pipelines.list_pipelines(context, "demo")] == ["main"]


def test_rename_dialog_outlasts_a_drawing_of_the_page_and_says_what_is_wrong(open_screen, tmp_path, context):
    make_project(tmp_path, blocks=chain(1))
    app = open_screen()
    app.menu_button(key="menu_main").click("Rename").run()
    app.text_input(key="rename_pipeline").set_value(" ").run()
    app.run()
    app.button(key="rename_apply").click().run()
    assert "needs a name" in app.error[0].value
    app.text_input(key="rename_pipeline").set_value("best").run()
    app.run()
    app.button(key="rename_apply").click().run()
    assert [summary.uuid for summary in pipelines.list_pipelines(context, "demo")] == ["best"]
    assert not app.text_input(key="q").value
    assert "rename_apply" not in [button.key for button in app.button]


def test_duplicate_dialog_outlasts_a_drawing_of_the_page(open_screen, tmp_path, context):
    make_project(tmp_path, blocks=chain(1))
    app = open_screen()
    app.menu_button(key="menu_main").click("Duplicate").run()
    app.run()
    assert app.text_input(key="duplicate_name").value == "main copy"
    app.button(key="duplicate_apply").click().run()
    assert {summary.uuid for summary in pipelines.list_pipelines(context, "demo")} == {"main", "main_copy"}


def test_run_that_cannot_start_says_why(open_screen, tmp_path, context):
    project = make_project(tmp_path, blocks=chain(1))
    (project / "data_loaders/b0.py").unlink()
    app = open_screen()
    app.button(key="run_main").click().run()
    assert len(app.error) == 1
    assert runs.list_runs(context).total == 0


def test_five_hundred_pipelines_come_in_pages(open_screen, tmp_path):
    for number in range(500):
        make_project(tmp_path, pipeline=f"p{number:03d}")
    app = open_screen("", page="20")
    shown = [button.key for button in app.button if (button.key or "").startswith("run_")]
    assert shown == [f"run_p{number}" for number in range(475, 500)]
