"""Edits a project again and again, each time with another change of a file refused, and looks what is left of it.

Started with `diskfaults.so` loaded ahead of the C library. Prints one JSON line per refused change: which acts were
done, which were refused and how, and what is broken then.
"""

from __future__ import annotations

import ctypes
import errno
import json
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from spellbook_core.errors import SpellbookError
from spellbook_core.project.metadata import load_pipeline
from spellbook_core.services import blocks, pipelines
from spellbook_core.services.wiring import Context, open_context
from tests.engine.faults.driver import in_fork

TEXT = "@data_loader\ndef f(*args, **kwargs):\n    return {'rows': 51}\n"
AT = ("demo", "main")


def save(ctx: Context) -> None:
    blocks.save_source(ctx, *AT, "load", TEXT, expected_hash=blocks.source(ctx, *AT, "load").content_hash)


ACTS: dict[str, Callable[[Context], object]] = {
    "save": save,
    "variables": lambda ctx: blocks.set_variables(ctx, *AT, {"number": 7}),
    "add": lambda ctx: blocks.add_block(ctx, *AT, block_type="transformer", name="extra", parents=["load"]),
    "rename": lambda ctx: blocks.rename(ctx, *AT, "frame", "framed"),
    "remove": lambda ctx: blocks.remove(ctx, *AT, "text", delete_file=True),
    "create": lambda ctx: pipelines.create(ctx, "demo", "third"),
}


def refused(workspace: Path, name: str, k: int, number: int) -> dict[str, object]:
    """Act with the k-th change refused; return how that was told, and how many changes there were."""
    faults = ctypes.CDLL(None)
    faults.fault_count.restype = ctypes.c_long
    ctx = open_context(workspace)
    said: dict[str, object] = {}
    faults.fault_arm(str(workspace).encode(), ctypes.c_long(k), number, 0)
    try:
        ACTS[name](ctx)
        said["is_done"] = True
    except (SpellbookError, OSError) as error:
        said["refused"] = f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001  # told to the test, which fails for it
        said["unclear"] = traceback.format_exc()
    changes = faults.fault_count()
    faults.fault_arm(b"", ctypes.c_long(0), 0, 0)
    return {**said, "changes": changes}


def look(workspace: Path, name: str, is_done: bool) -> dict[str, object]:
    """Open the workspace anew and name what is broken."""
    ctx = open_context(workspace)
    return {"problems": [*_broken(ctx), *(_undone(ctx, name) if is_done else [])]}


def _broken(ctx: Context) -> Iterator[str]:
    layout = ctx.workspace.project("demo")
    for uuid in layout.pipeline_uuids():
        pipeline = load_pipeline(layout.pipeline_file(uuid)).pipeline
        for block in pipeline.blocks:
            if not layout.block_file(block).exists():
                yield f"{uuid}: {block.uuid} has no file"
    if blocks.source(ctx, *AT, "load").text not in {TEXT, (layout.root / "old.txt").read_text()}:
        yield "the text of a block is neither the old nor the new one"
    left = [path.name for path in layout.root.rglob(".*.tmp")]
    if left:
        yield f"left behind: {left}"


def _undone(ctx: Context, name: str) -> Iterator[str]:
    names = {uuid: [b.uuid for b in pipelines.load(ctx, "demo", uuid).pipeline.blocks] for uuid in ("main", "other")}
    held = {
        "save": lambda: blocks.source(ctx, *AT, "load").text == TEXT,
        "variables": lambda: dict(pipelines.load(ctx, *AT).pipeline.variables) == {"number": 7},
        "add": lambda: "extra" in names["main"],
        "rename": lambda: all("framed" in found and "frame" not in found for found in names.values()),
        "remove": lambda: "text" not in names["main"],
        "create": lambda: "third" in ctx.workspace.project("demo").pipeline_uuids(),
    }
    if not held[name]():
        yield f"{name} was acknowledged and is not there: {names}"


def main() -> None:
    base = Path(sys.argv[1])
    for name in ACTS:
        k = 1
        while True:
            workspace = base.with_name(f"{base.name}-{name}-{k}")
            shutil.copytree(base, workspace)
            told = in_fork(lambda at=k, folder=workspace, act=name: refused(folder, act, at, errno.EIO))
            told |= in_fork(lambda folder=workspace, act=name, done="is_done" in told: look(folder, act, done))
            print(json.dumps({"act": name, "k": k, **told}), flush=True)
            shutil.rmtree(workspace)
            if int(told.get("changes", 0)) < k:
                break
            k += 1


if __name__ == "__main__":
    main()
