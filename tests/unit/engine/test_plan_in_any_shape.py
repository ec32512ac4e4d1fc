"""Whatever is chosen of whatever graph: parents come first or are stored, each block once, conditions before it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.engine import plan
from spellbook_core.model.block import Block
from spellbook_core.model.naming import BlockRunId, PipelineUuid, ProjectName
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.model.run import Selection, Upstream


@st.composite
def pipelines(draw):
    """Blocks in any order of the file, some dynamic, some guarded, some with a callback."""
    names = [f"b{number}" for number in range(draw(st.integers(1, 7)))]
    blocks, conditions, callbacks = [], [], []
    for number, name in enumerate(names):
        above = tuple(sorted(draw(st.sets(st.sampled_from(names[:number]))))) if number else ()
        configuration = {"dynamic": True} if draw(st.integers(0, 4)) == 0 else {}
        kind = "transformer" if above else "data_loader"
        blocks.append(Block(name, name, kind, "python", above, configuration=configuration))
        if draw(st.integers(0, 3)) == 0:
            conditions.append(Block(f"q{name}", f"q{name}", "conditional", "python", (name,)))
        if draw(st.integers(0, 3)) == 0:
            callbacks.append(Block(f"k{name}", f"k{name}", "callback", "python", (name,)))
    return Pipeline(
        PipelineUuid("p"),
        "p",
        blocks=tuple(draw(st.permutations(blocks))),
        conditionals=tuple(conditions),
        callbacks=tuple(callbacks),
    )


@st.composite
def requests(draw):
    pipeline = draw(pipelines())
    names = [block.uuid for block in pipeline.blocks]
    some = st.sets(st.sampled_from(names)).map(sorted)
    chosen = tuple(draw(some)) or None
    selection = Selection(chosen, draw(st.sampled_from(list(Upstream))), downstream=draw(st.booleans()))
    stored = {name: BlockRunId(number) for number, name in enumerate(draw(some), 1)}
    reusable = dict.fromkeys(draw(some), "unchanged")
    return pipeline, selection, stored, reusable, frozenset(draw(some))


@pytest.mark.thorough
@given(requests())
def test_any_plan_has_every_parent_before_its_children_or_stored(request):
    pipeline, selection, stored, reusable, stale = request
    facts = {"project": ProjectName("demo"), "reusable": reusable, "stale": stale}
    try:
        made = plan.build(pipeline, selection, stored, **facts)
    except plan.NothingToRunError:
        assert selection.blocks is None
        return
    except plan.MissingOutputError:
        assert set(pipeline.parents()) - set(stored), "something is not stored"
        return
    keys = [entry.key for entry in made.blocks]
    assert len(keys) == len(set(keys)), "nothing is planned twice"
    at = {key: number for number, key in enumerate(keys)}
    plain = {entry.block.uuid: entry for entry in made.blocks if not entry.hangs_on}
    parents = pipeline.parents()
    for name, entry in plain.items():
        assert set(entry.parents) == set(parents[name])
        for parent in entry.parents:
            assert (parent in plain) != (parent in entry.stored_inputs), "in the run, or as it was stored; never both"
            assert parent not in plain or at[parent] < at[name]
        assert all(at[condition] < at[name] for condition in entry.conditions)
        guards = {each.uuid for each in pipeline.conditionals if name in each.upstream_blocks}
        assert {each.block.uuid for each in made.blocks if each.key in entry.conditions} == guards
    for entry in made.blocks:
        if entry.hangs_on:
            assert entry.hangs_on in plain, "a condition or callback goes with its block"
    assert set(plain).isdisjoint(made.skipped)
    assert set(plain) | set(made.skipped) == set(parents)
    if selection.blocks is not None:
        assert set(selection.blocks) <= set(plain), "what was chosen runs, unchanged or not"
    elif selection.upstream is not Upstream.STALE:
        assert set(plain) == {name for name in parents if name not in reusable or name not in stored}
