"""The committed front ends are what their sources give."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

COMPONENTS = Path(__file__).resolve().parents[2] / "spellbook_core" / "ui" / "components"
FRONT_END = COMPONENTS / "frontend"
NAMES = ["editor", "live"]


def built_file(name: str, root: Path = COMPONENTS) -> Path:
    files = list((root / name / "static").glob(f"{name}-*.js"))
    assert len(files) == 1, f"expected one built file of {name}, found {files}; run: npm run build"
    return files[0]


def hash_of_sources() -> str:
    """As build.mjs counts it: the same files, in the same order and form."""
    names = [f"src/{path.name}" for path in (FRONT_END / "src").iterdir()]
    digest = hashlib.sha256()
    for name in sorted([*names, "build.mjs", "package.json", "package-lock.json"]):
        digest.update(f"{name}\n".encode())
        digest.update((FRONT_END / name).read_text(encoding="utf-8").replace("\r\n", "\n").encode())
    return digest.hexdigest()


@pytest.mark.parametrize("name", NAMES)
def test_built_file_names_its_sources(name: str) -> None:
    header = built_file(name).read_text(encoding="utf-8")[:200]
    assert f"sources sha256 {hash_of_sources()}" in header, "sources changed: run npm run build and commit the result"


@pytest.mark.parametrize("name", NAMES)
def test_built_file_carries_the_hash_of_its_content(name: str) -> None:
    path = built_file(name)
    assert path.stem == f"{name}-{hashlib.sha256(path.read_bytes()).hexdigest()[:10]}"


def test_licences_of_bundled_packages_are_shipped() -> None:
    text = (COMPONENTS / "editor" / "static" / "LICENSES.txt").read_text(encoding="utf-8")
    header = built_file("editor").read_text(encoding="utf-8").split("*/", 1)[0]
    for package in ("@codemirror/view", "@codemirror/state", "@lezer/common", "@lezer/python", "style-mod"):
        assert package in text
        assert package in header
    assert "Permission is hereby granted, free of charge" in text


def test_manifest_names_every_component() -> None:
    manifest = tomllib.loads((COMPONENTS.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    distribution = tomllib.loads((COMPONENTS.parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert manifest["project"] == {key: distribution["project"][key] for key in ("name", "version")}
    entries = {one["name"]: one["asset_dir"] for one in manifest["tool"]["streamlit"]["component"]["components"]}
    assert entries == {name: f"ui/components/{name}/static" for name in NAMES}


def test_lock_file_names_no_host() -> None:
    assert not re.search(r"https?://(?!opencollective|github|paulmillr)", (FRONT_END / "package-lock.json").read_text())


def test_rebuilding_gives_the_same_files(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None or not (FRONT_END / "node_modules" / "esbuild").is_dir():
        pytest.skip(
            "needs node and `npm ci` in spellbook_core/ui/components/frontend; the recorded hash is checked anyway"
        )
    subprocess.run([node, "build.mjs", str(tmp_path)], cwd=FRONT_END, check=True, timeout=120)
    for name in NAMES:
        assert built_file(name, tmp_path).read_bytes() == built_file(name).read_bytes()
