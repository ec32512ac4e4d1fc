"""Write the reference pages that are produced from the product itself: errors, settings, command line.

Run `python docs/build.py` after a change; a test fails when a page is not fresh.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from dataclasses import fields
from pathlib import Path

import click
import yaml

import spellbook_core
from spellbook_core.cli.main import cli
from spellbook_core.errors import SpellbookError
from spellbook_core.settings import Settings

HERE = Path(__file__).parent
NOT_IMPORTED = ("spellbook_core.ui.page", "spellbook_core.project.templates")


def errors_page() -> str:
    """Return the table of every error code, by area."""
    for module in pkgutil.walk_packages(spellbook_core.__path__, "spellbook_core."):
        if not module.name.startswith(NOT_IMPORTED) and not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: dict[str, type[SpellbookError]] = {}
    stack: list[type[SpellbookError]] = [SpellbookError]
    while stack:
        for cls in stack.pop().__subclasses__():
            found[cls.code] = cls
            stack.append(cls)
    rows = [f"| {code} | {cls.__name__} | {summary(cls)} |" for code, cls in sorted(found.items())]
    head = "# Errors\n\nEvery error has a code that is never reused, says what happened, and names the next action.\n\n"
    return head + "\n".join(["| code | class | meaning |", "|---|---|---|", *rows]) + "\n"


def summary(thing: object) -> str:
    """Return the first paragraph of a docstring on one line, safe inside a table."""
    text = inspect.getdoc(thing) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def settings_page() -> str:
    """Return every setting with its environment variable, default and meaning."""
    meanings = dict(attribute_lines(Settings))
    rows = [
        f"| `{f.name}` | `SPELLBOOK_{f.name.upper()}` | `{f.default}` | {meanings[f.name]} |" for f in fields(Settings)
    ]
    head = "# Settings\n\nOrder: command line, then the environment, then the default.\n\n"
    table = "\n".join(["| setting | environment | default | meaning |", "|---|---|---|---|", *rows])
    return head + table + "\n\n`SPELLBOOK_WORKSPACE` names the folder to serve, `SPELLBOOK_TOKEN` the access token.\n"


def attribute_lines(cls: type) -> list[tuple[str, str]]:
    """Return (name, text) of the `Attributes:` section of a Google docstring."""
    section = (inspect.getdoc(cls) or "").split("Attributes:\n", 1)[1]
    found: list[tuple[str, str]] = []
    for line in section.splitlines():
        if line.startswith("    ") and not line.startswith("     "):
            name, text = line.strip().split(": ", 1)
            found.append((name, text))
        elif line.strip() and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
    return found


def command_line_page() -> str:
    """Return the help of every command."""
    parts = ["# Command line\n"]
    context = click.Context(cli, info_name="spellbook", terminal_width=100, **cli.context_settings)
    parts.append(f"```text\n{cli.get_help(context)}\n```\n")
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        if command is None:
            continue
        sub = click.Context(command, info_name=name, parent=context, terminal_width=100)
        parts.append(f"## spellbook {name}\n\n```text\n{command.get_help(sub)}\n```\n")
    return "\n".join(parts)


def guarantees_page() -> str:
    """Return every promise with the tests that prove it, or why there is none."""
    promises: dict[str, str] = yaml.safe_load((HERE / "guarantees.yaml").read_text(encoding="utf-8"))
    proofs: dict[str, list[str]] = {}
    for path in sorted((HERE.parent / "tests").rglob("test_*.py")):
        marked = re.findall(
            r"((?:@pytest\.mark\.[^\n]+\n\s*)+)(?:async )?def (test_\w+)", path.read_text(encoding="utf-8")
        )
        for decorators, test in marked:
            for number in re.findall(r"guarantee\([\"']([FN]\d+)[\"']\)", decorators):
                proofs.setdefault(number, []).append(f"`{path.relative_to(HERE.parent)}::{test}`")
    rows = [
        f"| {number} | {promise} | {'<br>'.join(proofs.get(number, [])) or 'no test of its own yet'} |"
        for number, promise in promises.items()
    ]
    head = "# Guarantees\n\nN: against attack. F: under faults. Each with the tests that carry its number.\n\n"
    return head + "\n".join(["| number | promise | proof |", "|---|---|---|", *rows]) + "\n"


PAGES = {
    "guarantees.md": guarantees_page,
    "errors.md": errors_page,
    "settings.md": settings_page,
    "command-line.md": command_line_page,
}


if __name__ == "__main__":
    for page, render in PAGES.items():
        (HERE / page).write_text(render(), encoding="utf-8")
    sys.exit(0)
