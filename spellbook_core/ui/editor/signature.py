"""Which parent feeds which parameter of a block's function, and whether the counts fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Parameter:
    """One positional parameter of the block's function."""

    name: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Feed:
    """One parameter and what fills it.

    Attributes:
        parameter: The parameter's name; `*args` when only that takes the value.
        parent: The block whose output it gets.
        shape: What that output is, e.g. `891 x 12`; empty when the parent has not run.
    """

    parameter: str
    parent: str
    shape: str


@dataclass(frozen=True, slots=True)
class Signature:
    """How parents and parameters fit: the feeds in order, and one sentence when they do not fit."""

    feeds: tuple[Feed, ...]
    problem: str | None


def match(
    parameters: Sequence[Parameter],
    *,
    has_varargs: bool,
    parents: Sequence[str],
    shapes: Mapping[str, Sequence[str]],
) -> Signature:
    """Return which parent feeds which parameter.

    One argument per parent, in order. When the function can only take the outputs one by one (as many required
    parameters as the parents have outputs in all), it gets them one by one.

    Args:
        parameters: The positional parameters, in order.
        has_varargs: Whether `*args` takes the rest.
        parents: In argument order.
        shapes: parent -> one text per stored output; parents that have not run are missing.
    """
    required = sum(parameter.is_required for parameter in parameters)
    outputs = [(parent, shape) for parent in parents for shape in shapes.get(parent, ())]
    is_complete = all(parent in shapes for parent in parents)
    if parents and is_complete and required > len(parents) and len(outputs) == required:
        return Signature(_feeds(parameters, outputs), None)
    values = [(parent, _joined(shapes.get(parent, ()))) for parent in parents]
    feeds = _feeds(parameters, values, has_varargs=has_varargs)
    if len(parents) > len(parameters) and not has_varargs:
        takes = _count(len(parameters), "input")
        return Signature(feeds, f"The function takes {takes}, but the block has {_count(len(parents), 'parent')}.")
    if required > len(parents) and (is_complete or not parents):
        names = ", ".join(parameter.name for parameter in parameters[len(parents) : required])
        have = _count(len(parents), "parent") if parents else "no parent"
        return Signature(feeds, f"The function needs {_count(required, 'input')}, but the block has {have}: {names}.")
    return Signature(feeds, None)


def _feeds(
    parameters: Sequence[Parameter], values: Sequence[tuple[str, str]], *, has_varargs: bool = False
) -> tuple[Feed, ...]:
    names = [parameter.name for parameter in parameters]
    if has_varargs:
        names.extend(["*args"] * (len(values) - len(names)))
    return tuple(Feed(name, parent, shape) for name, (parent, shape) in zip(names, values, strict=False))


def _joined(shapes: Sequence[str]) -> str:
    if len(shapes) <= 1:
        return shapes[0] if shapes else ""
    return f"list of {len(shapes)}: " + " | ".join(shapes)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
