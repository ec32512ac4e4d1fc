"""Names of mage-ai that a file imports and Spellbook does not offer, read from its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from spellbook_core.project.syntax import nodes_of


@dataclass(frozen=True, slots=True)
class MageOffer:
    """What `import mage_ai` brings in a block.

    Attributes:
        modules: Module -> (ours, the names that it hands out).
        packages: Packages on the way to them.
        instead: Prefix of a name that is not offered -> what to do; the first that fits.
        otherwise: What to do where none fits.
    """

    modules: Mapping[str, tuple[str, Sequence[str]]]
    packages: Set[str]
    instead: Mapping[str, str]
    otherwise: str

    def advice(self, name: str) -> str:
        """Return what to do without `name`."""
        return next((text for prefix, text in self.instead.items() if name.startswith(prefix)), self.otherwise)


def not_offered(text: str, offer: MageOffer) -> list[tuple[str, int]]:
    """Return (dotted name, line) of each import below `mage_ai` that would fail, in order."""
    if "mage_ai" not in text:
        return []
    try:
        nodes = nodes_of(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return list(dict.fromkeys(_refused(nodes, offer)))


def _refused(nodes: Iterable[ast.AST], offer: MageOffer) -> Iterator[tuple[str, int]]:
    known = offer.packages | offer.modules.keys()
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("mage_ai.") and alias.name not in known:
                    yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and not node.level and f"{node.module}.".startswith("mage_ai."):
            module = node.module or ""
            if module not in known:
                yield module, node.lineno
                continue
            names = offer.modules.get(module, ("", ()))[1]
            for alias in node.names:
                if alias.name not in {*names, "*"} and f"{module}.{alias.name}" not in known:
                    yield f"{module}.{alias.name}", node.lineno
