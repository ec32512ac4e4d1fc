"""The text in the editor and its file: nothing typed is lost, nothing of someone else's is overwritten."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from spellbook_core.errors import ChangedOnDiskError
from spellbook_core.ui.editor import drafts
from spellbook_core.ui.editor.drafts import Draft, Outside


class BlockFile:
    """A real file with the compare-and-swap that the block service promises."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.path.write_text(text, encoding="utf-8")

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def read(self) -> Outside:
        return Outside(self.text, digest(self.text))

    def save(self, text: str, expected_hash: str) -> str:
        if digest(self.text) != expected_hash:
            raise ChangedOnDiskError("The file changed.", hint="reload it.")
        self.path.write_text(text, encoding="utf-8")
        return digest(text)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> BlockFile:
    return BlockFile(tmp_path / "load.py", "a = 1\n")


@pytest.fixture
def draft(file: BlockFile) -> Draft:
    return Draft(file.text, digest(file.text), rev=1)


def test_typed_text_reaches_the_file(file: BlockFile, draft: Draft) -> None:
    after = drafts.accept(draft, "a = 2\n", 1, file.save, file.read)
    assert file.text == "a = 2\n"
    assert after == Draft("a = 2\n", digest("a = 2\n"), rev=1)


def test_equal_text_writes_nothing(file: BlockFile, draft: Draft) -> None:
    file.path.chmod(0o400)
    assert drafts.accept(draft, draft.text, 1, file.save, file.read) is draft


def test_change_from_outside_survives_a_draft(file: BlockFile, draft: Draft) -> None:
    file.path.write_text("theirs = 1\n", encoding="utf-8")
    after = drafts.accept(draft, "mine = 1\n", 1, file.save, file.read)
    assert file.text == "theirs = 1\n"
    assert after.text == "mine = 1\n"
    assert after.outside == Outside("theirs = 1\n", digest("theirs = 1\n"))


def test_typing_goes_on_during_a_conflict(file: BlockFile, draft: Draft) -> None:
    file.path.write_text("theirs = 1\n", encoding="utf-8")
    waiting = drafts.accept(draft, "mine = 1\n", 1, file.save, file.read)
    after = drafts.accept(waiting, "mine = 2\n", 1, file.save, file.read)
    assert (after.text, after.outside) == ("mine = 2\n", waiting.outside)
    assert file.text == "theirs = 1\n"


def test_reload_takes_the_file_and_drops_older_typing(file: BlockFile, draft: Draft) -> None:
    file.path.write_text("theirs = 1\n", encoding="utf-8")
    waiting = drafts.accept(draft, "mine = 1\n", 1, file.save, file.read)
    reloaded = drafts.reload(waiting)
    assert reloaded == Draft("theirs = 1\n", digest("theirs = 1\n"), rev=2)
    assert drafts.accept(reloaded, "mine = 3\n", 1, file.save, file.read) is reloaded
    assert file.text == "theirs = 1\n"


def test_keep_mine_writes_over_the_seen_change(file: BlockFile, draft: Draft) -> None:
    file.path.write_text("theirs = 1\n", encoding="utf-8")
    waiting = drafts.accept(draft, "mine = 1\n", 1, file.save, file.read)
    kept = drafts.keep_mine(waiting, file.save, file.read)
    assert file.text == "mine = 1\n"
    assert kept.outside is None
    assert kept.base_hash == digest("mine = 1\n")


def test_keep_mine_spares_an_unseen_change(file: BlockFile, draft: Draft) -> None:
    file.path.write_text("theirs = 1\n", encoding="utf-8")
    waiting = drafts.accept(draft, "mine = 1\n", 1, file.save, file.read)
    file.path.write_text("theirs = 2\n", encoding="utf-8")
    kept = drafts.keep_mine(waiting, file.save, file.read)
    assert file.text == "theirs = 2\n"
    assert kept.outside == Outside("theirs = 2\n", digest("theirs = 2\n"))


def test_equal_texts_are_no_conflict(draft: Draft) -> None:
    moved_on = Draft("a = 9\n", draft.base_hash, rev=1)
    disk = Outside("a = 9\n", digest("a = 9\n"))
    assert drafts.noticed(moved_on, disk) == Draft("a = 9\n", digest("a = 9\n"), rev=1)


def test_conflict_ends_when_the_file_comes_back(draft: Draft) -> None:
    disk = Outside("theirs\n", digest("theirs\n"))
    waiting = drafts.noticed(draft, disk)
    assert waiting.outside == disk
    assert drafts.noticed(waiting, Outside(draft.text, draft.base_hash)).outside is None


def test_diff_shows_both_sides(draft: Draft) -> None:
    waiting = drafts.noticed(draft, Outside("a = 2", digest("a = 2")))
    assert drafts.diff(waiting).splitlines()[-2:] == ["-a = 1", "+a = 2"]
    assert drafts.diff(draft) == ""
