"""Processes of ours under another interpreter: how they are started, and what they find in their environment."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from spellbook_core.project.state_folder import environment_digest
from spellbook_core.worker import boot

OWN_PYTHON = "SPELLBOOK_PYTHON"
"""Names Spellbook's own interpreter to processes of another one."""


def command_of(python: str | None, module: str) -> list[str]:
    """Return the start of the command line that runs `main` of one of our modules; None is our own interpreter."""
    return [sys.executable, "-P", "-m", module] if python is None else [python, boot.__file__, module]


def variables_of(python: str | None) -> dict[str, str]:
    """Return the environment variables of such a process: ours, but for what says where Python is.

    Our own packages are named by PYTHONPATH when the engine was started from a checkout; another interpreter must not
    find them there.
    """
    variables = dict(os.environ)
    if python is None:
        return variables
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        variables.pop(name, None)
    root = str(Path(boot.__file__).parents[2])
    kept = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != root]
    if kept:
        variables["PYTHONPATH"] = os.pathsep.join(kept)
    prefix = Path(python).parent.parent
    if environment_digest(python) is not None or (prefix / "pyvenv.cfg").is_file():
        variables["VIRTUAL_ENV"] = str(prefix)
    variables["PATH"] = os.pathsep.join([str(Path(python).parent), os.environ.get("PATH", os.defpath)])
    variables[OWN_PYTHON] = sys.executable
    return variables
