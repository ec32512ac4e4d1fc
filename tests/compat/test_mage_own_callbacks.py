"""mage's older callbacks, which a block names only by `has_callback`: shown, checked, renamed and deleted with it."""

from __future__ import annotations

import json

import pytest
import yaml

from spellbook_core.cli.looking import show
from spellbook_core.errors import AlreadyExistsError
from spellbook_core.services import blocks, library, pipelines
from tests.conftest import LOADER, PASS_ON, BlockFile, make_project

TELL = """
@on_success
def tell(**kwargs):
    print('done')
"""
ASKING = {"has_callback": True}


@pytest.fixture
def project(tmp_path):
    pipeline = {
        "api/load": BlockFile(LOADER, "data_loader", settings=ASKING),
        "pass_on": BlockFile(PASS_ON, "transformer", ("api/load",)),
    }
    files = {"callbacks/api_load_callback.py": TELL, "callbacks/pass_on_callback.py": TELL}
    return make_project(tmp_path, blocks=pipeline, files=files)


def document_of(project, pipeline="main"):
    return yaml.safe_load((project / "pipelines" / pipeline / "metadata.yaml").read_text())


def write(project, document, pipeline="main"):
    path = project / "pipelines" / pipeline / "metadata.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(document))


def called(context, pipeline="main"):
    file = pipelines.load(context, "demo", pipeline)
    return {each.uuid: each.upstream_blocks for each in pipelines.as_called(context, "demo", file).callbacks}


def names(project):
    return sorted(path.stem for path in (project / "callbacks").iterdir())


def test_callback_that_no_list_names_is_shown(project, capsys):
    show.main([str(project), "main", "--json"], standalone_mode=False)
    assert json.loads(capsys.readouterr().out)["callbacks"][0] == {
        "uuid": "api_load_callback",
        "name": "api_load_callback",
        "type": "callback",
        "language": "python",
        "upstream_blocks": ["api/load"],
        "downstream_blocks": [],
        "file": "callbacks/api_load_callback.py",
        "file_exists": True,
        "listed": False,
    }
    show.main([str(project), "main"], standalone_mode=False)
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("api_load_callback"))
    assert row.split() == ["api_load_callback", "callback", "api/load", "callbacks/api_load_callback.py"]


def test_callback_is_checked_before_the_run(project, context):
    (project / "callbacks" / "api_load_callback.py").write_text("def broken(:\n")
    assert [(each.code, each.severity, each.block) for each in pipelines.validate(context, "demo", "main")] == [
        ("SB-PRJ-010", "error", "api_load_callback")
    ]
    (project / "callbacks" / "api_load_callback.py").write_text(f"import no_such_package_at_all\n{TELL}")
    assert ["no_such_package_at_all" in each.message for each in pipelines.validate(context, "demo", "main")] == [True]
    (project / "callbacks" / "api_load_callback.py").unlink()
    (found,) = pipelines.validate(context, "demo", "main")
    assert (found.severity, found.block, found.file) == ("warning", "api/load", "callbacks/api_load_callback.py")


def test_callback_in_a_list_hears_of_the_blocks_of_both(project, context):
    document = document_of(project)
    listed = {"uuid": "api_load_callback", "name": "x", "type": "callback", "upstream_blocks": ["pass_on"]}
    write(project, {**document, "callbacks": [listed]})
    assert called(context) == {"api_load_callback": ("pass_on", "api/load")}


def test_callback_is_renamed_with_its_block(project, context):
    write(project, document_of(project), "other")
    listing = {"uuid": "api_load_callback", "name": "Tell", "type": "callback", "upstream_blocks": []}
    write(project, {"name": "third", "type": "python", "uuid": "third", "blocks": [], "callbacks": [listing]}, "third")
    blocks.rename(context, "demo", "main", "api/load", "Read it")
    assert names(project) == ["pass_on_callback", "read_it_callback"]
    assert called(context) == called(context, "other") == {"read_it_callback": ("read_it",)}
    assert called(context, "third") == {"read_it_callback": ()}, "the file is the same one"
    assert document_of(project, "third")["callbacks"][0]["name"] == "Tell"
    used = {each.uuid: each.used_by for each in library.project_blocks(context, "demo")}
    assert used["read_it_callback"] == ("main", "other", "third")


def test_callback_of_two_blocks_stays_for_the_one_that_keeps_its_name(project, context):
    document = document_of(project)
    document["blocks"].append({"uuid": "api_load", "name": "x", "type": "custom", "upstream_blocks": [], **ASKING})
    write(project, document)
    blocks.rename(context, "demo", "main", "api/load", "read")
    assert names(project) == ["api_load_callback", "pass_on_callback", "read_callback"]
    assert called(context) == {"read_callback": ("read",), "api_load_callback": ("api_load",)}


def test_rename_to_a_name_whose_callback_is_taken_changes_nothing(project, context):
    (project / "callbacks" / "taken_callback.py").write_text("")
    before = pipelines.load(context, "demo", "main").text
    with pytest.raises(AlreadyExistsError, match="taken_callback"):
        blocks.rename(context, "demo", "main", "api/load", "taken")
    assert pipelines.load(context, "demo", "main").text == before
    assert blocks.source(context, "demo", "main", "api/load").exists


def test_callback_goes_to_the_trash_with_its_block_and_comes_back(project, context):
    blocks.remove(context, "demo", "main", "api/load")
    assert "api_load_callback" in names(project), "the block's file stays, and so does this one"
    write(project, {**document_of(project), "blocks": []})
    block = {"uuid": "pass_on", "name": "x", "type": "transformer", "upstream_blocks": [], **ASKING}
    write(project, {**document_of(project), "blocks": [block]})
    token = blocks.remove(context, "demo", "main", "pass_on", delete_file=True)
    assert names(project) == ["api_load_callback"]
    blocks.undo(context, token)
    assert names(project) == ["api_load_callback", "pass_on_callback"]


def test_copy_of_a_pipeline_shares_the_callback(project, context):
    assert called(context, pipelines.duplicate(context, "demo", "main", "copy")) == called(context)
    assert names(project) == ["api_load_callback", "pass_on_callback"]
