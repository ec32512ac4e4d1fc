"""What a block file declares, read from its syntax tree. Nothing of it is ever executed or imported here."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from spellbook_core.decorators import BLOCK_DECORATORS
from spellbook_core.errors import SpellbookError
from spellbook_core.model.outcome import ErrorReport
from spellbook_core.model.values import JsonValue
from spellbook_core.project.containment import inside
from spellbook_core.project.layout import ProjectLayout
from spellbook_core.project.otherfiles import headline
from spellbook_core.project.syntax import nodes_of, tree_of

SYNTAX_ERROR = "SB-PRJ-010"
NO_FUNCTION = "SB-PRJ-011"

SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "venv", "env", "site-packages"})
"""Folders of a project that hold no code of its own."""

MAX_SCANNED_FILES = 2_000
"""Most modules of a project that are read for their imports; a project has tens."""

OWN_PACKAGES = frozenset({"spellbook_core", "mage_ai", "default_repo", "__future__"})
"""Importable in every block without being installed for it."""

KEYWORDS = frozenset(
    [
        *("block_uuid", "configuration", "context", "ds", "env", "event", "execution_date", "execution_partition"),
        *("hr", "interval_end_datetime", "interval_seconds", "interval_start_datetime", "logger", "pipeline_run_id"),
        *("interval_start_datetime_previous", "pipeline_uuid", "repo_path", "trigger_name", "dynamic_block_index"),
    ]
)
"""What a block gets by name in addition to the variables; `worker.arguments` gives it."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Parameter:
    """One named parameter; `kind` is `positional` or `keyword` (keyword-only)."""

    name: str
    kind: str
    has_default: bool


@dataclass(frozen=True, slots=True)
class BlockSource:
    """What a block file declares.

    Attributes:
        function: The name of the function that runs; None when there is none, or for types without one.
        line: 1-based line of its `def`.
        docstring: The function's docstring, else the module's; empty when there is none.
        tests: The `@test` functions with their lines.
        imports: Top-level names of the modules imported anywhere in the file, sorted.
        problem: Why the file cannot run as this block; None when nothing speaks against it.
        warnings: What a person should know though it runs.
    """

    function: str | None = None
    line: int | None = None
    parameters: tuple[Parameter, ...] = ()
    has_varargs: bool = False
    has_kwargs: bool = False
    docstring: str = ""
    tests: tuple[tuple[str, int], ...] = ()
    imports: tuple[str, ...] = ()
    problem: ErrorReport | None = None
    warnings: tuple[str, ...] = ()


def inspect(text: str, block_type: str, filename: str, *, language: str = "python") -> BlockSource:
    """Return what the text of a block file declares, by its syntax alone.

    Args:
        text: The file's text, however broken.
        block_type: Decides which decorator is looked for; types that run no function have no such problem.
        filename: For messages.
        language: Of other languages than Python the comment at the top is read, and of SQL its expressions.
    """
    if language != "python":
        problem = _expression_problem(text, filename) if language == "sql" else None
        return BlockSource(docstring=headline(text, language), problem=problem)
    try:
        tree, nodes = tree_of(text), nodes_of(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as cause:
        return BlockSource(problem=_syntax_problem(cause, filename))
    aliases = _decorator_aliases(nodes)
    functions = sorted(
        (node for node in nodes if isinstance(node, Function)), key=lambda node: (node.lineno, node.col_offset)
    )
    tests = tuple((node.name, node.lineno) for node in functions if "test" in _decorators(node, aliases))
    imports = tuple(sorted(set(_imported(nodes))))
    module_doc = ast.get_docstring(tree) or ""
    decorator = BLOCK_DECORATORS.get(block_type)
    if decorator is None:
        return BlockSource(docstring=module_doc, tests=tests, imports=imports)
    found = [node for node in functions if decorator in _decorators(node, aliases)]
    if not found:
        problem = _missing_function(decorator, functions, aliases, filename)
        return BlockSource(docstring=module_doc, tests=tests, imports=imports, problem=problem)
    main = found[0]
    notes = []
    if len(found) > 1:
        others = ", ".join(f"'{node.name}' (line {node.lineno})" for node in found[1:])
        notes.append(f"Only the first function with @{decorator} runs, '{main.name}'; not {others}.")
    return BlockSource(
        function=main.name,
        line=main.lineno,
        parameters=_parameters(main.args),
        has_varargs=main.args.vararg is not None,
        has_kwargs=main.args.kwarg is not None,
        docstring=ast.get_docstring(main) or module_doc,
        tests=tests,
        imports=imports,
        warnings=tuple(notes),
    )


def fit(source: BlockSource, parents: int, named: Collection[str] = ()) -> str | None:
    """Return why the function cannot take one positional argument per parent, or None when it can.

    One parent that returns several outputs may fill several parameters; that is known only when it has run, so a
    single parent is never said to be too few. A function that takes no value at all gets none: its parents only order
    it. `named` are the variables that fill a parameter of their name.
    """
    if source.function is None:
        return None
    positional = [parameter for parameter in source.parameters if parameter.kind == "positional"]
    late = {item.name for item in positional[parents:] if item.name in KEYWORDS or item.name in named}
    required = [item.name for item in positional if not item.has_default and item.name not in late]
    given = "no parent" if parents == 0 else f"{parents} parents" if parents > 1 else "1 parent"
    if positional and parents > len(positional) and not source.has_varargs:
        return (
            f"'{source.function}' is given one value per parent and the block has {given}, but it takes only "
            f"{len(positional)}: add parameters, or *args."
        )
    if len(required) > parents and parents != 1:
        names = ", ".join(required)
        return (
            f"'{source.function}' needs {len(required)} value{'s' * (len(required) > 1)} ({names}), but the block has "
            f"{given}: link its parents."
        )
    return None


def static_imports(project: ProjectLayout) -> frozenset[str]:
    """Return the third-party packages that a project's Python files import anywhere, by their import names.

    Read from syntax trees, nothing is imported. The standard library, the project's own modules and files that do not
    parse are left out; so is what only a string names. Unchanged files are not read again.
    """
    local = {project.name, project.root.name} | OWN_PACKAGES
    try:
        local |= {entry.name.removesuffix(".py") for entry in os.scandir(project.root)}
    except OSError:
        return frozenset()
    found: set[str] = set()
    for path in python_files(project.root):
        try:
            inside(project.root, path)
            state = path.stat()
        except (OSError, SpellbookError):
            continue
        found |= _file_imports(str(path), state.st_mtime_ns, state.st_size)
    return frozenset(found - local - sys.stdlib_module_names)


def python_files(root: Path) -> Iterator[Path]:
    """Yield the Python files below `root`, hidden and foreign folders left out, at most `MAX_SCANNED_FILES`."""
    count = 0
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name[0] != "." and name not in SKIPPED_FOLDERS)
        for name in sorted(files):
            if name.endswith(".py") and name[0] != ".":
                yield Path(folder, name)
                count += 1
                if count >= MAX_SCANNED_FILES:
                    return


@lru_cache(maxsize=4 * MAX_SCANNED_FILES)
def _file_imports(path: str, mtime_ns: int, size: int) -> frozenset[str]:
    """Read once per (path, modification time, size)."""
    if size > 2_000_000:
        return frozenset()
    try:
        nodes = nodes_of(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    return frozenset(_imported(nodes))


def _imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0]


def _decorator_aliases(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Return local name -> imported name for `from … import transformer as t`."""
    return {
        alias.asname: alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }


def _decorators(node: Function, aliases: dict[str, str]) -> set[str]:
    names = set()
    for decorator in node.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(target, ast.Attribute):
            names.add(target.attr)
        elif isinstance(target, ast.Name):
            names.add(aliases.get(target.id, target.id))
    return names


def _parameters(arguments: ast.arguments) -> tuple[Parameter, ...]:
    positional = [*arguments.posonlyargs, *arguments.args]
    first_default = len(positional) - len(arguments.defaults)
    found = [Parameter(item.arg, "positional", index >= first_default) for index, item in enumerate(positional)]
    found.extend(
        Parameter(item.arg, "keyword", default is not None)
        for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    )
    return tuple(found)


def _syntax_problem(cause: BaseException, filename: str) -> ErrorReport:
    line = getattr(cause, "lineno", None) or 1
    column = getattr(cause, "offset", None) or 1
    what = getattr(cause, "msg", None) or str(cause) or "it is nested too deeply"
    return ErrorReport(
        code=SYNTAX_ERROR,
        message=f"{filename}, line {line}, column {column}: {what}.",
        hint="correct that line.",
        facts={"file": filename, "line": line, "column": column},
        exception=f"{type(cause).__name__}: {what}",
        line=line,
    )


def _expression_problem(text: str, filename: str) -> ErrorReport | None:
    """Return what is wrong with the form of the `{{ }}` of a SQL text; nothing of it is evaluated."""
    if "{{" not in text and "{%" not in text:
        return None
    from jinja2 import Environment, TemplateSyntaxError

    try:
        Environment(autoescape=True).parse(text)
    except TemplateSyntaxError as cause:
        message = f"{filename}, line {cause.lineno}: {cause.message}"
        hint = "correct the expression between the braces."
        facts: dict[str, JsonValue] = {"file": filename, "line": cause.lineno}
        return ErrorReport(SYNTAX_ERROR, message, hint, facts, line=cause.lineno)
    except (ValueError, RecursionError):
        return None
    return None


def _missing_function(decorator: str, functions: list[Function], aliases: dict[str, str], filename: str) -> ErrorReport:
    other = next(
        (
            (node, name)
            for node in functions
            for name in BLOCK_DECORATORS.values()
            if name != decorator and name in _decorators(node, aliases)
        ),
        None,
    )
    plain = next((node for node in functions if not node.decorator_list and node.col_offset == 0), None)
    line = None
    if other is not None:
        line = other[0].lineno
        hint = f"change @{other[1]} above 'def {other[0].name}' to @{decorator}."
    elif plain is not None:
        line = plain.lineno
        hint = f"write @{decorator} above 'def {plain.name}' (line {line})."
    else:
        hint = f"write a function with @{decorator} above its 'def'."
    return ErrorReport(
        code=NO_FUNCTION,
        message=f"{filename} has no function with @{decorator}, so the block has nothing to run.",
        hint=hint,
        facts={"file": filename, "decorator": decorator},
        line=line,
    )
