from __future__ import annotations

from dataclasses import replace

import pytest

from spellbook_core.engine import plan
from spellbook_core.errors import NotFoundError, render_error
from spellbook_core.model.block import Block
from spellbook_core.model.graph import CycleError
from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.model.run import Selection, Upstream

TITANIC = ProjectName("titanic")


def block(uuid: str, *parents: str, kind: str = "transformer", language: str = "python") -> Block:
    upstream = tuple(BlockUuid(parent) for parent in parents)
    return Block(BlockUuid(uuid), uuid, kind, language, upstream)


def pipeline(*blocks: Block) -> Pipeline:
    return Pipeline(PipelineUuid("torch_train"), "torch_train", blocks=blocks)


def test_tests_need_a_stored_output_of_their_own_block_only():
    stored = {BlockUuid("fill"): BlockRunId(7)}
    made = plan.build_tests(LINE, Selection((BlockUuid("fill"),), tests_only=True), stored, project=TITANIC)
    assert [(entry.block.uuid, entry.parents, entry.stored_inputs) for entry in made.blocks] == [("fill", (), stored)]
    every = plan.build_tests(LINE, Selection(tests_only=True), stored, project=TITANIC)
    assert [entry.block.uuid for entry in every.blocks] == ["fill"]
    with pytest.raises(plan.MissingOutputError, match="'load' has no stored output"):
        plan.build_tests(LINE, Selection((BlockUuid("load"),), tests_only=True), stored, project=TITANIC)
    with pytest.raises(plan.NothingToRunError, match="No block"):
        plan.build_tests(LINE, Selection(tests_only=True), {}, project=TITANIC)


LINE = pipeline(block("load", kind="data_loader"), block("fill", "load"), block("train", "fill"), block("out", "train"))


def planned(
    selection: Selection, stored: tuple[str, ...] = (), source: Pipeline = LINE, reusable: dict[str, str] | None = None
) -> list[str]:
    numbers = {BlockUuid(name): BlockRunId(n) for n, name in enumerate(stored, start=1)}
    held = {BlockUuid(name): reason for name, reason in (reusable or {}).items()}
    made = plan.build(source, selection, numbers, project=TITANIC, reusable=held)
    return [entry.block.uuid for entry in made.blocks]


def chosen(*names: str, upstream: Upstream = Upstream.NONE, downstream: bool = False) -> Selection:
    return Selection(tuple(BlockUuid(name) for name in names), upstream, downstream)


CASES = [
    ("whole pipeline", Selection(), (), ["load", "fill", "train", "out"]),
    ("one block with a stored parent", chosen("train"), ("fill",), ["train"]),
    ("a root needs nothing", chosen("load"), (), ["load"]),
    ("missing ancestors", chosen("train", upstream=Upstream.MISSING), (), ["load", "fill", "train"]),
    ("missing stops at stored ones", chosen("train", upstream=Upstream.MISSING), ("fill",), ["train"]),
    ("missing looks behind a gap", chosen("out", upstream=Upstream.MISSING), ("load",), ["fill", "train", "out"]),
    ("all ancestors", chosen("train", upstream=Upstream.ALL), ("load", "fill"), ["load", "fill", "train"]),
    ("descendants", chosen("fill", downstream=True), ("load",), ["fill", "train", "out"]),
    ("two blocks hand over inside the run", chosen("train", "fill"), ("load",), ["fill", "train"]),
]


@pytest.mark.parametrize(("selection", "stored", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_selection_decides_blocks(selection, stored, expected):
    assert planned(selection, stored) == expected


STALE_CASES = [
    (Selection(None, Upstream.STALE), ("load", "fill", "train", "out"), ("train", "out"), ["train", "out"]),
    (Selection(None, Upstream.STALE), ("load",), ("fill", "train", "out"), ["fill", "train", "out"]),
    (chosen("out", upstream=Upstream.STALE), ("load", "fill", "train"), ("fill", "train"), ["fill", "train", "out"]),
    (chosen("train", upstream=Upstream.STALE), ("load", "fill", "train"), (), ["train"]),
    (chosen("train", upstream=Upstream.STALE), ("load",), (), ["fill", "train"]),
    (chosen("train", upstream=Upstream.MISSING), ("load", "fill"), ("fill",), ["train"]),
]


@pytest.mark.parametrize(("selection", "stored", "stale", "expected"), STALE_CASES)
def test_stale_selection_decides_blocks(selection, stored, stale, expected):
    numbers = {BlockUuid(name): BlockRunId(n) for n, name in enumerate(stored, start=1)}
    made = plan.build(LINE, selection, numbers, project=TITANIC, stale=[BlockUuid(name) for name in stale])
    assert [entry.block.uuid for entry in made.blocks] == expected


def test_nothing_stale_is_told():
    numbers = {entry.uuid: BlockRunId(n) for n, entry in enumerate(LINE.blocks, start=1)}
    with pytest.raises(plan.NothingToRunError, match="up to date"):
        plan.build(LINE, Selection(None, Upstream.STALE), numbers, project=TITANIC)


def test_missing_parent_output_is_refused():
    with pytest.raises(plan.MissingOutputError, match="needs the output of 'fill', which has not run yet") as caught:
        planned(chosen("train"))
    assert render_error(caught.value.to_dict()) == (
        "Block 'train' needs the output of 'fill', which has not run yet.\n"
        "  Do this: run 'fill', or choose \"Run with upstream\".\n"
        "  SB-RUN-004   project titanic · pipeline torch_train · block train"
    )


def test_stored_inputs_name_their_block_run():
    made = plan.build(LINE, chosen("train"), {BlockUuid("fill"): BlockRunId(7)}, project=TITANIC)
    assert made.blocks[0].parents == ("fill",)
    assert made.blocks[0].stored_inputs == {"fill": 7}


def test_inputs_of_run_are_not_stored_ones():
    made = plan.build(LINE, Selection(), {BlockUuid("fill"): BlockRunId(7)}, project=TITANIC)
    assert all(entry.stored_inputs == {} for entry in made.blocks)


def test_each_block_has_a_reason():
    made = plan.build(LINE, chosen("fill", upstream=Upstream.MISSING), {}, project=TITANIC)
    assert [entry.reason for entry in made.blocks] == [
        "it is upstream of 'fill', which had no stored output",
        "it was chosen",
    ]
    assert made.skipped == {"train": "it was not chosen", "out": "it was not chosen"}


def test_only_runnable_blocks_run():
    drawn = pipeline(block("load", kind="data_loader"), block("note", kind="markdown"), block("fill", "load", "note"))
    made = plan.build(drawn, Selection(), {}, project=TITANIC)
    assert [entry.block.uuid for entry in made.blocks] == ["load", "fill"]
    assert made.blocks[1].parents == ("load",)
    assert made.skipped == {"note": "a python markdown block does not run"}


def test_needed_block_of_another_language_is_refused():
    mixed = pipeline(block("query", kind="data_loader", language="r"), block("fill", "query"))
    with pytest.raises(plan.NotRunnableError, match=r"needs the output of 'query', which is a r block"):
        planned(Selection(), source=mixed)


@pytest.mark.parametrize("language", ["python", "sql", "shell", "bash"])
def test_blocks_of_four_types_run_in_every_language(language):
    names = ("data_loader", "transformer", "custom", "data_exporter")
    made = planned(Selection(), source=pipeline(*(block(kind, kind=kind, language=language) for kind in names)))
    assert made == list(names)


def test_scratchpad_runs_only_when_it_is_chosen():
    tried = block("tried", kind="scratchpad")
    source = pipeline(tried, block("load", kind="data_loader"))
    assert planned(Selection(), source=source) == ["load"]
    assert planned(chosen("tried"), source=source) == ["tried"]


def test_chosen_markdown_block_is_refused():
    with pytest.raises(plan.NotRunnableError, match="'note' cannot run: it is a markdown block"):
        planned(chosen("note"), source=pipeline(block("note", kind="markdown")))


def test_empty_pipeline_is_refused():
    with pytest.raises(plan.NothingToRunError, match="no block that runs"):
        planned(Selection(), source=pipeline())


def test_unknown_block_is_refused():
    with pytest.raises(NotFoundError, match="no block 'nowhere'"):
        planned(chosen("nowhere"))


def test_cycle_is_refused():
    with pytest.raises(CycleError, match="a → b → a"):
        planned(Selection(), source=pipeline(block("a", "b"), block("b", "a")))


def test_reusable_ancestors_are_skipped():
    ancestors = chosen("train", upstream=Upstream.ALL)
    assert planned(ancestors, ("load", "fill"), reusable={"fill": "unchanged since run 3"}) == ["train"]


def test_chosen_block_runs_although_reusable():
    assert planned(chosen("fill"), ("load", "fill"), reusable={"fill": "unchanged"}) == ["fill"]


def test_child_of_a_dynamic_block_runs_once_per_item():
    items = replace(block("items", kind="data_loader"), configuration={"dynamic": True})
    source = pipeline(items, block("each", "items"), block("then", "each"))
    made = plan.build(source, Selection(), {}, project="demo")
    assert [(entry.key, [over.parent for over in entry.over]) for entry in made.blocks] == [
        ("items", []),
        ("each", ["items"]),
        ("then", ["each"]),
    ]


def test_reduced_output_ends_the_fan_out():
    items = replace(block("items", kind="data_loader"), configuration={"dynamic": True})
    each = replace(block("each", "items"), configuration={"reduce_output": True})
    made = plan.build(pipeline(items, each, block("all", "each")), Selection(), {}, project="demo")
    assert made.blocks[-1].over == ()


@pytest.mark.parametrize(("given", "expected"), [(True, True), ("true", True), (False, False), (None, False)])
def test_dynamic_is_read_as_mage_writes_it(given, expected):
    assert replace(block("b"), configuration={"dynamic": given}).is_dynamic is expected
    assert replace(block("b"), configuration={"dynamic": {"parent": given}}).is_dynamic is expected


def test_condition_comes_before_its_block_and_callback_behind():
    condition = block("weekdays", "fill", kind="conditional")
    callback = block("tell", "fill", "load", kind="callback")
    made = plan.build(replace(LINE, conditionals=(condition,), callbacks=(callback,)), Selection(), {}, project="demo")
    keys = [entry.key for entry in made.blocks]
    assert keys[:5] == ["load", "tell@load", "weekdays@fill", "fill", "tell@fill"]
    fill = next(entry for entry in made.blocks if entry.key == "fill")
    assert fill.conditions == ("weekdays@fill",)
    guard = next(entry for entry in made.blocks if entry.key == "weekdays@fill")
    assert guard.parents == fill.parents
