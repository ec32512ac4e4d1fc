"""An open file: nothing typed is lost, nothing on disk is overwritten unseen."""

from dataclasses import dataclass

from spellbook_core.ui.files.buffer import Buffer
from spellbook_core.ui.files.tree import language_of, visible_rows


@dataclass
class Entry:
    relative_path: str
    is_folder: bool = False


def opened() -> Buffer:
    return Buffer("one", "h1", "one")


def test_change_outside_is_shown_when_nothing_is_unsaved():
    buffer = opened()
    buffer.see_disk("two", "h2")
    assert (buffer.text, buffer.saved_hash, buffer.rev, buffer.theirs) == ("two", "h2", 1, None)


def test_change_outside_under_typing_is_a_conflict():
    buffer = opened()
    buffer.text = "mine"
    buffer.see_disk("two", "h2")
    assert (buffer.text, buffer.saved_hash, buffer.rev) == ("mine", "h1", 0)
    assert buffer.theirs == ("two", "h2")


def test_taking_theirs_replaces_what_the_browser_shows():
    buffer = opened()
    buffer.text = "mine"
    buffer.see_disk("two", "h2")
    buffer.take_theirs()
    assert (buffer.text, buffer.rev, buffer.is_dirty, buffer.theirs) == ("two", 1, False, None)


def test_keeping_mine_lets_the_next_save_win():
    buffer = opened()
    buffer.text = "mine"
    buffer.see_disk("two", "h2")
    buffer.keep_mine()
    assert (buffer.saved_hash, buffer.is_dirty, buffer.theirs) == ("h2", True, None)


def test_same_text_written_elsewhere_is_no_conflict():
    buffer = opened()
    buffer.text = "two"
    buffer.see_disk("two", "h2")
    assert (buffer.theirs, buffer.is_dirty, buffer.rev) == (None, False, 0)


def test_tree_shows_folders_first_and_children_of_open_ones():
    entries = [Entry("b.py"), Entry("utils", True), Entry("utils/a.py"), Entry("utils/deep", True), Entry("A.md")]
    assert [row.path for row in visible_rows(entries, set())] == ["utils", "A.md", "b.py"]
    shown = visible_rows(entries, {"utils"})
    assert [(row.path, row.depth) for row in shown][:3] == [("utils", 0), ("utils/deep", 1), ("utils/a.py", 1)]


def test_search_lists_files_with_their_paths():
    entries = [Entry("utils", True), Entry("utils/변수.py"), Entry("b.py")]
    assert [row.name for row in visible_rows(entries, set(), "변수")] == ["utils/변수.py"]


def test_language_follows_the_name():
    assert [language_of(name) for name in ("a.PY", "b.yml", "c.sql", "d.txt")] == ["python", "yaml", "sql", "text"]
