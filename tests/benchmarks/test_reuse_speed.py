"""What it costs to find out that nothing has to run."""

from __future__ import annotations

import resource
import statistics
import time

import pytest

from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.engine import fingerprint
from spellbook_core.engine.dependence import compute_parts, environment_for
from spellbook_core.engine.fingerprint import content_id
from spellbook_core.engine.intake import take_in
from spellbook_core.model.run import NewRun, Selection, Status
from spellbook_core.model.staleness import Freshness
from spellbook_core.project.closure import CodeIndex, index_of
from spellbook_core.project.sourcefacts import facts_of
from spellbook_core.runs.records import BlockEnd, Fingerprint
from spellbook_core.services import runs
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, make_project, wait_until

pytestmark = pytest.mark.benchmark_table

LENGTH = 50
STEP = """
import pathlib

@transformer
def step(*numbers, **kwargs):
    with (pathlib.Path(__file__).parents[1] / 'executed.txt').open('a') as file:
        file.write('{name} ')
    return {number}
"""
MULTIPLY = """
from demo.utils.variables import FACTOR

@transformer
def multiply(*args, **kwargs):
    return {number} * FACTOR
"""
MODULE = "from .m{before} import value as earlier\n" + "\n".join(
    f'def f{n}(x):\n    """Return more."""\n    return x + {n} if x else None  # more\n' for n in range(22)
)


def executed(project) -> list[str]:
    path = project / "executed.txt"
    names = path.read_text().split() if path.exists() else []
    path.unlink(missing_ok=True)
    return names


def whole_run(ctx) -> tuple[float, object]:
    """Return this process's processor seconds for a run, and the run."""
    begun = time.process_time()
    run = runs.run_here(ctx, NewRun("demo", "main", "cli"), lambda event: None)
    used = time.process_time() - begun
    assert run.status is Status.COMPLETED
    return used, run


@pytest.fixture
def ctx(tmp_path):
    made = open_context(tmp_path, create=True)
    yield made
    made.close()


@pytest.fixture
def project(tmp_path, ctx):
    """A chain of transformers that has executed once."""
    blocks = {
        f"b{n}": BlockFile(STEP.format(name=f"b{n}", number=n), "transformer", (f"b{n - 1}",) if n else ())
        for n in range(LENGTH)
    }
    made = make_project(tmp_path, blocks=blocks)
    whole_run(ctx)
    assert len(executed(made)) == LENGTH
    return made


def test_unchanged_run_costs_little_and_runs_nothing(ctx, project, report_row):
    figures = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(5):
        used, run = whole_run(ctx)
        figures.append(used / LENGTH * 1000)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert executed(project) == []
    assert (after.ru_utime, after.ru_minflt) == (before.ru_utime, before.ru_minflt), "a process was made"
    assert all(block_run.reused for block_run in runs.block_runs(ctx, run.id))
    ours = statistics.median(figures)
    report_row(
        f"second run, nothing changed, {LENGTH} blocks: CPU per block", ours=ours, floor=None, unit="ms", bound=5.0
    )


def test_edit_of_the_last_block_runs_one(ctx, project, report_row):
    (project / "transformers" / f"b{LENGTH - 1}.py").write_text(STEP.format(name="edited", number=-1))
    whole_run(ctx)
    names = executed(project)
    what = f"blocks that execute after an edit of the last of {LENGTH}"
    report_row(what, ours=len(names), floor=1, unit="blocks", bound=1)
    assert names == ["edited"]


def test_equal_result_of_an_edited_block_stops_the_wave(ctx, project, report_row):
    (project / "transformers" / "b3.py").write_text(STEP.format(name="edited", number="1 + 2"))
    whole_run(ctx)
    names = executed(project)
    what = f"blocks that execute after an edit of the fourth of {LENGTH} that leaves its output equal"
    report_row(what, ours=len(names), floor=1, unit="blocks", bound=1)
    assert names == ["edited"]


def test_fingerprint_of_many_modules_is_quick(tmp_path, report_row):
    files = {f"lib/m{n}.py": MODULE.format(before=n - 1) for n in range(1, 200)}
    root = make_project(tmp_path, files={**files, "lib/m0.py": "value = 1\n", "lib/__init__.py": ""})
    index = CodeIndex(root, root.parent)
    imports = facts_of("from demo.lib import m199").imports

    def once() -> float:
        begun = time.process_time()
        index.look()
        closure = index.closure(imports)
        assert closure.digest
        assert len(closure.members) == 202
        return (time.process_time() - begun) * 1000

    cold = once()
    newest = max(path.stat().st_ctime for path in root.rglob("*"))
    wait_until(lambda: time.time() - newest > 0.2)  # files that have just changed are read again, by design
    once()
    warm = statistics.median(once() for _ in range(15))
    report_row("fingerprint of a project of 200 modules, warm: CPU", ours=warm, floor=None, unit="ms", bound=5.0)
    report_row("fingerprint of a project of 200 modules, cold: CPU", ours=cold, floor=None, unit="ms", bound=None)
    assert warm < cold / 20


def test_staleness_of_a_large_pipeline_is_quick(tmp_path, ctx, report_row):
    blocks = {
        f"b{n}": BlockFile(
            MULTIPLY.format(number=n),
            "transformer",
            (f"b{n - 1}",) if n % 10 else (),
        )
        for n in range(500)
    }
    files = {"utils/__init__.py": "", "utils/variables.py": "FACTOR = 1\nOTHER = 2\n"}
    project = make_project(tmp_path, blocks=blocks, files=files, variables={"epochs": 3})
    completed(ctx)

    def once() -> float:
        begun = time.process_time()
        found = runs.staleness(ctx, "demo", "main")
        figures.append((time.process_time() - begun) * 1000)
        return found

    figures: list[float] = []
    wait_until(lambda: once() and time.time() - (project / "transformers").stat().st_ctime > 0.2)
    assert {state.state for state in once().values()} == {Freshness.FRESH}
    figures.clear()
    (project / "transformers" / "b250.py").write_text("@transformer\ndef f(*args, **kwargs):\n    return 0\n")
    for _ in range(9):
        found = once()
    stale = [name for name, state in found.items() if state.state is Freshness.STALE]
    assert stale == [f"b{n}" for n in range(250, 260)]
    ours = statistics.median(figures)
    report_row("stale state of a 500-block pipeline after one edit: CPU", ours=ours, floor=None, unit="ms", bound=50.0)


def completed(ctx) -> None:
    """Store a run of every block as if it had executed, each with the same output."""
    output = LocalArtifactStore(ctx.workspace.artifacts_dir).put(1)
    run = ctx.store.create_run(NewRun("demo", "main", "cli"), now=ctx.clock.now())
    intake = take_in(ctx.workspace, ctx.store, "demo", "main", Selection())
    index = index_of(intake.project)
    variables = {name: fingerprint.value_digest(value) for name, value in intake.pipeline.variables.items()}
    with ctx.store.transaction():
        numbers = ctx.store.begin_run(run.id, intake.blocks, now=ctx.clock.now())
        for number, block in zip(numbers, intake.blocks, strict=True):
            facts = facts_of(block.source)
            closure = index.closure(facts.imports)
            parts = compute_parts(
                block_type=block.block_type,
                language="python",
                facts=facts,
                closure=closure,
                parents=[(parent, content_id([output.artifact])) for parent in block.spec.parents],
                variables=variables,
                configuration=block.spec.configuration,
                environment=environment_for(intake.project, facts, closure),
            )
            known = Fingerprint(parts.digest, parts.text, meanings=closure.meanings)
            end = BlockEnd(Status.COMPLETED, ctx.clock.now(), outputs=(output,), fingerprint=known)
            ctx.store.end_block(number, end)
