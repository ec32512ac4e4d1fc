"""The files page: inside the project only, nothing overwritten, deletes undone."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from spellbook_core.errors import AlreadyExistsError, ChangedOnDiskError, NotFoundError
from spellbook_core.project.containment import UnreadableFileError
from spellbook_core.project.layout import Workspace
from spellbook_core.services import files, projects


@dataclass(frozen=True)
class Files:
    workspace: Workspace


@pytest.fixture
def ctx(tmp_path):
    ctx = Files(Workspace.open(tmp_path / "a b", create=True))
    projects.create_project(ctx, "demo")
    return ctx


def names(ctx):
    return [entry.relative_path for entry in files.tree(ctx, "demo")]


def test_tree_lists_folders_before_their_content(ctx):
    files.create(ctx, "demo", "utils/한글 파일.py", "x = 1")
    listed = files.tree(ctx, "demo")
    assert [entry.relative_path for entry in listed] == [
        *("pipelines", "utils", "utils/__init__.py", "utils/한글 파일.py", "__init__.py", "io_config.yaml"),
        *("metadata.yaml", "README.md", "requirements.txt"),
    ]
    assert (listed[1].is_folder, listed[3].size_bytes) == (True, 5)


def test_written_file_reads_back(ctx):
    text, digest = files.read(ctx, "demo", "requirements.txt")
    after = files.write(ctx, "demo", "requirements.txt", text + "polars\n", expected_hash=digest)
    assert files.read(ctx, "demo", "requirements.txt") == (text + "polars\n", after)
    with pytest.raises(ChangedOnDiskError, match="nothing was written"):
        files.write(ctx, "demo", "requirements.txt", "mine", expected_hash=digest)


def test_existing_file_is_not_replaced(ctx):
    with pytest.raises(AlreadyExistsError, match=r"already a 'README\.md'"):
        files.create(ctx, "demo", "README.md")
    with pytest.raises(AlreadyExistsError, match="already something"):
        files.rename(ctx, "demo", "README.md", "requirements.txt")


def test_deleted_folder_comes_back(ctx):
    files.create(ctx, "demo", "data/a/b.csv", "1")
    before = names(ctx)
    token = files.delete(ctx, "demo", "data")
    assert "data" not in names(ctx)
    files.undo(ctx, token)
    assert names(ctx) == before
    with pytest.raises(NotFoundError, match="no 'nope'"):
        files.delete(ctx, "demo", "nope")


def test_file_moves_within_the_project(ctx):
    files.create(ctx, "demo", "a.txt", "1")
    files.rename(ctx, "demo", "a.txt", "new folder/b.txt")
    assert files.read(ctx, "demo", "new folder/b.txt")[0] == "1"


def test_data_file_is_not_shown_as_text(ctx):
    (ctx.workspace.project("demo").root / "x.bin").write_bytes(b"ok\n\xff\xfe")
    with pytest.raises(UnreadableFileError, match=r"x\.bin:2: this is no UTF-8"):
        files.read(ctx, "demo", "x.bin")
