"""Runs over HTTP: start, look, cancel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from spellbook_core.errors import NotFoundError, SpellbookError
from spellbook_core.http.errors import BadRequestError
from spellbook_core.http.routes.answers import json_body, query_number
from spellbook_core.model.naming import BlockUuid, PipelineUuid, ProjectName, RunId, validate_uuid
from spellbook_core.model.run import MAX_PRIORITY, Code, NewRun, PipelineRun, Share, Status
from spellbook_core.model.values import YamlValue
from spellbook_core.services import reports, retries, runs
from spellbook_core.services.wiring import Context

Choice = TypeVar("Choice")

MAX_RUNS = 500
MAX_REQUEST_ID_CHARS = 200
MAX_RUN_ID = 2**63 - 1  # what SQLite holds


class RunsRoutes:
    """The handlers, on one workspace."""

    def __init__(self, context: Callable[[], Context]) -> None:
        """Work on the workspace of `context`."""
        self._context = context

    async def listed(self, request: Request) -> Response:
        """GET /api/runs: newest first; `project`, `pipeline`, `state`, `offset`, `limit` (at most 500)."""
        query = request.query_params
        offset = query_number(request, "offset", 0, most=10**9)
        limit = query_number(request, "limit", 50, most=MAX_RUNS)
        project = query.get("project")
        pipeline = query.get("pipeline")
        statuses = tuple(_status(text) for text in query.getlist("state"))

        def work() -> dict[str, object]:
            page = runs.list_runs(
                self._context(),
                project=ProjectName(project) if project else None,
                pipeline=PipelineUuid(pipeline) if pipeline else None,
                statuses=statuses,
                offset=offset,
                limit=limit,
            )
            return {"total": page.total, "offset": offset, "runs": [reports.run_report(run) for run in page.runs]}

        return JSONResponse(await run_in_threadpool(work))

    async def shown(self, request: Request) -> Response:
        """GET /api/runs/{id}: one run with its block runs."""
        run_id = _run_id(request)

        def work() -> dict[str, object]:
            context = self._context()
            return dict(reports.run_report(runs.get(context, run_id), runs.block_runs(context, run_id)))

        return JSONResponse(await run_in_threadpool(work))

    async def started(self, request: Request) -> Response:
        """POST /api/projects/{project}/pipelines/{pipeline}/runs: variables, request_id, priority -> 201, the run."""
        body = await json_body(request)
        new = NewRun(
            project=ProjectName(validate_uuid(request.path_params["project"], "project")),
            pipeline=PipelineUuid(validate_uuid(request.path_params["pipeline"], "pipeline")),
            trigger="api",
            variables=_variables(body),
            request_id=_request_id(body),
            priority=_priority(body),
        )
        run = await run_in_threadpool(lambda: runs.start(self._context(), new))
        return JSONResponse(reports.run_report(run), 201, {"Location": f"/api/runs/{run.id}"})

    async def cancelled(self, request: Request) -> Response:
        """POST /api/runs/{id}/cancel -> 202 and the run as it is now."""
        run_id = _run_id(request)

        def work() -> dict[str, object]:
            context = self._context()
            runs.cancel(context, run_id)
            return dict(reports.run_report(runs.get(context, run_id)))

        return JSONResponse(await run_in_threadpool(work), 202)

    async def retried(self, request: Request) -> Response:
        """POST /api/runs/{id}/retry with {from, share, code, request_id} -> 201 and the new run.

        `from`: a block, which runs with all below it. `share`: `completed` (default) or `nothing`. `code`: `now`
        (default) or `then`, the block files' text when the run began.
        """
        run_id = _run_id(request)
        body = await json_body(request)
        share = _one_of(body, "share", {Share.COMPLETED.value: Share.COMPLETED, Share.NOTHING.value: Share.NOTHING})
        code = _one_of(body, "code", {code.value: code for code in (Code.NOW, Code.THEN)})
        start = body.get("from")
        if start is not None and (not isinstance(start, str) or "share" in body):
            raise _bad("from", start, "the name of a block, without 'share'")
        request_id = _request_id(body)

        def work() -> PipelineRun:
            context = self._context()
            block = None if start is None else BlockUuid(validate_uuid(start, "block"))
            new = retries.repeat_of(
                context, run_id, share=share, start=block, code=code, trigger="api", request_id=request_id
            )
            return runs.start(context, new)

        run = await run_in_threadpool(work)
        return JSONResponse(reports.run_report(run), 201, {"Location": f"/api/runs/{run.id}"})


def _one_of(body: Mapping[str, object], name: str, choices: Mapping[str, Choice]) -> Choice:
    """Return the choice that the body names; the first one when it names none."""
    given = body.get(name, next(iter(choices)))
    if not isinstance(given, str) or given not in choices:
        raise _bad(name, given, f"one of {', '.join(choices)}")
    return choices[given]


def _run_id(request: Request) -> RunId:
    number: int = request.path_params["run_id"]
    if number > MAX_RUN_ID:
        raise NotFoundError(f"There is no run {str(number)[:40]}.", hint="list the runs: GET /api/runs.")
    return RunId(number)


def _status(text: str) -> Status:
    try:
        return Status(text)
    except ValueError:
        raise _bad("state", text, f"one of {', '.join(Status)}") from None


def _variables(body: Mapping[str, object]) -> dict[str, YamlValue]:
    variables = body.get("variables", {})
    if not isinstance(variables, dict):
        raise _bad("variables", variables, "an object of names and values")
    return variables


def _request_id(body: Mapping[str, object]) -> str | None:
    request_id = body.get("request_id")
    if request_id is None:
        return None
    if not isinstance(request_id, str) or not 0 < len(request_id) <= MAX_REQUEST_ID_CHARS:
        raise _bad("request_id", request_id, f"text of 1 to {MAX_REQUEST_ID_CHARS} characters")
    return request_id


def _priority(body: Mapping[str, object]) -> int:
    priority = body.get("priority", 0)
    if isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) > MAX_PRIORITY:
        raise _bad("priority", priority, f"a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}")
    return priority


def _bad(name: str, value: object, must_be: str) -> SpellbookError:
    return BadRequestError(
        f"'{name}' is {ascii(value)[:60]}; it must be {must_be}.", hint=f"correct '{name}' and send again."
    )
