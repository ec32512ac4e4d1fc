"""One run in the calling process, without an engine process: what `spellbook run` and other orchestrators use."""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable

from spellbook_core.clock import Clock
from spellbook_core.engine.ports import Executor
from spellbook_core.engine.runner import Runner
from spellbook_core.engine.supervise import identity
from spellbook_core.model.run import NewRun, PipelineRun
from spellbook_core.model.values import JsonObject
from spellbook_core.project.layout import Workspace
from spellbook_core.runs.store import RunStore
from spellbook_core.settings import Settings

CANCEL_CHECK_S = 1.0
"""How often a request of another process to cancel is looked for; nothing else waits for this."""


def run_alone(
    workspace: Workspace,
    store: RunStore,
    executor: Executor,
    clock: Clock,
    settings: Settings,
    new: NewRun,
    on_event: Callable[[JsonObject], None],
) -> PipelineRun:
    """Insert a run that this process owns, carry it to its end and return it.

    KeyboardInterrupt cancels it, once; a second one leaves it to the next engine.
    """
    owner = identity(os.getpid())
    run = store.create_run(new, now=clock.now(), owner=owner)

    def tell(event: JsonObject) -> None:
        if event.get("run_id") == run.id:
            on_event(event)

    runner = Runner(workspace, store, executor, clock, settings, tell, owner=owner)
    try:
        try:
            _carry(runner, executor)
        except KeyboardInterrupt:
            store.request_cancel(run.id, now=clock.now())
            _carry(runner, executor)
    finally:
        runner.close()
    return store.run(run.id)


def _carry(runner: Runner, executor: Executor) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(executor.fileno(), selectors.EVENT_READ, runner.on_executor)
        selector.register(runner.files.fileno(), selectors.EVENT_READ, runner.on_files)
        runner.take_new()
        while not runner.is_idle:
            due_s = runner.next_due_s()
            ready = selector.select(CANCEL_CHECK_S if due_s is None else min(due_s, CANCEL_CHECK_S))
            for key, _ in ready:
                key.data()
            runner.on_time()
            if not ready:
                runner.take_new()
                runner.on_executor()
