"""What the house tests share: the sources, parsed once."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "spellbook_core"


@cache
def product_sources() -> dict[Path, tuple[str, ast.Module]]:
    """Return every module of the product: path -> text and syntax tree."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if "node_modules" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        found[path] = (text, ast.parse(text, str(path)))
    return found


@pytest.fixture(scope="session")
def sources() -> dict[Path, tuple[str, ast.Module]]:
    return product_sources()


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
