"""The process that installs what a person clicked: it goes on when the page is closed.

Started as `python boot.py spellbook_core.services.installing [WORKSPACE, PROJECT, PIPELINE, [PACKAGE, ...]]`, one
argument of JSON, so that no name can be an option.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from spellbook_core.errors import SpellbookError, render_error
from spellbook_core.services import environments
from spellbook_core.services.wiring import open_context


def main() -> None:
    """Install, in a process that has no parent; what went wrong is in the environment's report."""
    workspace, project, pipeline, packages = json.loads(sys.argv[1])
    if os.fork():
        os._exit(0)  # nothing was opened yet, and this process is single-threaded
    context = open_context(Path(workspace))
    try:
        environments.install(context, project, pipeline, packages, lambda line: None)
    except SpellbookError as error:
        sys.exit(render_error(error.to_dict()))
    finally:
        context.close()
