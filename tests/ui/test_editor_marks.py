"""What does not run here, and what hangs on blocks, is shown plainly in the editor."""

from __future__ import annotations

import pytest
import yaml

from spellbook_core.services import pipelines
from spellbook_core.ui.editor.session import DialogRequest
from tests.conftest import LOADER, BlockFile, make_project
from tests.ui.conftest import texts


def entry(uuid, kind, parents=(), **more):
    plain = {"uuid": uuid, "name": uuid, "type": kind, "language": "python"}
    return {**plain, "upstream_blocks": list(parents), "downstream_blocks": [], **more}


@pytest.fixture
def everything(tmp_path):
    project = make_project(tmp_path, blocks={"load": BlockFile(LOADER, "data_loader")})
    path = project / "pipelines" / "main" / "metadata.yaml"
    document = yaml.safe_load(path.read_text())
    document["blocks"] += [
        entry("items", "data_loader", configuration={"dynamic": True}),
        entry("again", "data_loader", replicated_block="load"),
        entry("model", "dbt", language="sql"),
        entry("product", "global_data_product", configuration={"global_data_product": {"uuid": "numbers"}}),
    ]
    document["conditionals"] = [entry("weekday", "conditional", ["load"])]
    document["callbacks"] = [entry("tell", "callback", ["load"])]
    checks = entry("checks", "extension", ["load"])
    document["extensions"] = {"great_expectations": {"blocks": [checks]}}
    path.write_text(yaml.safe_dump(document))
    return path


def test_editor_shows_marks_and_what_does_not_run(everything, open_screen):
    app = open_screen("editor", project="demo", pipeline="main")
    assert not app.exception
    shown = "\n".join([texts(app), *(button.label for button in app.button)])
    for words in ("dynamic", "replica", "dbt is not part of Spellbook", "numbers", "weekday", "tell"):
        assert words.replace("_", "\\_") in shown, words
    assert "is missing" not in "\n".join(error.value for error in app.error if "product" in error.value)


def test_code_of_a_callback_that_no_list_names_opens_and_is_saved(everything, open_screen):
    document = yaml.safe_load(everything.read_text())
    document["blocks"][1]["has_callback"] = True
    everything.write_text(yaml.safe_dump(document))
    file = everything.parents[2] / "callbacks" / "items_callback.py"
    file.parent.mkdir()
    file.write_text("# called\n")
    app = open_screen("editor", project="demo", pipeline="main")
    next(button for button in app.button if "items\\_callback" in button.label).click().run()
    assert "has_callback" in texts(app)
    area = next(area for area in app.text_area if area.key == "hanging_code")
    assert area.value == "# called\n"
    area.set_value("# changed\n").run()
    next(button for button in app.button if button.key == "hanging_confirm").click().run()
    assert not app.exception
    assert file.read_text() == "# changed\n"
    app.session_state["_editors"]["demo", "main"].dialogs.open(DialogRequest("delete", "items"))
    app.run()
    assert "Its callback `items_callback` goes with it" in texts(app)


@pytest.mark.parametrize("kind", ["streaming", "integration", "pyspark"])
def test_pipeline_that_does_not_run_here_says_so(kind, everything, open_screen):
    document = yaml.safe_load(everything.read_text())
    everything.write_text(yaml.safe_dump({**document, "type": kind}))
    app = open_screen("editor", project="demo", pipeline="main")
    assert not app.exception
    assert any("not run here" in each.value for each in app.info)
    assert next(button for button in app.button if button.key == "run_pipeline").disabled


def test_validate_names_extensions(everything, context):
    found = [each for each in pipelines.validate(context, "demo", "main") if each.block == "checks"]
    assert [(each.code, each.severity) for each in found] == [("SB-PRJ-014", "warning")]
    assert "@test" in found[0].hint
