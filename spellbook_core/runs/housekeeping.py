"""The statements of the SQLite run store that find and remove what is no longer needed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import cast

from spellbook_core.clock import from_text, to_text
from spellbook_core.model.naming import PipelineUuid, ProjectName, RunId
from spellbook_core.model.run import Status
from spellbook_core.runs.database import Database
from spellbook_core.runs.records import OutputHolder
from spellbook_core.runs.retention import EndedRun

_BATCH = 100
"""Runs removed per transaction: a block that ends meanwhile waits a few milliseconds for it."""

_DIGEST = re.compile(r'"([0-9a-f]{32})"')
_ANY_DIGEST = re.compile(r'"([0-9a-f]{16,64})"')

_ENDED_HEADS = (
    "SELECT h.project, h.pipeline, h.block, max(coalesce(r.ended_at, r.created_at)) AS at, min(r.is_ended) AS is_ended"
    " FROM block_heads h JOIN block_runs b ON b.id IN (h.newest_id, h.completed_id)"
    " JOIN pipeline_runs r ON r.id = b.run_id GROUP BY h.project, h.pipeline, h.block"
)

_CURRENT = (
    "SELECT f.id FROM fingerprints f JOIN block_heads h ON h.project = f.project AND h.pipeline = f.pipeline"
    " AND h.block = f.block JOIN block_runs b ON b.id = h.completed_id WHERE b.fingerprint = f.fingerprint"
)


class Upkeep:
    """Finds and removes in one run store. Implements `RunUpkeep`."""

    def __init__(self, database: Database) -> None:
        """Work on that database."""
        self._database = database

    def ended_runs(self) -> list[EndedRun]:
        """See `RunUpkeep`."""
        rows = self._database.rows(
            "SELECT id, project, pipeline, trigger_kind, coalesce(ended_at, created_at) AS at, outputs_removed_at"
            " FROM pipeline_runs WHERE is_ended = 1 ORDER BY id"
        )
        return [
            EndedRun(
                RunId(row["id"]),
                ProjectName(row["project"]),
                PipelineUuid(row["pipeline"]),
                row["trigger_kind"] == "notebook",
                from_text(row["at"]),
                row["outputs_removed_at"] is None,
            )
            for row in rows
        ]

    def unended_ids(self) -> set[RunId]:
        """See `RunUpkeep`."""
        return {RunId(row["id"]) for row in self._database.rows("SELECT id FROM pipeline_runs WHERE is_ended = 0")}

    def needed_runs(self) -> set[RunId]:
        """See `RunUpkeep`."""
        heads = "SELECT newest_id FROM block_heads UNION SELECT completed_id FROM block_heads"
        rows = self._database.rows(
            f"SELECT run_id FROM block_runs WHERE id IN ({heads}) UNION"  # noqa: S608
            " SELECT run_id FROM block_runs WHERE id IN"
            f" (SELECT reused_from FROM block_runs WHERE id IN ({heads})) UNION"
            " SELECT id FROM pipeline_runs WHERE is_ended = 0"
        )
        needed = {RunId(row["run_id"]) for row in rows}
        for row in self._database.rows("SELECT again FROM pipeline_runs WHERE is_ended = 0 AND again IS NOT NULL"):
            needed |= {RunId(number) for number in _numbers(row["again"])}
        inputs = set[int]()
        for row in self._database.rows(
            "SELECT b.spec FROM pipeline_runs r JOIN block_runs b ON b.run_id = r.id WHERE r.is_ended = 0"
        ):
            inputs |= _numbers(row["spec"])
        for some in _batches(sorted(inputs), 500):
            marks = ", ".join("?" * len(some))
            found = self._database.rows(f"SELECT DISTINCT run_id FROM block_runs WHERE id IN ({marks})", some)  # noqa: S608
            needed |= {RunId(row["run_id"]) for row in found}
        return needed

    def holders(self) -> Iterator[OutputHolder]:
        """See `RunUpkeep`."""
        current = {row["id"] for row in self._database.rows(_CURRENT)}
        rows = self._database.rows(
            "SELECT b.run_id, coalesce(r.ended_at, r.created_at) AS at, r.project, group_concat(b.outputs) AS outputs"
            " FROM pipeline_runs r JOIN block_runs b ON b.run_id = r.id"
            " WHERE r.outputs_removed_at IS NULL GROUP BY b.run_id"
        )
        for row in rows:
            digests = frozenset(_DIGEST.findall(row["outputs"]))
            yield OutputHolder("run", row["run_id"], row["project"], from_text(row["at"]), digests)
        for row in self._database.rows("SELECT id, block_run_id, project, made_at, outputs FROM fingerprints"):
            digests = frozenset(_DIGEST.findall(row["outputs"]))
            at = from_text(row["made_at"])
            yield OutputHolder("fingerprint", row["block_run_id"], row["project"], at, digests, row["id"] in current)
        kept = self._database.rows(  # heads keep their outputs even where their run's are removed
            "SELECT b.id, h.project, b.outputs FROM block_heads h JOIN block_runs head"
            " ON head.id IN (h.newest_id, h.completed_id)"
            " JOIN block_runs b ON b.run_id = head.run_id AND b.block = head.block"
        )
        for row in kept:
            digests = frozenset(_DIGEST.findall(row["outputs"]))
            yield OutputHolder("head", row["id"], row["project"], None, digests, True)

    def remove_runs(self, ids: Sequence[RunId], put_aside: Callable[[RunId], None]) -> list[RunId]:
        """See `RunUpkeep`."""
        removed: list[RunId] = []
        for some in _batches(ids, _BATCH):
            with self._database.transaction():
                needed = self.needed_runs()
                gone = [number for number in some if number not in needed]
                for run_id in gone:
                    put_aside(run_id)
                    self._database.execute(
                        "DELETE FROM attempts WHERE block_run_id IN (SELECT id FROM block_runs WHERE run_id = ?)",
                        (run_id,),
                    )
                    self._database.execute("DELETE FROM block_runs WHERE run_id = ?", (run_id,))
                    self._database.execute("DELETE FROM pipeline_runs WHERE id = ? AND is_ended = 1", (run_id,))
            removed += gone
        return removed

    def release_outputs(self, runs: Sequence[RunId], *, now: datetime) -> None:
        """See `RunUpkeep`."""
        for some in _batches(runs, _BATCH):
            with self._database.transaction():
                for run_id in some:
                    self._database.execute(
                        "UPDATE pipeline_runs SET outputs_removed_at = ? WHERE id = ? AND is_ended = 1",
                        (to_text(now), run_id),
                    )

    def forget_fingerprints(self, ids: Sequence[int]) -> None:
        """See `RunUpkeep`."""
        for some in _batches(ids, _BATCH):
            marks = ", ".join("?" * len(some))
            with self._database.transaction():
                self._database.execute(  # one that was made again since is another block run's
                    f"DELETE FROM fingerprints WHERE block_run_id IN ({marks}) AND id NOT IN ({_CURRENT})",  # noqa: S608
                    some,
                )

    def forget_heads(self, exists: Callable[[ProjectName, PipelineUuid], bool], *, before: datetime) -> int:
        """See `RunUpkeep`."""
        known: dict[tuple[str, str], bool] = {}
        with self._database.transaction():
            gone = []
            for row in self._database.rows(_ENDED_HEADS):
                place = (row["project"], row["pipeline"])
                if place not in known:
                    known[place] = exists(ProjectName(place[0]), PipelineUuid(place[1]))
                if not known[place] and row["is_ended"] and from_text(row["at"]) < before:
                    gone.append((*place, row["block"]))
            for where in gone:
                self._database.execute(
                    "DELETE FROM block_heads WHERE project = ? AND pipeline = ? AND block = ?", where
                )
        return len(gone)

    def tidy(self) -> int:
        """See `RunUpkeep`."""
        with self._database.transaction():
            removed = self._database.execute(
                "DELETE FROM code WHERE code_hash NOT IN (SELECT code_hash FROM block_runs)"
            ).rowcount
            needed = set[str]()
            for row in self._database.rows("SELECT parts FROM fingerprints"):
                needed.update(_ANY_DIGEST.findall(row["parts"]))
            meanings = {row["digest"]: row["meaning"] for row in self._database.rows("SELECT * FROM meanings")}
            fresh = [digest for digest in needed if digest in meanings]
            while fresh:  # a meaning may stand for digests that have meanings of their own
                inner = set(_ANY_DIGEST.findall(meanings[fresh.pop()])) - needed
                needed |= inner
                fresh += [digest for digest in inner if digest in meanings]
            for digest in meanings.keys() - needed:
                self._database.execute("DELETE FROM meanings WHERE digest = ?", (digest,))
                removed += 1
        return removed

    def known_runs(self) -> set[RunId]:
        """See `RunUpkeep`."""
        return {RunId(row["id"]) for row in self._database.rows("SELECT id FROM pipeline_runs")}

    def running_attempts(self) -> list[tuple[RunId, int, int]]:
        """See `RunUpkeep`."""
        rows = self._database.rows(
            "SELECT b.run_id, b.id, b.attempt FROM pipeline_runs r JOIN block_runs b ON b.run_id = r.id"
            " WHERE r.is_ended = 0 AND b.status = ?",
            (Status.RUNNING.value,),
        )
        return [(RunId(row["run_id"]), row["id"], row["attempt"]) for row in rows]

    def compact(self) -> int:
        """See `RunUpkeep`."""
        return self._database.compact()


def _numbers(text: object) -> set[int]:
    """Return every whole number in a JSON text: a superset of the numbers of runs and block runs in it."""
    found: set[int] = set()
    stack = [json.loads(str(text))]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack += value.values()
        elif isinstance(value, list):
            stack += value
        elif isinstance(value, int) and not isinstance(value, bool):
            found.add(value)
    return found


def _batches(values: Sequence[int], size: int) -> Iterator[tuple[RunId, ...]]:
    left = iter(values)
    while some := tuple(islice(left, size)):
        yield cast("tuple[RunId, ...]", some)
