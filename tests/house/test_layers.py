"""The architecture is a contract in the build file, and the style is checked: import-linter, ruff, mypy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of the environment that runs the tests, in `root`."""
    tool = str(Path(sys.executable).with_name(command[0]))
    return subprocess.run([tool, *command[1:]], cwd=root, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [
        ("lint-imports", "--no-cache"),
        ("ruff", "check", "--no-cache", "."),
        ("ruff", "format", "--no-cache", "--check", "."),
        ("mypy", "--no-error-summary"),
    ],
    ids=["layers", "ruff", "format", "types"],
)
def test_checker_finds_nothing(root, command):
    result = run(root, *command)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-2000:]


def test_layer_contract_bites(root, tmp_path):
    """A contract that cannot fail is no contract: an import that goes up must be refused."""
    package = tmp_path / "layered"
    (package / "low").mkdir(parents=True)
    (package / "high").mkdir()
    (package / "__init__.py").write_text("")
    (package / "high" / "__init__.py").write_text("")
    (package / "low" / "__init__.py").write_text("def late():\n    import layered.high\n")
    (tmp_path / "pyproject.toml").write_text(
        '[tool.importlinter]\nroot_package = "layered"\n'
        '[[tool.importlinter.contracts]]\nname = "layers"\ntype = "layers"\ncontainers = ["layered"]\n'
        'exhaustive = true\nlayers = ["high", "low"]\n'
    )
    result = run(tmp_path, "lint-imports", "--no-cache")
    assert result.returncode == 1
    assert "layered.low -> layered.high" in result.stdout
