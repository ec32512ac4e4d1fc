"""What a text of Python means, whatever its comments, docstrings and layout; and what it asks of its surroundings.

Read from the syntax tree alone: nothing is imported or executed.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from spellbook_core.atomic import content_hash
from spellbook_core.decorators import BLOCK_DECORATORS
from spellbook_core.project.secrets import is_secret_name

MOMENTS = frozenset(
    {
        *("execution_date", "ds", "hr", "execution_partition", "pipeline_run_id", "trigger_name", "env"),
        "interval_start_datetime",
    }
)
"""Keyword arguments of every block that differ from run to run."""

REST = "(other statements)"
"""Stands for the top-level statements that bind no name."""

_CURRENT_RUN = {
    "run_id": "pipeline_run_id",
    "block_run_id": "pipeline_run_id",
    "attempt": "pipeline_run_id",
    "execution_date": "execution_date",
    "trigger": "trigger_name",
}
_OPAQUE_CALLS = frozenset({"locals", "vars", "eval", "exec"})
_OPAQUE_NAME = "f_locals"
_TRANSPARENT = frozenset({"no_grad", "inference_mode", "enable_grad"})
"""Decorators of others that hand a function what it is called with, and look at nothing of it."""

_OUTSIDE = ("mage_ai.data_preparation.variable_manager", "mage_ai.orchestration.triggers")
"""Modules that read another pipeline's variables and outputs, or start one: what comes of it is not in the text."""

_IMPORTERS = frozenset({"import_module", "__import__"})
_DECORATORS = frozenset({*BLOCK_DECORATORS.values(), "test", "preprocesser"})

NAMED = "$"
"""Begins the module of an `ImportRef` that stands for a variable of the environment, not for a module."""

ALL_SECRETS = f"{NAMED}*"
"""Stands for every secret of the project: the text reads `io_config.yaml`, whatever it takes from there."""

READS_VARIABLES = f"{NAMED}="
"""Stands for reading variables of the environment: those that are named count then, whether they are secrets or not."""

_ALL_READERS = frozenset({"ConfigFileLoader", "io_config.yaml"})
_READERS = frozenset(
    {"environ", "environb", "getenv", "getenvb", "env_var", "secret", "get_secret_value", "mage_secret_var"}
)
"""Words that say that a variable is read: its name is then any text that can be one."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")

Function = ast.FunctionDef | ast.AsyncFunctionDef
_USES = ast.Attribute | ast.Name


@dataclass(frozen=True, slots=True)
class ImportRef:
    """One import: `level` dots, the dotted module, and the names taken from it (`*` for all)."""

    level: int
    module: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What a file says.

    Attributes:
        digest: Equal for texts that differ only in comments, docstrings and layout.
        names: Top-level name -> digest of the statements that bind it; `REST` for those that bind none.
        imports: Every import anywhere in it, and what it may read of its environment: each text in it that is the
            name of a variable, with `NAMED` before it; see `ALL_SECRETS` and `READS_VARIABLES`.
        keywords: The keyword arguments that its decorated functions can see; None when that cannot be told.
        mentions: The `MOMENTS` that occur in it as a word, in whatever role.
        asked: The `MOMENTS` that it asks `current_run()` for.
    """

    digest: str
    names: dict[str, str] = field(default_factory=dict, hash=False)
    imports: frozenset[ImportRef] = frozenset()
    keywords: frozenset[str] | None = None
    mentions: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()


@lru_cache(maxsize=4096)
def facts_of(text: str) -> SourceFacts:
    """Return the facts of a Python text; one that does not parse is known by its bytes."""
    try:
        tree = parse(text)
        nodes = _walk(tree)
        if not any(isinstance(node, ast.Attribute | ast.Name) and _word(node) == "__doc__" for node in nodes):
            _drop_docstrings(nodes)
        dumps = [(statement, ast.dump(statement)) for statement in tree.body]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return raw_facts(text)
    mentions, asked = _moments(nodes)
    return SourceFacts(
        digest=content_hash("\n".join(dump for _, dump in dumps).encode("utf-8", "surrogatepass")),
        names=_name_digests(dumps),
        imports=frozenset((*_imports(nodes), *named(_said(nodes)))),
        keywords=_keywords(nodes),
        mentions=mentions,
        asked=asked,
    )


def raw_facts(text: str) -> SourceFacts:
    """Return the facts of a text in another language: every byte counts, and it may see all variables."""
    return SourceFacts(content_hash(text.encode("utf-8", "surrogatepass")))


def parse(text: str) -> ast.Module:
    """Return the syntax tree, without telling our log about a person's escape sequences."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _walk(tree: ast.Module) -> list[ast.AST]:
    return list(ast.walk(tree))


def _drop_docstrings(nodes: list[ast.AST]) -> None:
    """Remove statements that are only a constant: docstrings, texts under assignments, `...`."""
    for node in nodes:
        for part in ("body", "orelse", "finalbody"):
            body = getattr(node, part, None)
            if isinstance(body, list) and any(_is_constant(statement) for statement in body):
                body[:] = [statement for statement in body if not _is_constant(statement)]


def _is_constant(statement: ast.AST) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _word(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.keyword):
        return node.arg or ""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _name_digests(dumps: list[tuple[ast.stmt, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for statement, dump in dumps:
        for name in _bound(statement) or (REST,):
            found[name] = found.get(name, "") + dump
    return {name: content_hash(text.encode("utf-8", "surrogatepass"))[:12] for name, text in found.items()}


def _bound(statement: ast.stmt) -> tuple[str, ...]:
    """Return the names that a top-level statement binds."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return (statement.name,)
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return tuple(alias.asname or alias.name for alias in statement.names)
    if isinstance(statement, ast.Assign):
        targets: list[ast.expr] = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    else:
        return ()
    return tuple(node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name))


def _imports(nodes: list[ast.AST]) -> Iterator[ImportRef]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (ImportRef(0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield ImportRef(node.level, node.module or "", tuple(alias.name for alias in node.names))
        elif isinstance(node, ast.Call) and _word(node.func) in _IMPORTERS and node.args:
            name = _word(node.args[0]) if isinstance(node.args[0], ast.Constant) else ""
            if name and name[0] != ".":
                yield ImportRef(0, name)


def named(words: Iterable[str]) -> Iterator[ImportRef]:
    """Return what stands for those words that may be the names of variables of the environment, or of secrets."""
    words = frozenset(words)
    is_reader = not _READERS.isdisjoint(words)
    if is_reader:
        yield ImportRef(0, READS_VARIABLES)
    for word in words:
        if word in _ALL_READERS:
            yield ImportRef(0, ALL_SECRETS)
        elif _VARIABLE.fullmatch(word) and (is_reader or word.isupper() or is_secret_name(word)):
            yield ImportRef(0, f"{NAMED}{word}")


def _said(nodes: list[ast.AST]) -> set[str]:
    """Return the texts that occur, and the names of what reads secrets and variables."""
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    imported = {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    used = {node.attr if isinstance(node, ast.Attribute) else node.id for node in nodes if isinstance(node, _USES)}
    return texts | (imported & (_ALL_READERS | _READERS)) | (used & _READERS)


def _moments(nodes: list[ast.AST]) -> tuple[frozenset[str], frozenset[str]]:
    words = {_word(node) for node in nodes}
    imported = {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    asked: frozenset[str] = frozenset()
    if "current_run" in words | imported:
        asked = frozenset(_CURRENT_RUN[word] for word in words & _CURRENT_RUN.keys()) or frozenset({"pipeline_run_id"})
    if any(module.startswith(_OUTSIDE) for module in _imported_modules(nodes)):
        asked |= {"pipeline_run_id"}
    return frozenset(words & MOMENTS), asked


def _imported_modules(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _keywords(nodes: list[ast.AST]) -> frozenset[str] | None:
    """Return the keyword arguments that the decorated functions name; None when `**kwargs` is handed on whole."""
    if any(isinstance(node, ast.Call) and _word(node.func) in _OPAQUE_CALLS for node in nodes):
        return None
    if any(isinstance(node, ast.Attribute) and node.attr == _OPAQUE_NAME for node in nodes):
        return None
    found: set[str] = set()
    functions = [node for node in nodes if isinstance(node, Function) and node.decorator_list]
    if not _are_seen_through(functions, nodes):
        return None
    for function in functions:
        arguments = function.args
        found |= {item.arg for item in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
        if arguments.kwarg is not None:
            read = _read_of(arguments.kwarg.arg, function)
            if read is None:
                return None
            found |= read
    return frozenset(found)


def _are_seen_through(functions: list[Function], nodes: list[ast.AST]) -> bool:
    """Return whether all that runs is decorated in a text, and by nothing that may look at keywords by itself."""
    marks = [[_word(_target(mark)) for mark in function.decorator_list] for function in functions]
    if not any(_DECORATORS.intersection(words) for words in marks):
        return False
    if any(_DECORATORS.intersection(words) and not {*words} <= _DECORATORS | _TRANSPARENT for words in marks):
        return False
    written = {id(mark) for function in functions for mark in function.decorator_list}
    called = {
        node.func.id
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and id(node) not in written
    }
    own = {node.name for node in nodes if isinstance(node, Function)}
    return not (called & _DECORATORS) - own


def _target(decorator: ast.expr) -> ast.expr:
    return decorator.func if isinstance(decorator, ast.Call) else decorator


def _read_of(name: str, function: Function) -> set[str] | None:
    """Return the keys that `function` reads from its `**name`; None when it does anything else with it."""
    keys: set[str] = set()
    plain = 0
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and node.id == name:
            plain += 1
        key: ast.expr | None = None
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _is_named(node.value, name):
            key = node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_named(node.func.value, name):
            key = node.args[0] if node.func.attr in {"get", "pop"} and node.args else None
        elif isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
            key = node.left if _is_named(node.comparators[0], name) else None
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            keys.add(key.value)
            plain -= 1
    return keys if plain == 0 else None


def _is_named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
