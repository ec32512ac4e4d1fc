"""The editor's page: cards, states, failures, dialogs' acts, and texts of users that stay letters."""

from __future__ import annotations

import re

import pytest
import yaml

from spellbook_core.model.run import NewRun
from spellbook_core.services import runs
from spellbook_core.ui.editor.page import ALL_CARDS_UP_TO, CARDS_PER_PAGE
from spellbook_core.ui.editor.session import OPEN_ALL_UP_TO
from spellbook_core.ui.editor.view import Editor
from tests.conftest import LOADER, PASS_ON, BlockFile, chain, make_project
from tests.ui.conftest import texts

HOSTILE = "![x](http://127.0.0.1:9/canary) :red[x] <img src=x onerror=alert(1)>"


def keys_of(elements) -> set[str]:
    return {element.key for element in elements if element.key}


def parents_list(app, block: str):
    return next(element for element in app.multiselect if element.key.startswith(f"parents_{block}_"))


def open_cards(app) -> list[str]:
    return sorted(element.key.split("_")[1] for element in app.multiselect)


def badges(app) -> str:
    return "\n".join(element.value for element in app.markdown)


def saved(project) -> dict[str, list[str]]:
    document = yaml.safe_load((project / "pipelines/main/metadata.yaml").read_text())
    return {block["uuid"]: block["upstream_blocks"] for block in document["blocks"]}


def test_every_block_has_a_card_in_file_order(open_screen, tmp_path):
    make_project(tmp_path, blocks=chain(3))
    app = open_screen("editor", pipeline="main")
    assert not app.exception
    names = [button.key for button in app.button if button.key and button.key.startswith("name_")]
    assert names == ["name_b0", "name_b1", "name_b2"]
    assert {"run_b0", "run_b1", "run_b2", "run_pipeline", "add_block"} <= keys_of(app.button)


def test_empty_pipeline_invites_to_add_a_block(open_screen, tmp_path):
    make_project(tmp_path)
    app = open_screen("editor", pipeline="main")
    assert "Begin with a block" in texts(app)
    assert {"add_data_loader", "add_transformer", "add_custom", "add_data_exporter"} <= keys_of(app.button)
    assert app.button(key="run_pipeline").disabled


def test_unknown_pipeline_is_one_clear_message(open_screen, tmp_path):
    make_project(tmp_path, blocks=chain(1))
    app = open_screen("editor", pipeline="nowhere")
    assert not app.exception
    assert "nowhere" in app.error[0].value
    assert "Do this" in app.error[0].value


def test_never_run_blocks_say_so(open_screen, tmp_path):
    make_project(tmp_path, blocks=chain(2))
    app = open_screen("editor", pipeline="main")
    assert badges(app).count("Never run") == 2


def test_failed_block_shows_its_exception_first(open_screen, tmp_path, seed_run):
    make_project(tmp_path, blocks=chain(2))
    seed_run("demo", "main", ["b0", "b1"], failed="b1")
    app = open_screen("editor", pipeline="main")
    assert "ValueError\\: bad" in texts(app)
    assert any("transformers/b.py, line 3, in work" in code.value for code in app.code)
    assert not any("Traceback" in code.value for code in app.code)
    app.toggle(key="trace_b1").set_value(True).run()
    assert any("Traceback" in code.value for code in app.code)


def test_running_block_offers_cancel(open_screen, tmp_path, seed_run):
    make_project(tmp_path, blocks=chain(2))
    seed_run("demo", "main", ["b0"], ended=False)
    app = open_screen("editor", pipeline="main")
    assert "cancel_b0" in keys_of(app.button)
    assert "run_b0" not in keys_of(app.button)
    assert "cancel_run" in keys_of(app.button)


def test_parents_list_links_blocks_in_the_file(open_screen, tmp_path):
    project = make_project(tmp_path, blocks=chain(3))
    app = open_screen("editor", pipeline="main")
    assert parents_list(app, "b2").value == ["b1"]
    parents_list(app, "b2").set_value(["b1", "b0"]).run()
    assert saved(project)["b2"] == ["b1", "b0"]
    assert parents_list(app, "b2").value == ["b1", "b0"]


def test_cycle_is_refused_with_its_path(open_screen, tmp_path):
    project = make_project(tmp_path, blocks=chain(3))
    app = open_screen("editor", pipeline="main")
    parents_list(app, "b0").set_value(["b2"]).run()
    shown = next(error.value for error in app.error)
    assert all(name in shown for name in ("b0", "b1", "b2"))
    assert saved(project)["b0"] == []
    assert parents_list(app, "b0").value == []


def test_counts_that_do_not_fit_are_marked(open_screen, tmp_path):
    source = "@transformer\ndef join(left, right):\n    return left\n"
    make_project(tmp_path, blocks={**chain(1), "join": BlockFile(source, "transformer", ("b0",))})
    app = open_screen("editor", pipeline="main")
    assert not app.exception
    two_parents = "@transformer\ndef only(one):\n    return one\n"
    blocks = {**chain(2), "only": BlockFile(two_parents, "transformer", ("b0", "b1"))}
    make_project(tmp_path, blocks=blocks, pipeline="other")
    app = open_screen("editor", pipeline="other")
    assert "takes 1 input" in app.warning[0].value


def test_long_pipelines_draw_one_open_card(open_screen, tmp_path):
    make_project(tmp_path, blocks=chain(OPEN_ALL_UP_TO + 4))
    app = open_screen("editor", pipeline="main")
    assert open_cards(app) == ["b0"]
    app = open_screen("editor", pipeline="main", block="b5")
    assert open_cards(app) == ["b5"]
    app.button(key="toggle_b7").click().run()
    assert open_cards(app) == ["b7"]  # only this card is drawn again


def test_long_pipeline_shows_the_page_of_cards_with_the_chosen_block(open_screen, tmp_path):
    make_project(tmp_path, blocks=chain(ALL_CARDS_UP_TO + 20))

    def cards(app) -> list[str]:
        return [button.key.removeprefix("name_") for button in app.button if (button.key or "").startswith("name_")]

    app = open_screen("editor", pipeline="main")
    assert cards(app) == [f"b{number}" for number in range(CARDS_PER_PAGE)]
    assert "1–50 of 120" in texts(app)
    next(iter(app.get("pagination"))).set_value(2).run()
    assert cards(app)[0] == "b50"
    app.button(key="run_pipeline").click().run()
    assert not app.exception
    app = open_screen("editor", pipeline="main", block="b110")
    assert cards(app) == [f"b{number}" for number in range(100, 120)]
    assert open_cards(app) == ["b110"]


def test_a_card_asks_what_it_shows_for_itself_alone(open_screen, tmp_path, monkeypatch):
    blocks = OPEN_ALL_UP_TO + 20
    make_project(tmp_path, blocks=chain(blocks))
    asked = []
    tell = Editor._output_token
    monkeypatch.setattr(Editor, "_output_token", lambda self, block: asked.append(block) or tell(self, block))
    open_screen("editor", pipeline="main")
    assert len(asked) < blocks, "each of 500 cards asked for all 500: the page took 40 s"


@pytest.mark.parametrize(("deep", "wide", "is_down"), [(4, 1, True), (10, 3, True), (3, 7, False)])
def test_graph_runs_the_way_that_stays_larger(open_screen, tmp_path, deep, wide, is_down):
    blocks = {f"b0_{n}": BlockFile(LOADER, "data_loader") for n in range(wide)}
    for row in range(1, deep):
        blocks |= {f"b{row}_{n}": BlockFile(PASS_ON, parents=(f"b{row - 1}_{n}",)) for n in range(wide)}
    make_project(tmp_path, blocks=blocks)
    app = open_screen("editor", pipeline="main")
    assert next(toggle.value for toggle in app.toggle if toggle.label == "Top-down") is is_down


def test_missing_file_says_how_to_get_it_back(open_screen, tmp_path):
    project = make_project(tmp_path, blocks=chain(2))
    (project / "transformers/b1.py").unlink()
    app = open_screen("editor", pipeline="main")
    assert any("is missing" in error.value for error in app.error)
    app.button(key="recreate_b1").click().run()
    assert "@transformer" in (project / "transformers/b1.py").read_text()


@pytest.mark.guarantee("N19")
def test_hostile_names_stay_letters(open_screen, tmp_path):
    """Names and variables that are Markdown or HTML reach no label unescaped."""
    blocks = chain(2)
    project = make_project(tmp_path, blocks=blocks, variables={"x": HOSTILE})
    file = project / "pipelines/main/metadata.yaml"
    document = yaml.safe_load(file.read_text())
    document["name"] = HOSTILE
    document["type"] = HOSTILE
    for block in document["blocks"]:
        block["name"] = HOSTILE
    file.write_text(yaml.safe_dump(document))
    app = open_screen("editor", pipeline="main")
    assert not app.exception
    labels = [button.label for button in app.button] + [element.value for element in [*app.markdown, *app.caption]]
    drawn = [label for label in labels if "canary" in label]
    assert drawn
    assert [label for label in drawn if re.search(r"(?<!\\)(!\[|<img|:red\[)|\]\(http", label)] == []


def test_toolbar_links_the_newest_run(open_screen, tmp_path, context, seed_run):
    make_project(tmp_path, blocks=chain(1))
    first = seed_run("demo", "main", ["b0"])
    context.store.create_run(NewRun("demo", "other", "manual"), now=context.clock.now())
    app = open_screen("editor", pipeline="main")
    assert runs.list_runs(context, project="demo", pipeline="main").total == 1
    assert any(f"Run {first} completed" in link.proto.label for link in app.get("page_link"))


def test_list_sent_unchanged_chooses_nothing(open_screen, tmp_path):
    """A parents list that leaves the page may be sent again with its old value; the file must stay as it is."""
    project = make_project(tmp_path, blocks=chain(3))
    app = open_screen("editor", pipeline="main")
    before = (project / "pipelines/main/metadata.yaml").read_text()
    drawn = parents_list(app, "b2")
    drawn.set_value(["b1"]).run()
    assert (project / "pipelines/main/metadata.yaml").read_text() == before
    assert not app.error


def test_stale_output_says_why_and_offers_to_run_only_that(open_screen, tmp_path, seed_run):
    """The seeded runs tell nothing of what their outputs were made from, so nobody knows whether they still hold."""
    make_project(tmp_path, blocks=chain(3))
    seed_run("demo", "main", ["b0", "b1"])
    app = open_screen("editor", pipeline="main")
    assert not app.exception
    assert badges(app).count("Stale") == 2
    assert sum("stale: it is not known" in caption.value for caption in app.caption) == 2
    assert app.button(key="run_stale").label == "Run stale (3)"
    assert "refresh_b0" in keys_of(app.button)


def test_nothing_is_called_stale_before_the_first_run(open_screen, tmp_path):
    make_project(tmp_path, blocks=chain(2))
    app = open_screen("editor", pipeline="main")
    assert "run_stale" not in keys_of(app.button)
    assert "refresh_b0" not in keys_of(app.button)


def test_variables_stand_in_the_side_column_and_in_a_dialog_at_once(open_screen, tmp_path):
    make_project(tmp_path, blocks=chain(1), variables={"least": 2})
    app = open_screen("editor", pipeline="main")
    app.session_state["side_tab"] = "Variables"
    app.run()
    app.button(key="toolbar_variables").click().run()
    app.run()
    assert not app.exception
    assert {"variables_save", "variables_dialog_save"} <= keys_of(app.button)
