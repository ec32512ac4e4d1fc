"""The engine process: `python -m spellbook_core.services.engine_process WORKSPACE`.

It imports neither pandas, torch, DuckDB nor pyarrow, and no code of any project.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from spellbook_core.clock import to_text
from spellbook_core.engine.leader import EngineInfo, Leadership, read_info
from spellbook_core.engine.messages import PROTOCOL, socket_path
from spellbook_core.engine.runner import Runner
from spellbook_core.engine.server import EngineServer, listen
from spellbook_core.engine.supervise import boot_id
from spellbook_core.errors import SpellbookError
from spellbook_core.runs.records import EngineBeat
from spellbook_core.services.clean_up_process import CleanUps
from spellbook_core.services.wiring import Context, open_context

_LOG = logging.getLogger("spellbook.engine")


def main(arguments: Sequence[str] | None = None) -> int:
    """Lead the workspace until told to stop; return the exit status: 0, or 2 when it cannot lead."""
    parser = argparse.ArgumentParser(prog="spellbook engine", description="Run the engine of a workspace.")
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--detach", action="store_true", help="go on in a process that has no parent")
    parser.add_argument("--ready-fd", type=int, help="write 'ready' here once the socket answers")
    options = parser.parse_args(arguments)
    if options.detach and os.fork():
        os._exit(0)  # nothing was opened yet, and this process is single-threaded
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        ctx = open_context(options.workspace)
        return lead(ctx, ready_fd=options.ready_fd)
    except SpellbookError as error:
        _say(options.ready_fd, f"{error.message} {error.hint}")
        return 2


def lead(ctx: Context, *, ready_fd: int | None = None) -> int:
    """Lead `ctx`'s workspace in this process until stopped; return 2 at once when another process leads.

    Args:
        ctx: Of the workspace.
        ready_fd: Is told `ready`, or why not, and closed.
    """
    leadership = Leadership.take(ctx.workspace)
    if leadership is None:
        info = read_info(ctx.workspace)
        _say(ready_fd, f"An engine already leads {ctx.workspace.root} (process {info.pid if info else 'unknown'}).")
        return 2
    started = ctx.clock.now()
    clean_ups = CleanUps(ctx)

    def beat(workers: int) -> None:
        clean_ups.on_beat(workers)
        ctx.store.beat(EngineBeat(os.getpid(), boot_id(), _version(), started, ctx.clock.now(), workers))

    server = EngineServer(ctx.clock, idle_exit_s=ctx.settings.idle_exit_s, beat=beat)
    try:
        beat(0)
        _serve(ctx, server, leadership, started, ready_fd, beat)
    finally:
        clean_ups.stop()
        leadership.release()
        ctx.close()
        server.close()
    return 0


def _serve(
    ctx: Context,
    server: EngineServer,
    leadership: Leadership,
    started: datetime,
    ready_fd: int | None,
    beat: Callable[[int], None],
) -> None:
    executor = ctx.make_executor()
    runner = Runner(
        ctx.workspace,
        ctx.store,
        executor,
        ctx.clock,
        ctx.settings,
        server.publish,
        lease=lambda: beat(runner.workers),
    )
    path = socket_path(ctx.workspace.state_dir)
    listener = listen(path)
    try:
        leadership.announce(EngineInfo(os.getpid(), to_text(started), boot_id(), str(path), _version(), PROTOCOL))
        _LOG.info("leading %s as process %s", ctx.workspace.root, os.getpid())
        _say(ready_fd, "ready")
        gc.collect()
        gc.freeze()  # what was imported stays: collections need not look at it
        server.serve(runner, executor.fileno(), listener)
        _LOG.info("stopping; %s block processes go on", runner.workers)
    finally:
        path.unlink(missing_ok=True)
        if path.parent != ctx.workspace.state_dir:
            path.parent.rmdir()
        listener.close()
        runner.close()
        executor.close()


def _say(ready_fd: int | None, text: str) -> None:
    """Tell whoever waits for this process, or the person in front of it."""
    if ready_fd is None:
        if text != "ready":
            sys.stderr.write(f"{text}\n")
        return
    with suppress(OSError):
        os.write(ready_fd, text.encode("utf-8", "replace") + b"\n")
        os.close(ready_fd)


@cache
def _version() -> str:
    try:
        return version("spellbook")
    except PackageNotFoundError:
        return "unknown"


if __name__ == "__main__":
    sys.exit(main())
