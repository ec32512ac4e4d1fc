"""Tells Streamlit's front end where its server is, and what the tab is called before the first script ran.

Without it the front end guesses: on a deep link such as `/editor` it first asks `/editor/_stcore/health`, which shows
as two errors in the browser's console and costs a round trip. `window.__streamlit` is the hook that hosts of Streamlit
apps set.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOOK = b"<script>window.__streamlit={BACKEND_BASE_URL:location.origin,MAIN_PAGE_BASE_URL:location.origin}</script>"
TITLE = (b"<title>Streamlit</title>", b"<title>Spellbook</title>")
MAX_PAGE_BYTES = 1_000_000
"""Streamlit's index page has about 10 KB; a larger page is not it and passes unchanged."""


class FrontPage:
    """Puts the hook into Streamlit's index page, whatever its path; every other answer passes unchanged."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Change HTML answers to page requests only."""
        if scope["type"] != "http" or scope["method"] != "GET" or not _asks_for_page(scope):
            await self._app(scope, receive, send)
            return
        plain = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]}
        await self._app(plain, receive, _Rewriter(send))


class _Rewriter:
    """Holds an HTML answer back until it is whole."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message["headers"]))
            is_page = headers.get("content-type", "").startswith("text/html") and "content-encoding" not in headers
            if is_page and int(headers.get("content-length", MAX_PAGE_BYTES)) < MAX_PAGE_BYTES:
                self._start = message
                return
        elif message["type"] == "http.response.body" and self._start is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start)
            return
        await self._send(message)

    async def _finish(self, start: Message) -> None:
        body = bytes(self._body)
        if TITLE[0] in body:
            body = body.replace(*TITLE, 1).replace(b"<script>", HOOK + b"<script>", 1)
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["content-length"] = str(len(body))
        if "etag" in headers:
            del headers["etag"]
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def _asks_for_page(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
