"""What a run would refuse or leave out is said before it runs."""

from __future__ import annotations

import yaml

from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.project.layout import Workspace
from spellbook_core.project.metadata import load_pipeline
from spellbook_core.project.validate import validate_pipeline
from tests.conftest import LOADER, PASS_ON, BlockFile, make_project


def test_missing_files_of_conditions_and_callbacks_are_found(tmp_path):
    blocks = {"items": LOADER, "each": BlockFile(PASS_ON, "transformer", ("items",))}
    project = make_project(tmp_path, blocks=blocks)
    path = project / "pipelines" / "main" / "metadata.yaml"
    document = yaml.safe_load(path.read_text())
    document["blocks"][0]["configuration"] = {"dynamic": True}
    document["conditionals"] = [
        {"uuid": "weekdays", "name": "weekdays", "type": "conditional", "upstream_blocks": ["items"]}
    ]
    document["callbacks"] = [{"uuid": "tell", "name": "tell", "type": "callback", "upstream_blocks": ["each"]}]
    path.write_text(yaml.safe_dump(document))
    layout = Workspace.open(tmp_path).project(ProjectName("demo"))
    found = validate_pipeline(layout, load_pipeline(layout.pipeline_file(PipelineUuid("main"))))
    assert {(finding.code, finding.block) for finding in found} == {
        ("SB-PRJ-012", "weekdays"),
        ("SB-PRJ-012", "tell"),
    }, "their files are not there; all else runs"


def test_executors_that_are_passed_over_are_noted(tmp_path):
    kinds = {"a": "k8s", "b": "k8s", "c": "local_python_force", "d": None, "e": "{{ env_var('X') }}"}
    blocks = {name: BlockFile(LOADER, "data_loader", settings={"executor_type": kind}) for name, kind in kinds.items()}
    make_project(tmp_path, blocks=blocks)
    layout = Workspace.open(tmp_path).project(ProjectName("demo"))
    found = validate_pipeline(layout, load_pipeline(layout.pipeline_file(PipelineUuid("main"))))
    assert [(each.code, each.severity, each.block) for each in found] == [
        ("SB-PRJ-064", "warning", None),
        ("SB-PRJ-064", "warning", "e"),
    ]
    assert "'k8s' of 'a', 'b' is not used" in found[0].message
