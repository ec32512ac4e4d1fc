"""Every route of the API in one list, with the rule that guards it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from spellbook_core.http.errors import NoSuchRouteError
from spellbook_core.http.hub import EventHub
from spellbook_core.http.routes.answers import answering
from spellbook_core.http.routes.events import EventsRoute
from spellbook_core.http.routes.runs import RunsRoutes
from spellbook_core.services import engines
from spellbook_core.services.wiring import Context

RULES = {
    ("GET", "/api/health"): "session or token",
    ("GET", "/api/events"): "session or token",
    ("GET", "/api/runs"): "session or token",
    ("GET", "/api/runs/{run_id:int}"): "session or token",
    ("POST", "/api/projects/{project}/pipelines/{pipeline}/runs"): "token in the header",
    ("POST", "/api/runs/{run_id:int}/cancel"): "token in the header",
    ("POST", "/api/runs/{run_id:int}/retry"): "token in the header",
}
"""Method and path of every route -> what admits a request. A test fails for a route without a rule."""


def routes(context: Callable[[], Context], hub: EventHub) -> list[Route]:
    """Return the API's routes on the workspace of `context`; the last one answers every other `/api/` address."""
    handlers = RunsRoutes(context)

    async def health(request: Request) -> Response:
        """GET /api/health: whether the engine leads, since when, and its version."""
        status = await run_in_threadpool(lambda: engines.status(context()))
        return JSONResponse(
            {
                "status": "ok" if status.is_running else "engine not running",
                "engine": {"is_running": status.is_running, "pid": status.pid, "version": status.version},
            }
        )

    async def unknown(request: Request) -> Response:
        raise NoSuchRouteError(
            f"There is no route {request.method} {ascii(request.url.path[:200])[1:-1]}.",
            hint="see the API page of the documentation for the routes.",
        )

    every_method = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return [
        Route("/api/health", answering(health), methods=["GET"]),
        # Starlette takes an instance for an ASGI app, so the bound method stands here.
        Route("/api/events", answering(EventsRoute(hub).__call__), methods=["GET"]),
        Route("/api/runs", answering(handlers.listed), methods=["GET"]),
        Route("/api/runs/{run_id:int}", answering(handlers.shown), methods=["GET"]),
        Route("/api/projects/{project}/pipelines/{pipeline}/runs", answering(handlers.started), methods=["POST"]),
        Route("/api/runs/{run_id:int}/cancel", answering(handlers.cancelled), methods=["POST"]),
        Route("/api/runs/{run_id:int}/retry", answering(handlers.retried), methods=["POST"]),
        Route("/api", answering(unknown), methods=every_method),
        Route("/api/{rest:path}", answering(unknown), methods=every_method),
    ]
