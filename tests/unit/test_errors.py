"""One shape for every error."""

from __future__ import annotations

import pickle

import pytest

from spellbook_core.errors import AlreadyExistsError, BadNameError, NotFoundError, render_error
from spellbook_core.model.graph import CycleError


def test_error_crosses_processes_whole():
    error = pickle.loads(pickle.dumps(CycleError("a waits", hint="cut it", block="a", line=None)))
    assert error.to_dict() == {
        "code": "SB-PIP-001",
        "message": "a waits",
        "hint": "cut it",
        "facts": {"block": "a"},
    }
    assert str(error) == "a waits"


def test_people_read_three_lines():
    text = render_error(NotFoundError("No block 'x'.", hint="add it.", project="p", pipeline="q", path=["a"]).to_dict())
    assert text == "No block 'x'.\n  Do this: add it.\n  SB-SYS-002   project p · pipeline q"


@pytest.mark.parametrize(
    ("error", "builtin"), [(BadNameError, ValueError), (NotFoundError, LookupError), (AlreadyExistsError, OSError)]
)
def test_builtin_catches_it_too(error, builtin):
    with pytest.raises(builtin, match="what"):
        raise error("what", hint="do")
