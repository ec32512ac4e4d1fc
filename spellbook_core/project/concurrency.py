"""Limits that a pipeline's and a project's `metadata.yaml` set; mage's keys, `if_running` and `priority` beside."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from spellbook_core.errors import SpellbookError
from spellbook_core.model.concurrency import Concurrency, IfRunning
from spellbook_core.model.naming import PipelineUuid
from spellbook_core.model.run import MAX_PRIORITY
from spellbook_core.project import yaml_files
from spellbook_core.project.containment import read_inside
from spellbook_core.project.layout import PIPELINE_FILE, ProjectLayout
from spellbook_core.project.metadata import load_pipeline
from spellbook_core.project.project_file import filled
from spellbook_core.settings import MAX_YAML_BYTES

_LOG = logging.getLogger("spellbook.project")
_ON_REACHED = {"wait": IfRunning.QUEUE, "skip": IfRunning.SKIP}


class BadConcurrencyError(SpellbookError, ValueError):
    """A key of `concurrency_config` has a value that it cannot have."""

    code = "SB-PIP-050"


def concurrency_of(document: Mapping[str, object]) -> Concurrency:
    """Return what `concurrency_config` of a pipeline's document says.

    Without a word about runs, one whole run of a pipeline goes at a time and later ones wait: two that write the same
    table or file at once spoil each other's work. `if_running: allow` lifts that.

    Raises:
        BadConcurrencyError: Names the key. [SB-PIP-050]
    """
    config = document.get("concurrency_config") or {}
    if not isinstance(config, Mapping):
        raise BadConcurrencyError("'concurrency_config' is no mapping.", hint="write 'block_run_limit: 2' below it.")
    block_limit = _limit(config, "block_run_limit")
    run_limit = _limit(config, "pipeline_run_limit_all_triggers")
    trigger_limit = _limit(config, "pipeline_run_limit")
    policy, priority = _policy(config), _priority(config)
    if policy is IfRunning.ALLOW:
        return Concurrency(block_limit, None, None, policy, priority)
    if run_limit is None and trigger_limit is None:
        run_limit = 1
    return Concurrency(block_limit, run_limit, trigger_limit, policy, priority)


def pipeline_block_limit(project: ProjectLayout, pipeline: PipelineUuid) -> int | None:
    """Return how many blocks of a pipeline may run at once, for a run that goes on whatever its file says now.

    None for no limit, also where the file cannot be read any more.
    """
    try:
        return concurrency_of(load_pipeline(project.pipeline_file(pipeline)).document).block_limit
    except (SpellbookError, OSError) as wrong:
        _LOG.warning("pipeline %s has no limit of its own: %s", pipeline, wrong)
        return None


def project_block_limit(project: ProjectLayout) -> int | None:
    """Return how many blocks of a project may run at once (`queue_config.concurrency`), None for no limit of its own.

    A project file that cannot be read sets none: `validate` says what is wrong with it.
    """
    path = project.root / PIPELINE_FILE
    try:
        return _project_limit(filled(read_inside(project.root, path, max_bytes=MAX_YAML_BYTES)), path)
    except (SpellbookError, OSError):
        return None


@lru_cache(maxsize=64)
def _project_limit(data: bytes, path: Path) -> int | None:
    """Parse equal bytes once."""
    document, _, _ = yaml_files.read(data, path)
    queue = document.get("queue_config")
    if not isinstance(queue, Mapping):
        return None
    try:
        return _limit(queue, "concurrency")
    except BadConcurrencyError as wrong:
        _LOG.warning("%s: %s It is not heeded.", path, wrong.message)
        return None


def _limit(config: Mapping[str, object], key: str) -> int | None:
    value = config.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadConcurrencyError(
            f"'{key}: {str(value)[:40]}' is no whole number from 1.", hint=f"write '{key}: 2', or leave it out."
        )
    return value


def _priority(config: Mapping[str, object]) -> int:
    value = config.get("priority", 0)
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_PRIORITY:
        raise BadConcurrencyError(
            f"'priority: {str(value)[:40]}' is no whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}.",
            hint="write 'priority: 10', or leave it out.",
        )
    return value


def _policy(config: Mapping[str, object]) -> IfRunning:
    own = config.get("if_running")
    if own is not None:
        try:
            return IfRunning(str(own))
        except ValueError:
            raise BadConcurrencyError(
                f"'if_running: {str(own)[:40]}' is not known.", hint=f"write one of {', '.join(IfRunning)}."
            ) from None
    reached = config.get("on_pipeline_run_limit_reached")
    if reached is not None and reached not in _ON_REACHED:
        raise BadConcurrencyError(
            f"'on_pipeline_run_limit_reached: {str(reached)[:40]}' is not known.", hint="write wait or skip."
        )
    return _ON_REACHED.get(str(reached), IfRunning.QUEUE)
