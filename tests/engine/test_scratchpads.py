"""Scratchpads run from their card alone, and hand nothing on."""

from __future__ import annotations

import pytest

from spellbook_core.errors import SpellbookError
from spellbook_core.model.run import NewRun, Selection
from spellbook_core.services import outputs, runs
from spellbook_core.services.wiring import open_context
from spellbook_core.worker.scratchpad import with_result
from tests.conftest import LOADER, BlockFile, make_project


@pytest.fixture
def ctx(tmp_path):
    (tmp_path / "projects").mkdir()
    made = open_context(tmp_path)
    yield made
    made.close()


def run(ctx, *names):
    selection = Selection(blocks=names or None)
    new = NewRun(project="demo", pipeline="main", trigger="notebook" if names else "cli", selection=selection)
    ended = runs.run_here(ctx, new, lambda event: None)
    return {found.block: found for found in runs.block_runs(ctx, ended.id)}


def test_scratchpads_run_alone_and_never_with_the_pipeline(ctx, tmp_path):
    blocks = {
        "tried": BlockFile("import math\nprint('hello')\n{\n  'pi': math.pi  # two lines\n}\n", "scratchpad"),
        "asked": BlockFile("select 1 + 1 as n", "scratchpad", language="sql"),
        "wrong": BlockFile("x = 1\n1 / 0\n", "scratchpad"),
        "load": BlockFile(LOADER, "data_loader", ("tried",)),
    }
    make_project(tmp_path, blocks=blocks)
    assert {name: found.status.value for name, found in run(ctx).items()} == {"load": "completed"}
    tried = run(ctx, "tried")["tried"]
    assert tried.error is None
    assert list(ctx.artifacts.get(tried.outputs[0].artifact)) == ["pi"]
    assert "hello" in [line.text for line in runs.log_tail(ctx, tried).lines]
    assert outputs.page(ctx, run(ctx, "asked")["asked"].outputs[0]).rows == [[2]]
    assert run(ctx, "wrong")["wrong"].error.line == 2
    assert run(ctx, "load")["load"].error is None  # its scratchpad parent hands nothing over


def test_markdown_does_not_run(ctx, tmp_path):
    make_project(tmp_path, blocks={"text": BlockFile("# Title", "markdown", language="markdown")})
    with pytest.raises(SpellbookError, match="markdown"):
        run(ctx, "text")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("1", "__spellbook_result__ = (1)"),
        ("한글 = 1\n한글  # so", "한글 = 1\n__spellbook_result__ = (한글)  # so"),
        ("f(\n1)\n", "__spellbook_result__ = (f(\n1))\n"),
        ("x = 1", "x = 1"),
        ("if x:\n  1", "if x:\n  1"),
        ("a; b", "a; b"),
        ("(", "("),
        ("", ""),
    ],
)
def test_only_a_last_expression_is_kept(text, result):
    assert with_result(text) == result
