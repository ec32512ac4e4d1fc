"""The block's own process: settled ahead of demand, then blocked until it gets one attempt, which it runs and ends.

The same code serves a child forked from the zygote and, where forking is not safe, a pre-imported process of its own
(`python -m spellbook_core.worker.child`, started by the zygote too).
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import json
import os
import re
import select
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from spellbook_core.worker import preload
from spellbook_core.worker.control import SEALED
from spellbook_core.worker.entry import read_task, run_task
from spellbook_core.worker.rehearsal import rehearse, rehearse_training, tidy
from spellbook_core.worker.strays import MARKER

_BLAS_USERS = re.compile(r"\b(numpy|scipy|sklearn|statsmodels)\b")
"""Blocks that get OpenBLAS's threads, whose making costs the others more than they would gain; torch has threads of its
own."""

REHEARSE_AFTER_S = 0.02
"""How long nobody must have wanted a new child before it rehearses. A chain of short blocks wants each sooner, and
would then wait for the end of a rehearsal that costs twice what it spares."""

_WORDS = 624
"""Of 32 bits, in the state of numpy's global generator."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Ends:
    """Descriptors of a child: its control socket, the write ends of its output pipes, the file for a crash trace."""

    control: int
    stdout: int
    stderr: int
    crash: int


def serve(ends: Ends, restore: Mapping[str, str | None], raise_threads: Callable[[], None]) -> NoReturn:
    """Settle this process, wait for one attempt's folder on the control socket, run it, and end the process.

    Never returns and never runs exit handlers or waits for threads: the outcome is sealed by then.

    Args:
        ends: As passed on by the zygote.
        restore: The environment that the zygote's own settings replaced; None removes a variable.
        raise_threads: Undoes the zygote's limit on native threads.
    """
    status = 1
    gc.freeze()  # what is shared with the zygote: to look at it, as a collection does, would copy it
    try:
        _settle(ends, restore)
        _reseed()
        for step, wait_s in ((rehearse, REHEARSE_AFTER_S), (rehearse_training, 0.0), (tidy, 0.0)):
            if not select.select([ends.control], [], [], wait_s)[0]:  # nobody waits for this child yet
                step()
                _reseed()
        folder = b""
        while not folder.endswith(b"\n") and (part := os.read(ends.control, 8192)):
            folder += part
        if not folder:
            os._exit(0)  # the zygote is gone, or needs no standby any more
        status = _attempt(Path(os.fsdecode(folder.rstrip(b"\n"))), ends, raise_threads)
    except BaseException:  # noqa: BLE001  # nothing may unwind into the zygote's loop, whose stack a fork shares
        with contextlib.suppress(BaseException):
            traceback.print_exc()
    finally:
        _flush_prints()
        os._exit(status)


def _flush_prints() -> None:
    """Hand on what is printed and kept back; whatever a block made of its streams, nothing goes wrong here."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()


def _settle(ends: Ends, restore: Mapping[str, str | None]) -> None:
    os.setsid()
    set_process_option(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN if number is signal.SIGPIPE else signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(ends.stdout, 1)
    os.dup2(ends.stderr, 2)
    os.close(ends.stdout)
    os.close(ends.stderr)
    for name, value in restore.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    os.environ.setdefault("MPLBACKEND", "Agg")
    faulthandler.enable(ends.crash, all_threads=False)


def _reseed() -> None:
    """Give this child random numbers of its own: numpy's and torch's global generators survive a fork unchanged."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:  # the whole state at once: `seed()` touches, and so copies, twice as many pages of memory
        numpy.random.set_state(("MT19937", numpy.frombuffer(os.urandom(4 * _WORDS), numpy.uint32), _WORDS))
    if torch is not None:
        torch.default_generator.seed()


def _attempt(folder: Path, ends: Ends, raise_threads: Callable[[], None]) -> int:
    task = read_task(folder)
    os.environ[MARKER] = f"{task.block_run_id}.{task.attempt}"
    sys.argv = [task.source_path]
    os.set_blocking(ends.control, False)
    if _BLAS_USERS.search(task.source or ""):
        raise_threads()
    outcome = run_task(task, folder, ping=ends.control)
    _flush_prints()
    with contextlib.suppress(OSError):  # the zygote is gone, or will see this process end
        os.write(ends.control, SEALED)
    return 0 if outcome.error is None else 1


def set_process_option(option: int, value: int) -> None:
    """Call prctl(2) where there is one."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def become_subreaper() -> None:
    """Make orphans below this process its children, so that none escapes."""
    set_process_option(_PR_SET_CHILD_SUBREAPER, 1)


def configure_streams() -> None:
    """Make prints UTF-8 and written with each line end, whatever the locale; never an error for odd characters."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]


def main() -> NoReturn:
    """Serve as a process of its own; arguments: four descriptors, then preload list and environment as JSON."""
    ends = Ends(*map(int, sys.argv[1:5]))
    options = json.loads(sys.argv[5])
    preload.import_packages(options["preload"])
    configure_streams()
    serve(ends, options["restore"], preload.thread_raiser())


if __name__ == "__main__":
    main()
