"""A log call that cannot be written, such as `logger.info("%d", "x")`: told by the lines that a person wrote."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from spellbook_core.model.task import BlockTask


@contextmanager
def own_lines_told(task: BlockTask) -> Iterator[None]:
    """Have `logging` print, of where such a call is, the project's lines only; Python prints ours around them too."""
    python_tells = logging.Handler.handleError
    source, project = Path(task.source_path), Path(task.project_root)

    def tell(handler: logging.Handler, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        found = [*traceback.extract_stack(), *traceback.extract_tb(error.__traceback__ if error is not None else None)]
        own = [line for line in found if Path(line.filename) == source or Path(line.filename).is_relative_to(project)]
        if error is None or not own:
            python_tells(handler, record)
        elif logging.raiseExceptions and sys.stderr is not None:
            told = [*traceback.format_list(own), *traceback.format_exception_only(error), _given(record)]
            with suppress(OSError, ValueError, AttributeError):  # the block may have replaced or closed it
                sys.stderr.write("--- Logging error ---\n" + "".join(told))

    logging.Handler.handleError = tell  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        logging.Handler.handleError = python_tells  # type: ignore[method-assign]


def _given(record: logging.LogRecord) -> str:
    try:
        return f"Message: {record.msg!r}\nArguments: {record.args!r}\n"
    except Exception:  # noqa: BLE001  # the repr of a person's own object may raise anything
        return "Its message and arguments cannot be printed.\n"
