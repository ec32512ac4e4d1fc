"""Projects: made with mage's files, listed, refused when the name is taken or unusable."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from spellbook_core.errors import AlreadyExistsError, BadNameError
from spellbook_core.project.layout import Workspace
from spellbook_core.services import projects


@dataclass(frozen=True)
class Files:
    workspace: Workspace


@pytest.fixture
def ctx(tmp_path):
    return Files(Workspace.open(tmp_path, create=True))


def test_new_project_has_what_mage_expects(ctx):
    name = projects.create_project(ctx, "내 프로젝트")
    assert name == "내_프로젝트"
    root = ctx.workspace.project(name).root
    assert sorted(path.relative_to(root).as_posix() for path in root.rglob("*")) == sorted(
        [
            *(".gitignore", "README.md", "__init__.py", "io_config.yaml", "metadata.yaml", "pipelines"),
            *("requirements.txt", "utils", "utils/__init__.py"),
        ]
    )
    (summary,) = projects.list_projects(ctx)
    assert (summary.name, summary.root, summary.pipelines, summary.description) == (name, root, 0, "")


def test_description_is_the_first_paragraph_of_the_readme(ctx):
    projects.create_project(ctx, "demo")
    (ctx.workspace.project("demo").root / "README.md").write_text("# Demo\n\nWhat it\nis for.\n\nMore.\n")
    assert projects.list_projects(ctx)[0].description == "What it is for."


def test_taken_name_is_refused(ctx):
    projects.create_project(ctx, "demo")
    with pytest.raises(AlreadyExistsError, match="already a project 'demo'"):
        projects.create_project(ctx, "DEMO")


@pytest.mark.parametrize("name", ["", "!!", "torch", "json", "class", "con", "spellbook_core"])
def test_unusable_name_is_refused(ctx, name):
    with pytest.raises(BadNameError, match=r"name|called|device"):
        projects.create_project(ctx, name)
    assert projects.list_projects(ctx) == []


def test_project_may_be_called_spellbook(ctx):
    assert projects.create_project(ctx, "Spellbook") == "spellbook"
