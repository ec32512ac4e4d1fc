"""No module and no function grows without limit: every well-known project has one file that did."""

from __future__ import annotations

import ast

MODULE_LINES = 600
FUNCTION_LINES = 60
CATCH_ALL = {"utils", "util", "common", "helpers", "misc"}


def code_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's lines from its first statement after the docstring to its end."""
    body = node.body
    if (
        isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    ):
        body = body[1:]
    return (node.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_modules_stay_below_ceiling(sources):
    long = {str(path): text.count("\n") for path, (text, _) in sources.items() if text.count("\n") > MODULE_LINES}
    assert long == {}


def test_functions_stay_below_ceiling(sources):
    long = {}
    for path, (_, tree) in sources.items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and code_lines(node) > FUNCTION_LINES:
                long[f"{path.name}:{node.name}"] = code_lines(node)
    assert long == {}


def test_no_module_is_a_catch_all(sources):
    assert [str(path) for path in sources if path.stem in CATCH_ALL or path.parent.name in CATCH_ALL] == []
