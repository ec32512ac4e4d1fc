"""Write the reference pages that are produced from the product itself: errors, settings, command line.

Run `python docs/build.py` after a change; a test fails when a page is not fresh.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
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
    """Return every promise with the tests that prove it, or why there is none and what is lost by that.

    A promise in guarantees.yaml is a text, or `promise` with `unproven`: the reason.
    """
    promises: dict[str, str | dict[str, str]] = yaml.safe_load((HERE / "guarantees.yaml").read_text(encoding="utf-8"))
    proofs: dict[str, list[str]] = {}
    for path in [
        *sorted((HERE.parent / "tests").rglob("test_*.py")),
        *sorted((HERE.parent / "tests").rglob("*_contract.py")),
    ]:
        place = path.relative_to(HERE.parent)
        for number, test in markers(ast.parse(path.read_text(encoding="utf-8"))):
            proofs.setdefault(number, []).append(f"`{place}::{test}`")
    rows = []
    for number, entry in promises.items():
        promise = entry if isinstance(entry, str) else entry["promise"]
        without = "no test of its own yet" if isinstance(entry, str) else entry["unproven"]
        rows.append(f"| {number} | {promise} | {'<br>'.join(proofs.get(number, [])) or without} |")
    head = "# Guarantees\n\nN: against attack. F: under faults. Each with the tests that carry its number.\n\n"
    return head + "\n".join(["| number | promise | proof |", "|---|---|---|", *rows]) + "\n"


def markers(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield (number, test) of each `guarantee` marker: on a function, its class, a parameter, or the whole module."""
    of_module = [
        number
        for node in tree.body
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "pytestmark" for target in node.targets)
        for number in numbers(node.value)
    ]
    for node in tree.body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        of_class = [n for one in node.decorator_list for n in numbers(one)] if isinstance(node, ast.ClassDef) else []
        for test in inside:
            if isinstance(test, (ast.FunctionDef, ast.AsyncFunctionDef)) and test.name.startswith("test_"):
                own = [number for one in test.decorator_list for number in numbers(one)]
                for number in dict.fromkeys([*of_module, *of_class, *own]):
                    yield number, test.name


def numbers(node: ast.AST) -> Iterator[str]:
    """Yield the numbers of the `guarantee("F5")` calls in an expression."""
    for one in ast.walk(node):
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "guarantee":
            for argument in one.args:
                if isinstance(argument, ast.Constant) and re.fullmatch(r"[FN]\d+", str(argument.value)):
                    yield str(argument.value)


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
