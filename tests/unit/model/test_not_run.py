"""Each thing of mage that does not run here says why, and what to use instead."""

from __future__ import annotations

import pytest

from spellbook_core.model import not_run
from spellbook_core.model.block import Block


@pytest.mark.parametrize(
    ("block_type", "language", "why", "instead"),
    [
        ("dbt", "sql", "dbt model", "shell block"),
        ("transformer", "r", "written in R", "Rscript"),
        ("data_loader", "yaml", "connector", "Python block"),
        ("data_exporter", "cobol", "written in 'cobol'", "Python block"),
        ("ai", "yaml", "language model", "Python block"),
        ("extension", "python", "great_expectations", "@test"),
        ("hologram", "python", "does not know the type 'hologram'", "Python block"),
    ],
)
def test_reason_and_way_out_are_told(block_type, language, why, instead):
    found = not_run.of_block(Block("b", "b", block_type, language))
    assert why in found.why
    assert instead in found.instead


@pytest.mark.parametrize(
    ("block_type", "language"),
    [("data_loader", "python"), ("transformer", "sql"), ("markdown", "markdown"), ("scratchpad", "python")],
)
def test_what_runs_or_is_no_part_of_a_run_says_nothing(block_type, language):
    assert not_run.of_block(Block("b", "b", block_type, language)) is None
