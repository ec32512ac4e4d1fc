"""What of mage is shown and kept, but not run here: why, and what to use instead. Words for people, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from spellbook_core.model.block import RUNNABLE_TYPES, Block, BlockType


@dataclass(frozen=True, slots=True)
class NotRun:
    """Why something does not run here (a clause that begins with what it is), and what to do instead."""

    why: str
    instead: str


EXTENSION = NotRun("it is checked by great_expectations, through mage", "write the checks as @test functions.")

_IN_PYTHON = "write it as a Python block, or run it with mage."

PIPELINES = {
    "streaming": NotRun(
        "it is a streaming pipeline, which needs a process that never ends",
        "read in batches in a Python data loader that a schedule starts, or run it with mage.",
    ),
    "integration": NotRun(
        "it is a data integration pipeline, which needs mage's connectors",
        "read the source in a Python data loader and write it in an exporter, or run it with mage.",
    ),
    "pyspark": NotRun(
        "it is a Spark pipeline, whose blocks expect mage's Spark session",
        "open a session with pyspark in a block of a python pipeline, or run it with mage.",
    ),
    "databricks": NotRun(
        "it is a Databricks pipeline, whose blocks expect mage's Spark session",
        "open a session with databricks-connect in a block of a python pipeline, or run it with mage.",
    ),
}
"""Pipeline type -> why; every other type runs as `python` does."""

_TYPES = {
    "dbt": NotRun(
        "it is a dbt model, and dbt is not part of Spellbook",
        "call dbt build in a shell block, or write the query as an SQL block.",
    ),
    "ai": NotRun("it asks a language model by mage's own service", "call the service from a Python block."),
    BlockType.EXTENSION.value: EXTENSION,
}
_LANGUAGES = {
    "r": NotRun("it is written in R", "call Rscript in a shell block, or write it as a Python block."),
    "yaml": NotRun(
        "its YAML configures a connector of streaming or data integration",
        "read or write with the driver's own package in a Python block.",
    ),
    "markdown": NotRun("it holds Markdown, which a block of type markdown shows", "make it a markdown block."),
}


def of_block(block: Block) -> NotRun | None:
    """Return why a pipeline run never executes a block; None when it does, or when nobody would expect it to.

    A note, a scratchpad or a chart is nothing that runs with a pipeline, here or in mage.
    """
    if block.is_runnable:
        return None
    if block.type in _TYPES:
        return _TYPES[block.type]
    if block.type in RUNNABLE_TYPES:
        return _LANGUAGES.get(block.language) or NotRun(f"it is written in '{block.language}'", _IN_PYTHON)
    known = {BlockType.MARKDOWN, BlockType.SCRATCHPAD, BlockType.CHART, BlockType.CONDITIONAL, BlockType.CALLBACK}
    return None if block.type in known else NotRun(f"Spellbook does not know the type '{block.type}'", _IN_PYTHON)
