"""What a child of a dynamic block costs the engine."""

from __future__ import annotations

import psutil

from spellbook_core.model.run import NewRun, Status
from spellbook_core.services import engines, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import PASS_ON, BlockFile, make_project

CHILDREN = 300
ITEMS = """
@data_loader
def items(*args, **kwargs):
    return [list(range(kwargs['count']))]
"""


def test_child_of_a_dynamic_block_costs_little(tmp_path, report_row):
    dynamic = {"configuration": {"dynamic": True}}
    blocks = {
        "items": BlockFile(ITEMS, "data_loader", settings=dynamic),
        "each": BlockFile(PASS_ON, parents=("items",)),
    }
    make_project(tmp_path, blocks=blocks, variables={"count": 5})
    ctx = open_context(tmp_path)
    try:
        spent = {}
        for what, count in (("warm", 5), ("executed", CHILDREN), ("reused", CHILDREN)):
            engines.ensure(ctx)
            engine = psutil.Process(engines.status(ctx).pid)
            before = sum(engine.cpu_times()[:2])
            run = runs.start(ctx, NewRun("demo", "main", "manual", variables={"count": count}))
            assert runs.wait(ctx, run.id, 120).status is Status.COMPLETED
            spent[what] = (sum(engine.cpu_times()[:2]) - before) * 1000 / count
    finally:
        engines.stop(ctx)
        ctx.close()
    name = f"{CHILDREN} children of a dynamic block"
    report_row(f"{name}: CPU of the engine per child", ours=spent["executed"], floor=None, unit="ms", bound=2.0)
    report_row(f"{name}, unchanged: CPU per reused child", ours=spent["reused"], floor=None, unit="ms", bound=5.0)
