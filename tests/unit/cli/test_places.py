"""From a path to a workspace and a project."""

from __future__ import annotations

import pytest

from spellbook_core.cli.places import find_place, find_project
from spellbook_core.errors import NotFoundError
from spellbook_core.project.layout import NotAWorkspaceError


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("SPELLBOOK_WORKSPACE", raising=False)


@pytest.fixture
def root(tmp_path):
    for name in ("titanic", "other"):
        (tmp_path / "projects" / name / "pipelines").mkdir(parents=True)
        (tmp_path / "projects" / name / "metadata.yaml").touch()
    (tmp_path / "projects" / "titanic" / "custom").mkdir()
    return tmp_path


def test_workspace_is_found_from_anywhere_below(root):
    for path, project in (
        (root, None),
        (root / "projects", None),
        (root / "projects" / "titanic", "titanic"),
        (root / "projects" / "titanic" / "custom", "titanic"),
    ):
        place = find_place(str(path))
        assert place.workspace.root == root
        assert not place.workspace.is_single_project
        assert place.project == project


def test_single_project_is_its_own_workspace(tmp_path):
    (tmp_path / "mine" / "pipelines").mkdir(parents=True)
    (tmp_path / "mine" / "metadata.yaml").touch()
    place = find_place(str(tmp_path / "mine" / "pipelines"))
    assert place.workspace.is_single_project
    assert place.project == "mine"


def test_folder_of_projects_is_meant_only_when_it_is_named_or_was_opened(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "pipelines").mkdir(parents=True)
        (tmp_path / name / "metadata.yaml").touch()
    (tmp_path / "notes").mkdir()
    assert find_place(str(tmp_path)).workspace.holds_projects
    assert find_place(str(tmp_path / "one")).workspace.is_single_project
    with pytest.raises(NotAWorkspaceError, match="holds no projects"):
        find_place(str(tmp_path / "notes"))
    find_place(str(tmp_path / "two")).workspace.ensure_state_dir()
    find_place(str(tmp_path)).workspace.ensure_state_dir()
    assert (place := find_place(str(tmp_path / "one" / "pipelines"))).workspace.root == tmp_path
    assert place.project == "one"
    assert find_place(str(tmp_path / "two")).workspace.is_single_project


def test_project_is_found_by_path_or_name(root, monkeypatch):
    assert find_project(str(root / "projects" / "titanic"))[1] == "titanic"
    monkeypatch.chdir(root)
    assert find_project("other")[1] == "other"
    assert find_project("projects/other")[1] == "other"
    monkeypatch.chdir(root / "projects" / "titanic" / "custom")
    assert find_project("other")[1] == "other"


def test_every_command_takes_a_project_s_name(root, monkeypatch):
    monkeypatch.chdir(root)
    assert find_place("other").project == "other"
    with pytest.raises(NotFoundError, match="no folder none"):
        find_place("none")


def test_several_projects_must_be_told_apart(root):
    with pytest.raises(NotFoundError, match="is no single project"):
        find_project(str(root))


def test_missing_path_and_missing_project_are_named(root, monkeypatch):
    monkeypatch.chdir(root)
    with pytest.raises(NotFoundError, match="no folder projects/none"):
        find_project("projects/none")
    with pytest.raises(NotFoundError, match="no project 'none'"):
        find_project("none")
    monkeypatch.chdir(root.parent)
    with pytest.raises(NotFoundError, match="no folder 'none'"):
        find_project("none")


def test_folder_without_projects_is_refused(tmp_path):
    with pytest.raises(NotAWorkspaceError, match="holds no projects"):
        find_place(str(tmp_path))
