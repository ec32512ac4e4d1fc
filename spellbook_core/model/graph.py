"""Directed graphs of names, as mappings child -> parents in argument order. Pure functions, linear in edges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from spellbook_core.errors import SpellbookError

Name = TypeVar("Name", bound=str)


class CycleError(SpellbookError, ValueError):
    """The edges would make a block wait for itself."""

    code = "SB-PIP-001"


def children_of(parents: Mapping[Name, Sequence[Name]]) -> dict[Name, tuple[Name, ...]]:
    """Return parent -> children, children in the order of the mapping; parents that are not keys are skipped."""
    children: dict[Name, list[Name]] = {name: [] for name in parents}
    for child, its_parents in parents.items():
        for parent in dict.fromkeys(its_parents):
            if parent in children:
                children[parent].append(child)
    return {name: tuple(found) for name, found in children.items()}


def topological_order(parents: Mapping[Name, Sequence[Name]]) -> list[Name]:
    """Return every key with parents before children; among the free ones, the mapping's order decides.

    Raises:
        CycleError: Names the path, `a → b → a`. [SB-PIP-001]
    """
    children = children_of(parents)
    waiting = {
        name: len({parent for parent in its_parents if parent in parents}) for name, its_parents in parents.items()
    }
    ready = [name for name in parents if waiting[name] == 0]
    order: list[Name] = []
    position = 0
    while position < len(ready):
        name = ready[position]
        position += 1
        order.append(name)
        for child in children[name]:
            waiting[child] -= 1
            if waiting[child] == 0:
                ready.append(child)
    if len(order) < len(parents):
        cycle = find_cycle(parents)
        path = " → ".join(cycle or [])
        raise CycleError(f"The blocks wait for each other: {path}.", hint="remove one of these links.", path=path)
    return order


def find_cycle(parents: Mapping[Name, Sequence[Name]]) -> list[Name] | None:
    """Return one cycle as a path parent → child whose first and last names are equal, or None."""
    children = children_of(parents)
    done: set[Name] = set()
    for start in parents:
        if start in done:
            continue
        path: list[Name] = []
        on_path: set[Name] = set()
        stack: list[tuple[Name, int]] = [(start, 0)]
        while stack:
            name, next_child = stack.pop()
            if next_child == 0:
                path.append(name)
                on_path.add(name)
            if next_child < len(children[name]):
                stack.append((name, next_child + 1))
                child = children[name][next_child]
                if child in on_path:
                    return [*path[path.index(child) :], child]
                if child not in done:
                    stack.append((child, 0))
            else:
                done.add(name)
                on_path.discard(name)
                path.pop()
    return None


def reachable(edges: Mapping[Name, Sequence[Name]], starts: Iterable[Name]) -> set[Name]:
    """Return what can be reached from `starts` along `edges`, the starts themselves not included unless on a cycle."""
    found: set[Name] = set()
    stack = [target for start in starts for target in edges.get(start, ())]
    while stack:
        name = stack.pop()
        if name not in found:
            found.add(name)
            stack.extend(edges.get(name, ()))
    return found


def layers(parents: Mapping[Name, Sequence[Name]]) -> list[list[Name]]:
    """Return the blocks by depth: roots first, each block one layer below its deepest parent.

    Raises:
        CycleError: There is no order. [SB-PIP-001]
    """
    depth: dict[Name, int] = {}
    for name in topological_order(parents):
        depth[name] = 1 + max((depth[parent] for parent in parents[name] if parent in depth), default=-1)
    rows: list[list[Name]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in parents:
        rows[depth[name]].append(name)
    return rows
