"""What a block file declares, from its syntax alone."""

from __future__ import annotations

import pytest

from spellbook_core.project.blockfile import fit as fits
from spellbook_core.project.blockfile import inspect, static_imports
from spellbook_core.project.layout import Workspace

MAGE = """
if 'transformer' not in globals():
    from mage_ai.data_preparation.decorators import transformer
import pandas as pd, os.path

@other.decorator
@transformer
def run(data, data_2=None, *args, key, **kwargs):
    \"\"\"Do it.\"\"\"

@test
def test_output(output, *args): pass
"""


def test_mage_file_is_understood():
    found = inspect(MAGE, "transformer", "t.py")
    assert (found.function, found.line, found.docstring) == ("run", 8, "Do it.")
    assert [(p.name, p.kind, p.has_default) for p in found.parameters] == [
        ("data", "positional", False),
        ("data_2", "positional", True),
        ("key", "keyword", False),
    ]
    assert (found.has_varargs, found.has_kwargs) == (True, True)
    assert found.tests == (("test_output", 12),)
    assert found.imports == ("mage_ai", "os", "pandas")
    assert found.problem is None


@pytest.mark.parametrize("head", ["@custom", "@custom()", "@sb.custom", "@renamed", "@custom\nasync"])
def test_decorator_is_found_in_every_spelling(head):
    text = f"from spellbook_core import custom as renamed\n{head}" + ("" if head.endswith("async") else "\n")
    assert inspect(f"{text} def f(): pass".replace("\n def", "\ndef"), "custom", "f.py").function == "f"


@pytest.mark.parametrize(
    ("text", "code", "line", "hint"),
    [
        ("x = (\n", "SB-PRJ-010", 1, "correct that line"),
        ("a = 1\nb = = 2\n", "SB-PRJ-010", 2, "correct that line"),
        ("x = 1\0", "SB-PRJ-010", 1, "correct that line"),
        ("(" * 100_000, "SB-PRJ-010", 1, "correct that line"),
        ("", "SB-PRJ-011", None, "write a function with @custom"),
        ("def f(): pass", "SB-PRJ-011", 1, "write @custom above 'def f'"),
        ("@transformer\ndef f(): pass", "SB-PRJ-011", 2, "change @transformer above 'def f' to @custom"),
    ],
    ids=["open", "syntax", "null byte", "parens", "empty", "plain", "other"],
)
def test_problem_says_what_to_do(text, code, line, hint):
    problem = inspect(text, "custom", "f.py").problem
    assert (problem.code, problem.line) == (code, line)
    assert hint in problem.hint
    assert "f.py" in problem.message


def test_second_main_function_warns():
    text = "@custom\ndef a(): pass\n@custom\ndef b(): pass\n"
    assert inspect(text, "custom", "f.py").warnings == (
        "Only the first function with @custom runs, 'a'; not 'b' (line 4).",
    )


def test_types_without_function_have_no_problem():
    assert inspect("print(1)", "scratchpad", "s.py").problem is None
    assert inspect("select 1", "transformer", "s.sql", language="sql").problem is None


@pytest.mark.parametrize(
    ("signature", "parents", "complaint"),
    [
        ("data, *args, **kwargs", 1, None),
        ("*args, **kwargs", 0, None),
        ("*args", 5, None),
        ("a, b", 1, None),
        ("", 0, None),
        ("a, b=1", 2, None),
        ("", 1, None),
        ("a, b, logger", 2, None),
        ("a", 2, "takes only 1"),
        ("a", 0, "needs 1 value (a)"),
        ("a, b, c", 2, "needs 3 values"),
    ],
)
def test_parents_are_matched_with_parameters(signature, parents, complaint):
    found = fits(inspect(f"@custom\ndef f({signature}): pass", "custom", "f.py"), parents)
    assert found is None if complaint is None else complaint in found


def test_static_imports_are_third_party_only(tmp_path):
    project = Workspace.open(tmp_path, create=True).new_project("demo")
    (project.root / "custom").mkdir(parents=True)
    (project.root / "utils.py").write_text("import scipy.stats")
    (project.root / "custom" / "a.py").write_text(
        "import os, torch.nn\nfrom pandas import DataFrame\n"
        "import utils, demo.x, spellbook_core, mage_ai\ndef f():\n import duckdb"
    )
    (project.root / "custom" / "broken.py").write_text("import (")
    (project.root / ".venv").mkdir()
    (project.root / ".venv" / "x.py").write_text("import never")
    assert static_imports(project) == {"torch", "pandas", "scipy", "duckdb"}
    (project.root / "custom" / "a.py").write_text("import polars")
    assert static_imports(project) == {"polars", "scipy"}
