"""Global data products: what is wrong with one is told before the run, and keeps no other from being read."""

from __future__ import annotations

import pytest
import yaml

from spellbook_core.errors import SpellbookError
from spellbook_core.project.data_products import entries_of, entry_of
from spellbook_core.services import pipelines
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, make_project

SOURCE = "@data_loader\ndef load(*args, **kwargs):\n    return 1\n"
FILE = """
daily: {object_type: pipeline, object_uuid: other, outdated_after: {seconds: 60}}
plain: {object_uuid: other}
block: {object_type: block, object_uuid: other}
empty: {}
number: 5
gone: {object_uuid: othr}
"""


@pytest.fixture
def project(tmp_path):
    made = make_project(tmp_path, blocks={"load": BlockFile(SOURCE, "data_loader")}, pipeline="other")
    make_project(tmp_path, blocks={})
    (made / "global_data_products.yaml").write_text(FILE)
    return open_context(tmp_path).workspace.project("demo")


def test_other_entries_do_not_matter(project):
    assert entry_of(project, "daily")["outdated_after"] == {"seconds": 60}
    assert entry_of(project, "plain") == {"object_uuid": "other"}
    assert "number" not in entries_of(project)


@pytest.mark.parametrize(
    ("product", "told"),
    [
        ("block", "stands for a block, which is not offered"),
        ("empty", "names no pipeline"),
        ("number", "There is no global data product 'number'"),
        ("dialy", "There is no global data product 'dialy'"),
        ("gone", "names the pipeline 'othr', which is not there"),
    ],
)
def test_product_that_cannot_be_read_is_named_before_the_run(product, told, project, tmp_path):
    file = project.root / "pipelines" / "main" / "metadata.yaml"
    block = {"uuid": "read", "name": "read", "type": "global_data_product", "upstream_blocks": []}
    block["configuration"] = {"global_data_product": {"uuid": product}}
    file.write_text(yaml.safe_dump({"name": "main", "uuid": "main", "type": "python", "blocks": [block]}))
    (found,) = pipelines.validate(open_context(tmp_path), "demo", "main")
    assert (found.code, found.severity, found.block) == ("SB-PRJ-021", "error", "read")
    assert told in found.message
    with pytest.raises(SpellbookError) as caught:
        entry_of(project, product)
    assert caught.value.hint == found.hint
    assert "did you mean 'daily'" in found.hint or product != "dialy"


def test_file_that_is_no_yaml_is_told_with_its_line(project):
    (project.root / "global_data_products.yaml").write_text("daily:\n  a: [\n")
    with pytest.raises(SpellbookError) as caught:
        entry_of(project, "daily")
    assert (caught.value.code, caught.value.facts["line"]) == ("SB-PRJ-004", 3)
