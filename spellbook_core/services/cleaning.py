"""The steps of housekeeping: deciding what nobody needs, and removing it while runs go on. See `housekeeping`."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from spellbook_core.artifacts import sweep
from spellbook_core.engine.supervise import identity
from spellbook_core.errors import NotFoundError, SpellbookError
from spellbook_core.model.naming import PipelineUuid, ProjectName, RunId
from spellbook_core.model.outcome import OUTCOME_FILE
from spellbook_core.model.task import LOCK_FILE
from spellbook_core.project import kept_modules
from spellbook_core.project.periods import Periods, periods_of
from spellbook_core.runs.records import OutputHolder
from spellbook_core.runs.retention import EndedRun, Retention, expired, kept_digests, over_budget
from spellbook_core.services import environment_list
from spellbook_core.services.wiring import Context

GRACE = timedelta(hours=1)
"""What is younger stays, needed or not: somebody may be about to record that it is needed."""

ASIDE = ".removed-"
"""Begins the name of a run's folder that was moved away and is being removed."""

_DIGEST = re.compile(r'"([0-9a-f]{32})"')
_FOR_EVER_DAYS = 36_500.0


@dataclass(slots=True)
class Plan:
    """What nobody needs, as far as one look tells.

    Attributes:
        cutoff: Epoch seconds; files touched since then stay.
        released: Runs that stay, without their outputs.
        outputs: Digests, of those in `stored`; `parts` says which of these consist of others.
        logs: Runs that stay, without their files.
        run_sizes: Bytes of the files of runs in `runs` and `logs`.
    """

    now: datetime
    cutoff: float
    runs: list[RunId] = field(default_factory=list)
    released: list[RunId] = field(default_factory=list)
    fingerprints: list[int] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    logs: list[RunId] = field(default_factory=list)
    leftovers: list[sweep.Stored] = field(default_factory=list)
    trash: list[sweep.Stored] = field(default_factory=list)
    environments: list[sweep.Stored] = field(default_factory=list)
    stored: dict[str, sweep.Stored] = field(default_factory=dict)
    parts: dict[str, frozenset[str]] = field(default_factory=dict)
    run_sizes: dict[RunId, int] = field(default_factory=dict)


def forget_gone(ctx: Context) -> None:
    """Let go of the newest outputs of pipelines that are gone for as long as runs are kept."""
    if ctx.settings.keep_runs_days > 0:
        before = ctx.clock.now() - timedelta(days=ctx.settings.keep_runs_days)
        ctx.store.upkeep.forget_heads(lambda *place: _exists(ctx, *place), before=before)


def decide(ctx: Context, progress: Callable[[str], None], grace: timedelta) -> Plan:
    """Return what nobody needs; nothing is changed."""
    upkeep, now = ctx.store.upkeep, ctx.clock.now()
    quiet_since = min([now - grace, *_living_since(ctx)])
    plan = Plan(now, quiet_since.timestamp())
    progress("Looking at runs")
    rules, needed = _rules(ctx), upkeep.needed_runs()
    ended = upkeep.ended_runs()
    plan.runs = [run.id for run in expired(ended, needed, rules, now) if now - run.ended_at > grace]
    progress("Looking at outputs")
    plan.stored = sweep.stored(ctx.workspace.artifacts_dir)
    plan.parts = sweep.parts_in(plan.stored)
    _decide_outputs(ctx, plan, rules, quiet_since, needed)
    progress("Looking at files")
    removed = set(plan.runs)
    old = [run.id for run in ended if run.id not in removed and _has_old_logs(run, rules(run.project), now)]
    _decide_files(ctx, plan, set(old))
    return plan


def _decide_outputs(
    ctx: Context,
    plan: Plan,
    rules: Callable[[ProjectName], Retention],
    quiet_since: datetime,
    needed: Collection[RunId],
) -> None:
    sealed = _sealed(ctx)  # before the run store is asked: what is recorded meanwhile is found there
    removed, unended = set(plan.runs), ctx.store.upkeep.unended_ids()
    holders = [
        replace(held, digests=sweep.with_parts(plan.parts, held.digests))
        for held in ctx.store.upkeep.holders()
        if held.kind != "run" or held.id not in removed
    ]
    gone = {held for held in holders if held.kind == "fingerprint" and _is_old(held, rules(held.project), plan.now)}
    holders = [held for held in holders if held not in gone]
    budget = ctx.settings.keep_outputs_gb * 1e9
    if budget > 0:

        def may_go(held: OutputHolder) -> bool:
            is_going = held.kind == "run" and (held.id in unended or (bool(unended) and held.id in needed))
            return held.at is not None and held.at < quiet_since and not is_going

        sizes = {digest: found.size_bytes for digest, found in plan.stored.items()}
        beyond = set(over_budget(holders, sizes, budget, may_go=may_go))
        plan.released = sorted(RunId(held.id) for held in beyond if held.kind == "run")
        gone |= {held for held in beyond if held.kind == "fingerprint"}
        holders = [held for held in holders if held not in beyond]
    plan.fingerprints = sorted(held.id for held in gone)
    kept = kept_digests(holders) | sweep.with_parts(plan.parts, sealed)
    plan.outputs = [
        digest for digest, found in plan.stored.items() if digest not in kept and found.held_at < plan.cutoff
    ]


def _living_since(ctx: Context) -> list[datetime]:
    """Return since when each attempt that runs right now does: what it has stored is named by nobody until it seals.

    A run that waits, or whose processes are gone, holds nothing back, however old it is.
    """
    found = []
    for attempt in ctx.store.upkeep.running_attempts():
        lock = ctx.workspace.attempt_dir(*attempt) / LOCK_FILE
        with suppress(OSError, ValueError):  # no worker began it yet, or it was given up
            holder = int(lock.read_bytes()[:20])
            if identity(holder) is not None:  # asking for the lock itself could take it from a worker that begins
                found.append(datetime.fromtimestamp(lock.stat().st_mtime, UTC))
    return found


def _sealed(ctx: Context) -> set[str]:
    """Return the outputs that attempts under way have sealed and nobody has recorded yet: the engine may be gone."""
    found: set[str] = set()
    for attempt in ctx.store.upkeep.running_attempts():
        with suppress(OSError):
            text = (ctx.workspace.attempt_dir(*attempt) / OUTCOME_FILE).read_text(encoding="utf-8", errors="replace")
            found.update(_DIGEST.findall(text))
    return found


def _decide_files(ctx: Context, plan: Plan, old_logs: set[RunId]) -> None:
    workspace, settings = ctx.workspace, ctx.settings
    plan.leftovers = sweep.old_drafts(workspace.artifacts_dir, before=plan.cutoff)
    known, removed = ctx.store.upkeep.known_runs(), set(plan.runs)
    lost_since = (plan.now - timedelta(days=settings.keep_runs_days or _FOR_EVER_DAYS)).timestamp()
    for path in _entries(workspace.runs_dir):
        number = RunId(int(path.name)) if path.name.isdecimal() else None
        if number is not None and number in known and number not in old_logs and number not in removed:
            continue
        found = sweep.measure(path)
        if found is None or (number is None and not path.name.startswith(ASIDE)):
            continue
        if number is None:
            plan.leftovers.append(found)
        elif number in known:
            plan.run_sizes[number] = found.size_bytes
            if number in old_logs:
                plan.logs.append(number)
        elif found.held_at < min(plan.cutoff, lost_since):
            plan.leftovers.append(found)  # of a run store that was lost: kept as long as its run would be
    if settings.keep_trash_days > 0:
        before = (plan.now - timedelta(days=settings.keep_trash_days)).timestamp()
        for path in _entries(workspace.trash_dir):
            with suppress(OSError):
                if path.stat().st_mtime < before and (entry := sweep.measure(path)) is not None:
                    plan.trash.append(entry)
    if settings.keep_environments_days > 0:
        plan.environments = environment_list.unused(ctx, before=_environments_since(ctx, plan))


def _environments_since(ctx: Context, plan: Plan) -> datetime:
    return min(plan.now - timedelta(days=ctx.settings.keep_environments_days), plan.now - GRACE)


def remove(ctx: Context, plan: Plan, progress: Callable[[str], None]) -> None:
    """Remove what was decided; what is needed after all stays, and `plan` then holds what was removed."""
    upkeep, workspace = ctx.store.upkeep, ctx.workspace
    progress("Removing runs")
    plan.runs = upkeep.remove_runs(plan.runs, lambda run_id: _put_aside(workspace.run_dir(run_id)))
    upkeep.forget_fingerprints(plan.fingerprints)
    upkeep.release_outputs(plan.released, now=plan.now)
    progress("Removing outputs")
    sealed = _sealed(ctx)
    kept = sweep.with_parts(plan.parts, kept_digests(upkeep.holders()) | sealed)
    wanted = [digest for digest in plan.outputs if digest not in kept]
    plan.outputs = sweep.remove(workspace.artifacts_dir, plan.stored, wanted, unless_held_since=plan.cutoff)
    progress("Removing files")
    for run_id in plan.logs:
        _put_aside(workspace.run_dir(run_id))
    for found in [*plan.leftovers, *plan.trash]:
        if found.path.parent == workspace.runs_dir and not found.path.name.startswith(ASIDE):
            _put_aside(found.path)
        else:
            shutil.rmtree(found.path, ignore_errors=True)
    for path in _entries(workspace.runs_dir):
        if path.name.startswith(ASIDE):
            shutil.rmtree(path, ignore_errors=True)
    if plan.environments:
        progress("Removing Python environments")
        plan.environments = _remove_environments(ctx, plan)
    kept_modules.sweep(workspace, unless_held_since=plan.cutoff)
    progress("Tidying the run store")
    upkeep.tidy()
    if not upkeep.unended_ids():
        upkeep.compact()


def _remove_environments(ctx: Context, plan: Plan) -> list[sweep.Stored]:
    """Remove those that are still unused, and return them; one that a process lives in stays."""
    still = {found.path for found in environment_list.unused(ctx, before=_environments_since(ctx, plan))}
    removed = []
    for found in plan.environments:
        if found.path in still:
            with suppress(environment_list.EnvironmentInUseError, NotFoundError):
                environment_list.remove(ctx, found.path.name)
                removed.append(found)
    return removed


def _put_aside(folder: Path) -> None:
    with suppress(FileNotFoundError):
        folder.rename(folder.with_name(f"{ASIDE}{folder.name}-{secrets.token_hex(4)}"))


def _rules(ctx: Context) -> Callable[[ProjectName], Retention]:
    settings = ctx.settings
    usual = timedelta(days=settings.keep_runs_days) if settings.keep_runs_days > 0 else None

    @cache
    def rule(project: ProjectName) -> Retention:
        try:
            own = periods_of(ctx.workspace.project(project))
        except SpellbookError:  # the project is gone: the workspace's own rule holds
            own = Periods()
        return Retention(own.runs or usual, settings.keep_runs if settings.keep_runs > 0 else None, own.logs)

    return rule


def _is_old(held: OutputHolder, rule: Retention, now: datetime) -> bool:
    return held.at is not None and not held.is_current and rule.max_age is not None and now - held.at > rule.max_age


def _has_old_logs(run: EndedRun, rule: Retention, now: datetime) -> bool:
    return rule.max_log_age is not None and now - run.ended_at > rule.max_log_age


def _exists(ctx: Context, project: ProjectName, pipeline: PipelineUuid) -> bool:
    try:
        return ctx.workspace.project(project).pipeline_file(pipeline).is_file()
    except SpellbookError:
        return False


def _entries(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    except FileNotFoundError:
        return []
