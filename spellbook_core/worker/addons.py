"""Conditions and callbacks, on the side of the worker: what hangs on another block and is called because of it.

Rules of mage-ai 0.9.80: a condition gets the inputs of the block it guards, several functions are AND-ed; a callback
gets the output of its block by position, `__error` of a failed one, `parent_block_uuid` and `pipeline_run` by name.
"""

from __future__ import annotations

import ast
import builtins
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from spellbook_core.clock import from_text
from spellbook_core.decorators import Collection, Decorated
from spellbook_core.errors import SpellbookError
from spellbook_core.model.outcome import ErrorReport
from spellbook_core.model.run import Status
from spellbook_core.model.task import BlockTask, HangsOn
from spellbook_core.worker import api
from spellbook_core.worker.arguments import bind

if TYPE_CHECKING:
    from spellbook_core.worker.mage_shim.runs import PipelineRun

HEARD = {
    Status.COMPLETED.value: "success",
    Status.FAILED.value: "failure",
    Status.CANCELLED.value: "cancelled",
}
"""How a block ended -> what a callback for it is marked with."""


class UnknownCallbackError(SpellbookError, ValueError):
    """A callback is marked with something that is no end of a block."""

    code = "SB-WRK-071"


class ParentError(SpellbookError, RuntimeError):
    """What a callback gets as `__error` when the exception of its block is none of Python's own."""

    code = "SB-WRK-072"


def holds(
    task: BlockTask,
    collection: Collection,
    keywords: Mapping[str, object],
    read: Callable[[], Sequence[Sequence[object]]],
    consumed: Callable[[object], object],
) -> bool:
    """Call every function of a condition and return whether all are true; a file without one holds, as in mage."""
    marked = collection.of("condition")
    if not marked:
        api.notice(f"'{task.block}' has no function decorated with @condition, so it always holds.")
    held = True
    for entry in marked:
        arguments, named = bind(entry.function, task, keywords, read)
        held = bool(consumed(entry.function(*arguments, **named))) and held
    return held


def call_back(
    task: BlockTask,
    collection: Collection,
    keywords: Mapping[str, object],
    read: Callable[[], Sequence[Sequence[object]]],
    consumed: Callable[[object], object],
) -> int:
    """Call the functions that are for this end of the block; return how many there are.

    Raises:
        UnknownCallbackError: A function is marked with another word. [SB-WRK-071]
    """
    end = HEARD.get(task.hangs_on.status if task.hangs_on else "", "")
    wanted = [entry for entry in collection.of("callback") if _word(task, entry) == end]
    for entry in wanted:
        arguments, named = bind(entry.function, task, keywords, read if _takes_output(entry.function) else _nothing)
        consumed(entry.function(*arguments, **named))
    return len(wanted)


def _word(task: BlockTask, entry: Decorated) -> str:
    word = str(getattr(entry.arguments[0], "value", entry.arguments[0])) if entry.arguments else "success"
    if word not in HEARD.values():
        raise UnknownCallbackError(
            f"'{task.block}' marks '{entry.function.__name__}' with @callback({word!r}), which is no end of a block.",
            hint="write @callback('success'), @callback('failure') or @callback('cancelled').",
        )
    return word


def _takes_output(function: Callable[..., object]) -> bool:
    kinds = {parameter.kind for parameter in inspect.signature(function).parameters.values()}
    return bool(kinds - {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD})


def _nothing() -> list[list[object]]:
    return []


def add_on_keywords(task: BlockTask) -> dict[str, object]:
    """Return the keyword arguments that only conditions and callbacks get."""
    if task.hangs_on is None:
        return {}
    found: dict[str, object] = {"parent_block_uuid": task.hangs_on.block, "pipeline_run": _pipeline_run(task)}
    if task.hangs_on.error is not None:
        found["__error"] = exception_of(task.hangs_on)
    return found


def _pipeline_run(task: BlockTask) -> PipelineRun:
    from spellbook_core.worker.mage_shim.runs import PipelineRun

    return PipelineRun(
        id=task.run_id,
        pipeline_uuid=task.pipeline,
        status=Status.RUNNING,
        execution_date=from_text(task.execution_date),
        variables=dict(task.variables),
        pipeline_schedule_name=task.trigger,
    )


def exception_of(hangs_on: HangsOn) -> Exception:
    """Return an exception like the one that a block failed with: of its type where that is Python's own."""
    error = hangs_on.error
    if error is None:
        return ParentError(f"Block '{hangs_on.block}' did not complete.", hint="look at its log.")
    made = _builtin_of(error) or ParentError(error.exception or error.message, hint=error.hint, block=hangs_on.block)
    if error.traceback:
        made.add_note(error.traceback)
    return made


def _builtin_of(error: ErrorReport) -> Exception | None:
    name, _, text = (error.exception or "").partition(": ")
    kind = getattr(builtins, name, None)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        return None
    given: object = text
    if kind is KeyError:  # whose text is how the key is written
        with suppress(ValueError, SyntaxError):
            given = ast.literal_eval(text)
    try:
        return kind(given)
    except TypeError:  # UnicodeDecodeError and its like take more than a text
        return None
