"""What a block's function is called with, and what its returned value means: parents by position, the rest by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from spellbook_core.clock import from_text
from spellbook_core.model.task import BlockTask
from spellbook_core.worker.failures import ParameterMismatchError
from spellbook_core.worker.items import handed_over
from spellbook_core.worker.mage_shim.log import block_logger

MAX_OUTPUTS = 100
"""Most outputs that a returned list is spread into. A longer one is stored whole: a child gets a list either way."""


def system_keywords(task: BlockTask) -> dict[str, object]:
    """Return the keyword arguments that mage gives every block, with the variables where mage puts them.

    In a run, mage's own names (`env`, `ds`, `execution_date`, ...) go over variables of the same name; in the notebook
    a variable goes over them, so that a block can be tried for another day. `context` and `interval_*` are a
    variable's wherever there is one. The block's `configuration`, `logger` and names are always its own.
    """
    at: datetime = from_text(task.execution_date)
    variables = dict(task.variables)
    event = variables.get("event")
    moments: dict[str, object] = {
        "env": "dev" if task.trigger == "notebook" else "prod",
        "ds": f"{at:%Y-%m-%d}",
        "hr": f"{at:%H}",
        "event": dict(event) if isinstance(event, Mapping) else {},
        "execution_date": at,
        "execution_partition": f"{task.run_id}/{at:%Y%m%dT%H%M%S}",
        "pipeline_run_id": task.run_id,
        "trigger_name": task.trigger,
    }
    below: dict[str, object] = {
        "context": {},
        "interval_start_datetime": at,
        "interval_end_datetime": None,  # no interval: the run was not started by a schedule
        "interval_seconds": None,
        "interval_start_datetime_previous": None,
    }
    given = {name: _moment(value) if name in below else value for name, value in variables.items()}
    return {
        **below,
        **({**moments, **given} if task.trigger == "notebook" else {**given, **moments}),
        "block_uuid": task.block,
        "pipeline_uuid": task.pipeline,
        "configuration": dict(task.configuration),
        "repo_path": task.project_root,
        "logger": block_logger(task.block),
    }


def _moment(value: object) -> object:
    """Return an instant that a trigger gave as text as a datetime; anything else as it is."""
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value
    return value


def bind(
    function: Callable[..., object],
    task: BlockTask,
    keywords: Mapping[str, object],
    read: Callable[[], Sequence[Sequence[object]]],
) -> tuple[list[object], dict[str, object]]:
    """Return the positional and keyword arguments for `function`: one positional per parent, in order.

    A parent with one output hands over the value, with several a list, with none None. A function that takes no
    positional argument gets none (its parents only order it). One that fits only the outputs one by one gets those.

    Args:
        function: The block's function.
        task: Its `inputs` say how many parents and outputs there are.
        keywords: Handed over where the function names them or takes `**kwargs`.
        read: Reads every parent's outputs; not called when the function takes none.

    Raises:
        ParameterMismatchError: Parents and parameters cannot be matched. [SB-WRK-004]
    """
    parameters = list(inspect.signature(function).parameters.values())
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    counts = [handed_over(entry) for entry in task.inputs]
    needed = sum(1 for p in positional if p.default is p.empty)
    free = sum(1 for p in positional if p.default is p.empty and p.name not in keywords)

    def fits(count: int) -> bool:
        late = [p for p in positional[count:] if p.default is p.empty]
        return (takes_any or count <= len(positional)) and all(p.name in keywords for p in late)

    arguments: list[object]
    if not positional and not takes_any:
        arguments = []
    elif fits(len(counts)):
        arguments = [_one(values, count) for values, count in zip(read(), counts, strict=True)]
    elif fits(sum(counts)):
        arguments = [value for values in read() for value in values]
    else:
        raise ParameterMismatchError(
            f"Block '{task.block}' has {count(len(counts), 'parent')}, but its function "
            f"'{function.__name__}' takes {_capacity(len(positional), min(needed, free), takes_any)}.",
            hint="link or unlink parents, or change the function's parameters: one per parent, in the parents' order.",
        )
    used = {p.name for p in positional[: len(arguments)]}
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        only_positional = {p.name for p in positional if p.kind is p.POSITIONAL_ONLY}
        named = {name: value for name, value in keywords.items() if name not in used - only_positional}
    else:
        accepted = {p.name for p in parameters if p.kind in {p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD}} - used
        named = {name: value for name, value in keywords.items() if name in accepted}
    return arguments, named


def _one(values: Sequence[object], count: int) -> object:
    if count == 1:
        return values[0]
    return list(values) if values else None


def count(number: int, noun: str) -> str:
    """Return `1 parent`, `2 parents`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _capacity(most: int, least: int, takes_any: bool) -> str:
    if takes_any:
        return f"at least {count(least, 'positional argument')}"
    return count(most, "positional argument") if least >= most else f"{least} to {count(most, 'positional argument')}"


def arguments_of_test(
    function: Callable[..., object], values: list[object], keywords: Mapping[str, object]
) -> tuple[list[object], dict[str, object]]:
    """Return the arguments of a `@test` function: as many of the block's outputs as it takes, and keywords by name."""
    parameters = list(inspect.signature(function).parameters.values())
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    if not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        values = values[: len(positional)]
    used = {p.name for p in positional[: len(values)]}
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    names = {p.name for p in parameters}
    return values, {n: v for n, v in keywords.items() if n not in used and (takes_all or n in names)}


def spread(value: object) -> list[object]:
    """Return the outputs that a returned value means: none for None, one each for a tuple or list, else one."""
    if value is None:
        return []
    if isinstance(value, (tuple, list)) and 0 < len(value) <= MAX_OUTPUTS:
        return list(value)
    return [value]
