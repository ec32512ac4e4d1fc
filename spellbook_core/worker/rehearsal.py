"""What a process does before its first block, so that the block finds warm caches and memory of its own.

A forked child copies each page of memory that it first touches, and the first of anything (an import, a kernel, an
optimizer) is slow. Doing it once while the child waits takes half off the time of a no-op block and two thirds off a
first training step.
"""

from __future__ import annotations

import gc
import json
import linecache
import os
import signal
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from spellbook_core.clock import to_text
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.task import TASK_FILE, BlockTask
from spellbook_core.worker.entry import read_task, run_task
from spellbook_core.worker.load import MODULE_PREFIX, forget_block
from spellbook_core.worker.wire import task_to_json

_SOURCE = "@custom\ndef f(*args, **kwargs):\n    return 1\n"

_SHARED_MEMORY = "/dev/shm"  # noqa: S108  # a folder of our own is made in it, with a name that cannot be told
_ROWS = 1024
"""Enough for the kernels that a batch of 64 or a table of a thousand rows takes."""


def rehearse() -> None:
    """Run a block that returns a number, all the way from its task file to its outcome, in a folder that is removed.

    Without effect on the process but for what is warm in it. What the disk refuses is left out.
    """
    path, finders, interrupt = sys.path.copy(), sys.meta_path.copy(), signal.getsignal(signal.SIGINT)
    with suppress(OSError), tempfile.TemporaryDirectory(prefix="spellbook-rehearsal-", dir=_memory()) as made:
        folder, before = Path(made), Path.cwd()
        task = _task(folder)
        try:
            Path(task.project_root).mkdir(parents=True)
            (folder / TASK_FILE).write_text(json.dumps(task_to_json(task)), encoding="utf-8")
            run_task(read_task(folder), folder)
        finally:
            os.chdir(before)
            sys.path[:], sys.meta_path[:] = path, finders
            signal.signal(signal.SIGINT, interrupt)
            forget_block(MODULE_PREFIX)
            linecache.cache.pop(task.source_path, None)


def _memory() -> str | None:
    """Return a folder that is on no disk, None where there is none: what is deleted on ext4 slows what is made next."""
    return _SHARED_MEMORY if os.access(_SHARED_MEMORY, os.W_OK | os.X_OK) else None


def _task(folder: Path) -> BlockTask:
    return BlockTask(
        run_id=RunId(0),
        block_run_id=BlockRunId(0),
        attempt=0,
        workspace=str(folder),
        project=ProjectName(""),
        project_root=str(folder / "projects" / "none"),
        pipeline=PipelineUuid(""),
        block=BlockUuid(""),
        block_type="custom",
        language="python",
        source=_SOURCE,
        source_path="<rehearsal>",
        inputs=(),
        variables={},
        configuration={},
        execution_date=to_text(datetime.now(UTC)),
        trigger="",
    )


def rehearse_training() -> None:
    """Take two small training steps where torch is loaded, so that the block's first one is not ten times as slow.

    In a child only, never in the zygote, and on one thread, so that no pool of threads is made: a block may still fork.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for make in (torch.optim.SGD, torch.optim.Adam):
        torch.manual_seed(0)
        rows = torch.rand(_ROWS, 8)
        wanted = (rows.sum(1, keepdim=True) > 4).float()
        layers = torch.nn.Linear(8, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1), torch.nn.Sigmoid()
        model = torch.nn.Sequential(*layers)
        optimizer = make(model.parameters(), lr=0.1)
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy(model(rows), wanted)
        loss.backward()
        optimizer.step()
        loss.item()
    torch.set_num_threads(threads)


def tidy() -> None:
    """Collect the garbage of the rehearsals, so that the block does not: it would fall into its first lines.

    What stays is not looked at again, which would copy its memory.
    """
    gc.collect()
    gc.freeze()
