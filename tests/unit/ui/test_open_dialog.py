from __future__ import annotations

from spellbook_core.ui.editor.session import DialogRequest, EditorSession


def test_late_word_of_a_closed_dialog_leaves_the_one_opened_after_it():
    session = EditorSession()
    first, second = DialogRequest("settings", "a"), DialogRequest("settings", "a")
    session.dialog = first
    session.dialog = second  # its click was handled before the word that the first was closed
    session.close_dialog(first)
    assert session.dialog is second
    session.close_dialog(second)
    assert session.dialog is None


def test_closing_a_dialog_takes_back_what_was_confirmed_in_it():
    session = EditorSession(dialog=DialogRequest("settings", "a"), confirmed="block_settings_save")
    session.close_dialog(session.dialog)
    assert session.confirmed is None
