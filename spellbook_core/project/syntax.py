"""The syntax tree of a text that several look at in a row: parsed once and walked once. Nobody changes it."""

from __future__ import annotations

import ast
import warnings
from functools import lru_cache


@lru_cache(maxsize=2)
def tree_of(text: str) -> ast.Module:
    """Return the syntax tree, without telling our log about a person's escape sequences; to be read only.

    Raises:
        SyntaxError: It is no Python; ValueError, RecursionError and MemoryError likewise.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


@lru_cache(maxsize=2)
def nodes_of(text: str) -> tuple[ast.AST, ...]:
    """Return all nodes of the tree in the order of `ast.walk`. Raises what `tree_of` raises."""
    return tuple(ast.walk(tree_of(text)))
