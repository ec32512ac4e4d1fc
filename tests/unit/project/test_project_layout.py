"""Where things lie, and which names and links are refused."""

from __future__ import annotations

import os
import unicodedata

import pytest

from spellbook_core.errors import BadNameError, NotFoundError
from spellbook_core.model.block import Block
from spellbook_core.project.containment import OutsideProjectError, UnreadableFileError, read_inside
from spellbook_core.project.layout import NotAWorkspaceError, Workspace


@pytest.fixture
def workspace(tmp_path):
    folder = tmp_path / "프로젝트 ✨ a b"
    return Workspace.open(folder, create=True)


@pytest.fixture
def project(workspace):
    layout = workspace.new_project("demo")
    for name in ("pipelines", "data_loaders/api", "custom"):
        (layout.root / name).mkdir(parents=True)
    return layout


def test_folder_without_projects_is_refused(tmp_path):
    with pytest.raises(NotAWorkspaceError, match="holds no projects"):
        Workspace.open(tmp_path)


def test_single_project_is_its_own_workspace(tmp_path):
    root = tmp_path / "my proj"
    (root / "pipelines" / "p").mkdir(parents=True)
    (root / "metadata.yaml").touch()
    (root / "pipelines" / "p" / "metadata.yaml").touch()
    workspace = Workspace.open(root)
    assert workspace.is_single_project
    assert workspace.project_names() == ["my proj"]
    assert workspace.project("my proj").pipeline_uuids() == ["p"]
    with pytest.raises(BadNameError, match="cannot hold another"):
        workspace.new_project("other")


def test_folder_that_holds_projects_is_a_workspace(tmp_path):
    for name in ("one", "two", "notes"):
        (tmp_path / name).mkdir()
    for name in ("one", "two"):
        (tmp_path / name / "pipelines").mkdir()
        (tmp_path / name / "metadata.yaml").touch()
    workspace = Workspace.open(tmp_path)
    assert not workspace.is_single_project
    assert workspace.project_names() == ["one", "two"]
    assert workspace.project("two").root == tmp_path / "two"
    assert workspace.new_project("three").root == tmp_path / "three"
    with pytest.raises(NotFoundError, match="no project 'x'"):
        workspace.project("x")


def test_project_with_a_folder_of_that_name_is_a_project(tmp_path):
    for name in ("pipelines", "projects"):
        (tmp_path / name).mkdir()
    (tmp_path / "metadata.yaml").touch()
    assert Workspace.open(tmp_path).is_single_project
    (tmp_path / "projects" / "one" / "pipelines").mkdir(parents=True)
    (tmp_path / "projects" / "one" / "metadata.yaml").touch()
    assert Workspace.open(tmp_path).project_names() == ["one"]


def test_state_folder_is_private_and_hidden_from_git(workspace):
    folder = workspace.ensure_state_dir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / ".gitignore").read_text() == "*\n"
    folder.chmod(0o755)
    workspace.ensure_state_dir()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_linked_state_folder_is_refused(workspace, tmp_path):
    workspace.state_dir.symlink_to(tmp_path)
    with pytest.raises(OutsideProjectError, match="no folder of its own"):
        workspace.ensure_state_dir()


def test_workspace_behind_a_link_works(workspace, tmp_path):
    (tmp_path / "link").symlink_to(workspace.root)
    assert Workspace.open(tmp_path / "link").root == workspace.root


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("asked", ["NFC", "NFD"])
def test_korean_names_are_found_in_both_forms(project, form, asked):
    on_disk = project.root / "custom" / f"{unicodedata.normalize(form, '한글')}.py"
    on_disk.write_text("x = 1")
    (project.root / "pipelines" / unicodedata.normalize(form, "학습")).mkdir()
    (project.root / "pipelines" / unicodedata.normalize(form, "학습") / "metadata.yaml").touch()
    block = Block(unicodedata.normalize(asked, "한글"), "한글", "custom")
    assert project.block_file(block).read_text() == "x = 1"
    assert project.pipeline_uuids() == ["학습"]
    assert project.pipeline_file(unicodedata.normalize(asked, "학습")).is_file()


def test_block_file_is_looked_up_as_mage_does(project):
    (project.root / "data_loaders" / "api" / "load.py").write_text("")
    (project.root / "custom" / "other.py").write_text("")

    def found(uuid, **configuration):
        block = Block(uuid, uuid, "data_loader", configuration=configuration)
        return project.relative(project.block_file(block))

    assert found("api/load") == "data_loaders/api/load.py"
    assert found("x", file_source={"path": "custom/other.py"}) == "custom/other.py"
    assert found("x", file_source={"path": "demo/custom/other.py"}) == "custom/other.py"
    assert found("x", file_path="unit_3/demo/custom/other.py") == "custom/other.py"
    assert found("x", file_source={"path": "demo\\custom\\other.py"}) == "custom/other.py"
    assert found("x", file_path="./custom/other.py") == "custom/other.py"
    assert found("x", file_source={"path": "../../etc/passwd"}) == "data_loaders/x.py"
    assert found("x", file_source={"path": "/etc/passwd"}, file_path=None) == "data_loaders/x.py"
    replica = Block("copy", "copy", "data_loader", replicated_block="api/load")
    assert project.relative(project.block_file(replica)) == "data_loaders/api/load.py"
    assert project.relative(project.block_file(Block("n", "n", "markdown", "markdown"))) == "markdowns/n.md"
    assert project.relative(project.block_file(Block("n", "n", "newtype"))) == "newtypes/n.py"
    (project.root / "api").mkdir()
    (project.root / "api" / "save.py").write_text("")
    (project.root / "score.py").write_text("")
    assert found("api/save") == "api/save.py"
    assert found("lib/score") == "score.py"


def test_missing_project_names_those_there_are(project):
    with pytest.raises(NotFoundError, match="no project 'x'") as caught:
        project.workspace.project("x")
    assert caught.value.hint == "the projects are: demo."


def test_links_out_of_the_project_are_refused(project, tmp_path):
    secret = tmp_path / "secret.py"
    secret.write_text("canary")
    (project.root / "custom" / "evil.py").symlink_to(secret)
    (project.root / "outside").symlink_to(tmp_path)
    with pytest.raises(OutsideProjectError, match="leads out"):
        project.block_file(Block("evil", "evil", "custom"))
    with pytest.raises(OutsideProjectError, match="leads out"):
        project.contained("outside/secret.py")
    (project.workspace.projects_dir / "linked").symlink_to(tmp_path)
    assert project.workspace.project_names() == ["demo"]


def test_sibling_with_the_same_beginning_is_outside(project):
    sibling = project.root.with_name("demo-secret")
    sibling.mkdir()
    (sibling / "x.py").write_text("canary")
    (project.root / "x.py").symlink_to(sibling / "x.py")
    with pytest.raises(OutsideProjectError, match="leads out"):
        project.contained("x.py")


def test_links_inside_the_project_are_followed(project):
    (project.root / "custom" / "real.py").write_text("1")
    (project.root / "custom" / "alias.py").symlink_to("real.py")
    assert read_inside(project.root, project.contained("custom/alias.py")) == b"1"


def test_devices_and_pipes_are_not_read(project):
    os.mkfifo(project.root / "pipe")
    with pytest.raises(UnreadableFileError, match="no regular file"):
        read_inside(project.root, project.root / "pipe")


def test_large_files_are_not_read(project):
    (project.root / "big").write_bytes(b"x" * 11)
    with pytest.raises(UnreadableFileError, match="at most 10 are read"):
        read_inside(project.root, project.root / "big", max_bytes=10)


@pytest.mark.parametrize("numbers", [("../x", 1, 1), (1, True, 1), (1, -1, 1)])
def test_run_numbers_are_numbers(workspace, numbers):
    with pytest.raises(BadNameError, match="no run numbers"):
        workspace.attempt_dir(*numbers)
