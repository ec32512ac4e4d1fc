"""Turn an exception of a block into the report that log, command line and card share: the user's frames, the line."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from spellbook_core.errors import SpellbookError
from spellbook_core.model.outcome import ErrorReport, Frame, TestResult
from spellbook_core.model.task import BlockTask
from spellbook_core.project.packages import install_name
from spellbook_core.worker import memory
from spellbook_core.worker.failures import BlockExitedError, BlockSyntaxError, UserCodeError
from spellbook_core.worker.load import MODULE_PREFIX

MAX_FRAMES = 40
"""Most frames kept, half from each end; endless recursion has a thousand."""

MAX_MESSAGE_CHARS = 4_000
"""Longest exception text kept on the card; the whole is in the traceback."""

MAX_TRACEBACK_CHARS = 100_000
"""Longest traceback text kept."""

_OURS = Path(__file__).parents[1]
"""Spellbook's own code: no line of it is one that a person wrote."""


def report_exception(exception: BaseException, task: BlockTask) -> ErrorReport:
    """Return the report of what `exception`, raised by the block's code or by us on its behalf, means.

    Args:
        exception: As caught, with its traceback.
        task: Names the block and its file.
    """
    error = _as_error(exception, task)
    frames = _user_frames(exception.__traceback__, task)
    if isinstance(exception, SyntaxError) and (place := _place_elsewhere(exception, task)) is not None:
        frames = (*frames, place)
    raised_by_us = isinstance(exception, SpellbookError) and not frames
    line = next((frame.line for frame in reversed(frames) if frame.file == task.source_path), None)
    if isinstance(exception, BlockSyntaxError):
        cause = exception.__cause__
        line = cause.lineno if isinstance(cause, SyntaxError) else None
        text = _exception_line(cause, task) if cause is not None else None
        return _build(error, text, (), None if cause is None else "".join(_only(cause)), line)
    if raised_by_us:
        cause = exception.__cause__
        known = error.facts.get("line")
        line = known if isinstance(known, int) else None
        text = None if cause is None else _exception_line(cause, task)
        return _build(error, text, (), _traceback_text(exception), line)
    return _build(error, _exception_line(exception, task), frames, _traceback_text(exception), line)


def log_text(error: ErrorReport, tests: Sequence[TestResult]) -> str:
    """Return what a failed attempt's log says at its end: the user's frames and the exception, or our own message."""
    lines = [f"{test.name} failed: {test.message}" for test in tests if not test.passed]
    if error.exception is None:
        return "\n".join([*lines, error.message]) + "\n"
    if error.frames:
        lines.append("Traceback (most recent call last):")
    for frame in error.frames:
        lines.append(f'  File "{frame.file}", line {frame.line}, in {frame.function}')
        if frame.text:
            lines.append(f"    {frame.text}")
    return "\n".join([*lines, error.exception]) + "\n"


def _build(
    error: SpellbookError, exception: str | None, frames: tuple[Frame, ...], text: str | None, line: int | None
) -> ErrorReport:
    return ErrorReport(
        code=error.code,
        message=error.message,
        hint=error.hint,
        facts=dict(error.facts),
        exception=exception,
        frames=frames,
        traceback=text,
        line=line,
    )


def _as_error(exception: BaseException, task: BlockTask) -> SpellbookError:
    """Return the `SpellbookError` that says what `exception` means to the person."""
    place = {"project": task.project, "pipeline": task.pipeline, "block": task.block}
    if (refused := memory.explained(exception, task.block)) is not None:
        refused.facts = {**place, **refused.facts}
        return refused
    if isinstance(exception, SpellbookError):
        exception.facts = {**place, **exception.facts}
        return exception
    if isinstance(exception, SystemExit):
        return BlockExitedError(
            f"Block '{task.block}' called sys.exit({exception.code!r}) instead of returning.",
            hint="use `return` to end a block early, or raise an exception to fail it.",
            **place,
        )
    if isinstance(exception, KeyboardInterrupt):
        return BlockExitedError(
            f"Block '{task.block}' was interrupted.", hint="run it again when nothing interrupts it.", **place
        )
    message = f"Block '{task.block}' raised {_exception_line(exception, task)}"
    return UserCodeError(message, hint=_hint(exception, task), **place)


def _hint(exception: BaseException, task: BlockTask) -> str:
    if isinstance(exception, ModuleNotFoundError) and exception.name and not exception.name.startswith("mage_ai"):
        package = exception.name.partition(".")[0]
        if any((Path(task.project_root) / place).exists() for place in (package, f"{package}.py")):
            return f"correct the import, or restore the module: '{package}' is the project's own."
        wanted = f"spellbook install {task.project} '{install_name(package)}'"
        return f"run `{wanted}`, or correct the import; project modules live in the project."
    if isinstance(exception, MemoryError):
        return "work on fewer rows at a time, or use a machine with more memory."
    if isinstance(exception, EOFError):
        return "a block has no keyboard: pass values in as pipeline variables instead of calling input()."
    if isinstance(exception, RecursionError):
        return "give the recursion an end, or use a loop."
    if isinstance(exception, SyntaxError) and (place := _place_elsewhere(exception, task)) is not None:
        return f"correct line {place.line} of {_name_of(place.file, task)} and run the block again."
    return "correct the marked line and run the block again."


def _exception_line(exception: BaseException, task: BlockTask) -> str:
    """Return `ValueError: bad row`; safe for exceptions whose text itself fails.

    What a block or Spellbook defines goes by its bare name, as what a script defines does in Python; a syntax error
    outside of the block's own file names its place.
    """
    text = "".join(_only(exception)).strip()
    module = type(exception).__module__
    if isinstance(exception, SyntaxError):
        text = text.splitlines()[-1]
        if (place := _place_elsewhere(exception, task)) is not None:
            text += f" ({_name_of(place.file, task)}, line {place.line})"
    if isinstance(module, str) and module.startswith((MODULE_PREFIX, "spellbook_core.")):
        text = text.removeprefix(f"{module}.")
    return text if len(text) <= MAX_MESSAGE_CHARS else text[:MAX_MESSAGE_CHARS] + " …"


def _only(exception: BaseException) -> list[str]:
    return traceback.format_exception_only(type(exception), exception)


def _traceback_text(exception: BaseException) -> str:
    text = "".join(traceback.format_exception(type(exception), exception, exception.__traceback__))
    if len(text) <= MAX_TRACEBACK_CHARS:
        return text
    half = MAX_TRACEBACK_CHARS // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def _place_elsewhere(exception: SyntaxError, task: BlockTask) -> Frame | None:
    """Return where the text is wrong, unless that is the block's own file, which the report marks."""
    if not exception.filename or exception.filename == task.source_path:
        return None
    return Frame(exception.filename, exception.lineno or 0, "<module>", (exception.text or "").strip())


def _name_of(file: str, task: BlockTask) -> str:
    path = Path(file)
    return path.relative_to(task.project_root).as_posix() if path.is_relative_to(task.project_root) else file


def _user_frames(trace: TracebackType | None, task: BlockTask) -> tuple[Frame, ...]:
    """Return the frames from the first one in the project on, outermost first; libraries only below it.

    None is of Spellbook, or of what it called for the person, or of Python's own machinery of imports.
    """
    summaries = list(traceback.extract_tb(trace))
    files = [Path(summary.filename) for summary in summaries]
    here, project = Path(task.source_path), Path(task.project_root)
    inside = [n for n, file in enumerate(files) if file == here or file.is_relative_to(project)]
    if not inside:
        return ()
    frames, is_below_ours = [], False
    for n in range(inside[0], len(files)):
        is_below_ours = n not in inside and (is_below_ours or files[n].is_relative_to(_OURS))
        s = summaries[n]
        if not is_below_ours and not s.filename.startswith("<frozen importlib."):
            frames.append(Frame(s.filename, s.lineno or 0, s.name, (s.line or "").strip()))
    if len(frames) > MAX_FRAMES:
        frames = frames[: MAX_FRAMES // 2] + frames[-MAX_FRAMES // 2 :]
    return tuple(frames)
