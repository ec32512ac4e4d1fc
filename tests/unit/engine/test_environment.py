from __future__ import annotations

import os

from spellbook_core.engine.environment import Environments
from tests.conftest import chain, make_project


def preload(known, workspace):
    return known.of(workspace.project("demo"), None).preload


def test_plain_project_pays_for_tables_only(workspace, tmp_path):
    make_project(tmp_path, blocks=chain(1))
    assert preload(Environments(), workspace) == ("duckdb", "pandas", "pyarrow")


def test_preloaded_packages_follow_the_files(workspace, tmp_path):
    project = make_project(tmp_path, blocks=chain(1))
    known = Environments()
    preload(known, workspace)
    block = project / "data_loaders/b0.py"
    block.write_text("import torch, polars\nfrom sklearn import tree\n")
    os.utime(block, ns=(1, 1))
    assert preload(known, workspace) == ("duckdb", "pandas", "pyarrow", "sklearn", "torch")


def test_unchanged_project_is_not_read_again(workspace, tmp_path):
    make_project(tmp_path, blocks=chain(1))
    known = Environments()
    project = workspace.project("demo")
    assert known.of(project, None) is known.of(project, None)
