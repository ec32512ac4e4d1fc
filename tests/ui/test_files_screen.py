"""The files screen: tree, opened file, paths that must not be opened."""

from __future__ import annotations

import pytest

from spellbook_core.services import files
from tests.conftest import make_project
from tests.ui.conftest import texts


def test_folders_open_and_close(open_screen, tmp_path):
    make_project(tmp_path, files={"utils/a.py": "x = 1\n"})
    app = open_screen("files")
    assert not any(button.key == "file_utils/a.py" for button in app.button)
    app.button(key="file_utils").click().run()
    assert app.button(key="file_utils/a.py")


def test_open_file_in_a_folder_is_bold(open_screen, tmp_path):
    make_project(tmp_path, files={"utils/a.py": "x = 1\n"})
    app = open_screen("files", path="utils/a.py")
    assert app.button(key="file_utils/a.py").label.strip().startswith("**a")


def test_search_finds_files_in_closed_folders(open_screen, tmp_path):
    make_project(tmp_path, files={"utils/변수.py": "x = 1\n"})
    app = open_screen("files")
    app.text_input(key="find_file").set_value("변수").run()
    assert app.button(key="file_utils/변수.py")


@pytest.mark.parametrize(
    "path", ["../../.spellbook/state.db", "/etc/passwd", ".env", "utils/../../x", "gone.py", "\x00"]
)
def test_paths_outside_are_refused(open_screen, tmp_path, path):
    make_project(tmp_path, files={".env": "SECRET=1\n"})
    app = open_screen("files", path=path)
    assert not app.exception
    assert len(app.error) == 1
    assert "SECRET" not in texts(app)


def test_file_dialogs_outlast_a_drawing_of_the_page(open_screen, tmp_path, context):
    make_project(tmp_path)
    app = open_screen("files")
    app.button(key="new_file").click().run()
    app.button(key="new_file_create").click().run()
    assert "it is empty" in app.error[0].value
    app.text_input(key="new_file_path").set_value("utils/a.py").run()
    app.run()
    app.button(key="new_file_create").click().run()
    assert files.read(context, "demo", "utils/a.py")[0] == ""

    app = open_screen("files", path="utils/a.py")
    app.menu_button(key="file_menu").click("Rename").run()
    app.text_input(key="rename_file_path").set_value("utils/b.py").run()
    app.run()
    app.button(key="rename_file_apply").click().run()
    assert "utils/b.py" in [entry.relative_path for entry in files.tree(context, "demo")]


def test_deleted_file_comes_back_by_undo(open_screen, tmp_path, context):
    make_project(tmp_path, files={"notes.md": "# hi\n"})
    app = open_screen("files", path="notes.md")
    app.menu_button(key="file_menu").click("Delete").run()
    assert "notes.md" not in [entry.relative_path for entry in files.tree(context, "demo")]
    app.button(key="undo").click().run()
    assert files.read(context, "demo", "notes.md")[0] == "# hi\n"
