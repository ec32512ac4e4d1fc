from __future__ import annotations

from pathlib import Path

from spellbook_core.model.outcome import Frame
from spellbook_core.ui import frames

PROJECT = Path("/w/projects/demo")
MINE = Frame(str(PROJECT / "custom/b.py"), 8, "f", "return frame['x']")
HELPER = Frame(str(PROJECT / "utils/shared.py"), 3, "look", "return frame[name]")
PANDAS = Frame("/usr/lib/python3/site-packages/pandas/core/frame.py", 4330, "__getitem__", "")
INSTALLED = Frame(str(PROJECT / ".venv/lib/python3.11/site-packages/pandas/core/frame.py"), 4330, "__getitem__", "")


def test_frames_of_libraries_are_left_out():
    assert frames.own([MINE, HELPER, PANDAS, INSTALLED], PROJECT) == [MINE, HELPER]


def test_failure_outside_the_project_keeps_its_frames():
    assert frames.own([PANDAS], PROJECT) == [PANDAS]


def test_place_is_told_from_the_project_on():
    assert frames.place(MINE, PROJECT) == "custom/b.py"
    assert frames.place(PANDAS, PROJECT) == PANDAS.file
