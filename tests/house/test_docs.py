"""The docs are produced by running the product, their code runs, and their links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def builder(root):
    spec = importlib.util.spec_from_file_location("docs_build", root / "docs" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages(root):
    return [root / "README.md", root / "SECURITY.md", *sorted((root / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", ["guarantees.md", "errors.md", "settings.md", "command-line.md"])
def test_reference_page_is_fresh(builder, root, page):
    assert (root / "docs" / page).read_text(encoding="utf-8") == builder.PAGES[page](), "run: python docs/build.py"


def test_links_lead_somewhere(root):
    broken = []
    for page in pages(root):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name} -> {target}")
    assert broken == []


def test_python_in_the_docs_runs(root, tmp_path):
    """Blocks marked ```python are executed as they stand; a fragment that cannot run is marked ```py."""
    count = 0
    for page in pages(root):
        for code in re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            result = subprocess.run(
                [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert result.returncode == 0, f"{page.name}:\n{code}\n{result.stderr}"
            count += 1
    assert count >= 4


def test_every_guarantee_named_in_a_test_is_listed(root):
    listed = (root / "docs" / "guarantees.md").read_text(encoding="utf-8")
    named = set()
    for path in (root / "tests").rglob("test_*.py"):
        named.update(re.findall(r"guarantee\([\"']([FN]\d+)[\"']\)", path.read_text(encoding="utf-8")))
    assert named
    assert sorted(name for name in named if f"| {name} |" not in listed) == []
