"""GET /api/events: what happens in the workspace, as server-sent events."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from spellbook_core.http.auth import IS_VALID_KEY
from spellbook_core.http.hub import EventHub

HEARTBEAT_S = 15.0
"""A comment line this often keeps proxies from closing a quiet stream, and finds clients that are gone."""

_FILTERS = {"project": "project", "pipeline": "pipeline", "run": "run_id"}


class EventsRoute:
    """Streams `data: {json}` lines; `?project=`, `?pipeline=` and `?run=` narrow them down."""

    def __init__(self, hub: EventHub) -> None:
        """Serve the events of `hub`."""
        self._hub = hub

    async def __call__(self, request: Request) -> Response:
        """Answer at once; the stream goes on until either side ends it, or the session does."""
        wanted = {key: request.query_params[name] for name, key in _FILTERS.items() if request.query_params.get(name)}
        return StreamingResponse(
            self._lines(wanted, request.scope[IS_VALID_KEY]),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def _lines(self, wanted: dict[str, str], is_valid: Callable[[], bool]) -> AsyncIterator[str]:
        async with self._hub.listen(wanted) as listener:
            yield "retry: 1000\n\n"
            while True:
                try:
                    event = await listener.get(HEARTBEAT_S)
                except TimeoutError:
                    if not is_valid():
                        return
                    yield ": still here\n\n"
                    continue
                if event is None or not is_valid():
                    return
                yield f"data: {json.dumps(event, ensure_ascii=False)}\n\n"
