"""Every error a person can meet has a code of its own, says what it means, and crosses processes whole."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
import re

import pytest

import spellbook_core
from spellbook_core.errors import SpellbookError

NOT_IMPORTED = ("spellbook_core.ui.page", "spellbook_core.project.templates")
"""Scripts, not modules: importing them would run them."""


def every_error() -> list[type[SpellbookError]]:
    for module in pkgutil.walk_packages(spellbook_core.__path__, "spellbook_core."):
        if not module.name.startswith(NOT_IMPORTED) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: list[type[SpellbookError]] = []
    stack = [SpellbookError]
    while stack:
        for cls in stack.pop().__subclasses__():
            if cls.__module__.startswith("spellbook_core"):
                found.append(cls)
                stack.append(cls)
    return sorted(set(found), key=lambda cls: cls.code)


@pytest.fixture(scope="module")
def errors() -> list[type[SpellbookError]]:
    return every_error()


def test_codes_are_unique_and_well_formed(errors):
    codes = [cls.code for cls in errors]
    assert len(codes) == len(set(codes)), sorted(code for code in codes if codes.count(code) > 1)
    assert [code for code in codes if not re.fullmatch(r"SB-[A-Z]{2,4}-\d{3}", code)] == []


def test_every_error_is_explained(errors):
    assert [
        cls.__name__ for cls in errors if not (cls.__doc__ or "").strip() or cls.__doc__ == SpellbookError.__doc__
    ] == []


def test_names_end_in_error(errors):
    assert [cls.__name__ for cls in errors if not cls.__name__.endswith("Error")] == []


def test_every_error_survives_pickling(errors):
    for cls in errors:
        error = cls("what happened", hint="what to do", block="b", line=3)
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is cls
        assert again.to_dict() == error.to_dict()


def test_every_code_is_documented(errors, root):
    page = (root / "docs" / "errors.md").read_text(encoding="utf-8")
    assert [cls.code for cls in errors if cls.code not in page] == []
