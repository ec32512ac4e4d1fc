"""`spellbook doctor`: what is installed, where, and whether it can work."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys

import click

from spellbook_core.cli.output import print_json, say
from spellbook_core.cli.places import find_place
from spellbook_core.errors import SpellbookError
from spellbook_core.model.values import JsonObject
from spellbook_core.services import engines, servers

PACKAGES = ("spellbook", "streamlit", "torch", "pandas", "pyarrow", "duckdb")
LOW_DISK_BYTES = 1024**3


@click.command()
@click.argument("path", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(path: str | None, as_json: bool) -> None:
    """Show versions, the workspace, its engine and its disk; nothing is started and no library is loaded."""
    report: JsonObject = {
        "python": platform.python_version(),
        "executable": sys.executable,
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
    }
    problems = [f"the package '{name}' is not installed" for name in PACKAGES if _version(name) is None]
    try:
        place = find_place(path)
    except SpellbookError as error:
        report["workspace"] = None
        problems.append(error.message)
    else:
        context = place.context()
        engine = engines.status(context)
        context.close()
        server = servers.running(place.workspace)
        aside = engines.set_aside(context)
        free = shutil.disk_usage(place.workspace.root).free
        report["workspace"] = str(place.workspace.root)
        report["engine"] = f"running, pid {engine.pid}" if engine.is_running else engine.problem
        report["page"] = servers.address(server.host, server.port) if server else "not served"
        report["free_disk_bytes"] = free
        if aside:
            problems.append(f"a damaged run store was replaced and its history read back; kept: {', '.join(aside)}")
        if free < LOW_DISK_BYTES:
            problems.append(f"only {free // 2**20} MB of disk are free")
    report["problems"] = list(problems)
    if as_json:
        print_json(report)
        return
    del report["problems"]
    for name, value in report.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        say(f"{name.replace('_', ' '):<16} {'none' if value is None else shown}")
    for number, problem in enumerate(problems or ["none"]):
        say(f"{'' if number else 'problems':<16} {problem}")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
