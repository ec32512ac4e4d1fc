"""The repository's own shape: what lies at the top, and what must never be committed."""

from __future__ import annotations

import re
import subprocess

import pytest

TOP_LEVEL = {
    *(".ci", ".gitattributes", ".gitignore", ".streamlit", "CHANGELOG.md", "LICENSE", "Makefile", "README.md"),
    *("SECURITY.md", "app.py", "blocks", "docs", "projects", "pyproject.toml", "requirements.lock"),
    *("spellbook_core", "tests"),
}
HOSTS = re.compile(r"https?://[a-z0-9.-]*(npmjs|pypi|pythonhosted|debian|yarnpkg)[a-z0-9.-]*/?", re.IGNORECASE)


def tracked(root) -> list[str]:
    result = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True)
    return [name for name in result.stdout.split("\0") if name and (root / name).is_file()]


@pytest.fixture(scope="module")
def files(root) -> list[str]:
    if not (root / ".git").exists():
        return sorted(str(p.relative_to(root)) for top in TOP_LEVEL for p in (root / top).rglob("*") if p.is_file())
    return tracked(root)


def test_top_level_holds_what_a_repository_needs(root, files):
    assert {name.split("/")[0] for name in files} <= TOP_LEVEL
    assert {"pyproject.toml", "app.py", "blocks", "projects", "spellbook_core", "tests"} <= {
        n.split("/")[0] for n in files
    }


def test_no_file_names_a_registry_host(root, files):
    hits = []
    for name in files:
        try:
            text = (root / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        hits.extend(f"{name}: {match.group()}" for match in HOSTS.finditer(text))
    assert hits == []


def test_app_is_a_short_starter(root):
    assert len((root / "app.py").read_text(encoding="utf-8").splitlines()) <= 20


@pytest.mark.guarantee("N40")
def test_security_contact_is_stated(root):
    text = (root / "SECURITY.md").read_text(encoding="utf-8")
    assert "Reporting" in text
    assert "Threat model" in text
    assert "Supported versions" in text


def test_every_large_file_is_meant_to_be_here(root, files):
    """A bundle or a sample may be large; a database or a model that slipped in may not."""
    large = {name: (root / name).stat().st_size for name in files if (root / name).stat().st_size > 1_500_000}
    assert large == {}
