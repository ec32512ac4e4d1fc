"""Run a scratchpad: a plain Python text, executed from top to bottom; the value of its last line is shown."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from spellbook_core.worker.load import load_block, source_of

if TYPE_CHECKING:
    from spellbook_core.model.task import BlockTask

_RESULT = "__spellbook_result__"


def run_scratchpad(task: BlockTask) -> object:
    """Return the value of the text's last statement when that is an expression, else None.

    Raises:
        BlockSyntaxError: The text is no Python. [SB-WRK-002]
        BaseException: Whatever the text raises.
    """
    module, _ = load_block(replace(task, source=with_result(source_of(task))))
    return vars(module).get(_RESULT)


def with_result(text: str) -> str:
    """Return `text` with its last expression kept under a name; lines stay where they are."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text  # loading it says what is wrong
    last = body[-1] if body else None
    if not isinstance(last, ast.Expr) or last.col_offset or last.end_lineno is None or last.end_col_offset is None:
        return text
    lines = text.splitlines(keepends=True)
    end = lines[last.end_lineno - 1].encode()
    cut = last.end_col_offset
    lines[last.end_lineno - 1] = end[:cut].decode() + ")" + end[cut:].decode()
    lines[last.lineno - 1] = f"{_RESULT} = ({lines[last.lineno - 1]}"
    return "".join(lines)
