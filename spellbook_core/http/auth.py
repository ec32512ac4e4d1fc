"""The guard in front of everything: pages, websocket, API. No request without the token has any effect.

A pure ASGI middleware, because Streamlit's own checks cover the websocket only and accept a missing Origin, any
localhost port and, by default, any Host.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spellbook_core.errors import SpellbookError
from spellbook_core.http.attempts import Attempts
from spellbook_core.http.errors import (
    BadRequestError,
    ForeignOriginError,
    NotJsonError,
    NoTokenError,
    TokenNotInHeaderError,
    TooManyAttemptsError,
    UnknownHostError,
    status_of,
)
from spellbook_core.http.hosts import HostRule, is_same_origin
from spellbook_core.http.login import login_page, safe_next
from spellbook_core.services.access import SESSION_S, Access

OPEN_PATHS = frozenset({"/_stcore/health"})
"""Answered without a token, by exact path and GET or HEAD only: it says "ok" and nothing else."""

LOGIN_PATH = "/login"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
MAX_LOGIN_BYTES = 8192
IS_VALID_KEY = "spellbook.is_valid"
"""In the ASGI scope of every admitted request: a function that says whether its credential still holds."""

SECURITY_HEADERS = {
    # SAMEORIGIN, not DENY: the graph is a component in a frame of our own origin.
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # No request leaves for another host, whatever text a page shows. Streamlit's bundle needs inline styles, inline
    # scripts and eval (Vega compiles expressions); blob: and data: stay inside the browser.
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' data: blob:; worker-src 'self' blob:; "
        "connect-src 'self' data: blob:; frame-src 'self' data: blob:; object-src 'none'; base-uri 'self'; "
        "form-action 'self'; frame-ancestors 'self'"
    ),
}


@dataclass(frozen=True, slots=True)
class _Credential:
    """What a request showed: `kind` is `bearer` or `cookie`; `is_valid` asks again later."""

    kind: str
    is_valid: Callable[[], bool]


class TokenGuard:
    """Admits requests that show the token or a session, from our own origin, to our own host name."""

    def __init__(self, app: ASGIApp, access: Access, hosts: HostRule, cookie: str) -> None:
        """Guard `app`; `cookie` differs per workspace, because cookies are shared among the ports of a host."""
        self._app = app
        self._access = access
        self._hosts = hosts
        self._cookie = cookie
        self._attempts = Attempts()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Guard HTTP and websocket; pass the lifespan through."""
        if scope["type"] == "http":
            await self._http(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._admit(request)
        except SpellbookError as error:
            response = _refusal(request, error)
        if response is None:
            await self._app(scope, receive, send)
        else:
            response.headers["Cache-Control"] = "no-store"
            await response(scope, receive, send)

    async def _admit(self, request: Request) -> Response | None:
        """Return None to let the request pass, or the answer that ends it.

        Raises:
            SpellbookError: The request is refused; its status is `status_of`.
        """
        host = request.headers.get("host", "")
        if not self._hosts.allows(host):
            raise UnknownHostError(
                f"This server does not answer to the name {host[:100]!a}.",
                hint="use the address that the terminal shows; name a proxy's host in SPELLBOOK_ALLOWED_HOSTS.",
            )
        path: str = request.scope["path"]
        is_safe = request.method in SAFE_METHODS
        if path in OPEN_PATHS and request.method in {"GET", "HEAD"}:
            return None
        origin = request.headers.get("origin")
        if origin is not None and not is_same_origin(origin, host):
            raise _foreign(origin)
        if path == LOGIN_PATH:
            return await self._login(request)
        credential = self._credential(request.headers, request.cookies, _client(request.scope))
        given = request.query_params.get("token")
        if given is not None and is_safe and not path.startswith("/api/"):
            if credential is None and not self._is_own_navigation(request, given):
                return self._ask(request, "That token is not the one of this workspace.")
            return self._signed_in(_without_token(request), request)
        if credential is None:
            return self._ask(request, "")
        if not is_safe:
            _check_change(request, credential, origin)
        request.scope[IS_VALID_KEY] = credential.is_valid
        return None

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        credential = None
        if self._hosts.allows(host) and (origin is None or is_same_origin(origin, host)):
            cookies = Request({**scope, "type": "http"}).cookies
            try:
                credential = self._credential(headers, cookies, _client(scope))
            except SpellbookError:
                credential = None
        # A browser always sends Origin with a websocket; only a program with the token in a header may leave it out.
        if credential is None or (origin is None and credential.kind == "cookie"):
            await receive()  # the connect message
            await send({"type": "websocket.close", "code": 1008})
            return
        admitted = credential
        scope[IS_VALID_KEY] = admitted.is_valid

        async def checked() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and not admitted.is_valid():
                return {"type": "websocket.disconnect", "code": 1008}
            return message

        await self._app(scope, checked, send)

    def _credential(self, headers: Headers, cookies: dict[str, str], client: str) -> _Credential | None:
        """Return what the request showed, None when it showed nothing or an outdated session.

        Raises:
            NoTokenError: The Authorization header has a wrong token. [SB-NET-004]
            TooManyAttemptsError: Too many of those. [SB-NET-005]
        """
        authorization = headers.get("authorization", "")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer":
            if self._check(token.strip(), client):
                return _Credential("bearer", lambda: self._access.is_token(token.strip()))
            raise _no_token("The token in the Authorization header is not the one of this workspace.")
        session = cookies.get(self._cookie)
        if session and self._access.is_session(session):
            return _Credential("cookie", lambda: self._access.is_session(session))
        return None

    def _check(self, token: str, client: str) -> bool:
        """Whether `token` is right; a wrong one counts against `client`, and too many end all looking."""
        wait_s = self._attempts.wait_s(client)
        if wait_s:
            raise TooManyAttemptsError(
                "Too many wrong tokens came from this address.",
                hint=f"wait {wait_s} s, then use the token that `spellbook token` prints.",
                retry_after_s=wait_s,
            )
        if self._access.is_token(token):
            return True
        self._attempts.failed(client)
        return False

    def _is_own_navigation(self, request: Request, token: str) -> bool:
        """Whether a `?token=` signs in: right, and not sent here by a page of another site."""
        if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            return False  # not looked at either, so that a site can neither guess nor use up the attempts
        return self._access.use_login_code(token) or self._check(token, _client(request.scope))

    async def _login(self, request: Request) -> Response:
        if request.method in {"GET", "HEAD"}:
            return HTMLResponse(login_page(request.query_params.get("next", "/")))
        if request.method != "POST":
            raise BadRequestError("This address takes a form by POST.", hint="open it in a browser.")
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > MAX_LOGIN_BYTES:
                raise BadRequestError("The form is too large.", hint="send the token only.")
        form = dict(parse_qsl(body.decode("utf-8", "replace")))
        target = safe_next(form.get("next", "/"))
        if self._check(form.get("token", "").strip(), _client(request.scope)):
            return self._signed_in(target, request)
        return HTMLResponse(login_page(target, "That token is not the one of this workspace."), 401)

    def _signed_in(self, target: str, request: Request) -> Response:
        response = RedirectResponse(quote(target, safe="/?&=%+:,;@!$'()*~-._#"), 303)
        response.set_cookie(
            self._cookie,
            self._access.new_session(),
            max_age=SESSION_S,
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    def _ask(self, request: Request, problem: str) -> Response:
        if request.method in {"GET", "HEAD"} and "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(login_page(_without_token(request), problem), 401)
        raise _no_token(problem or "This address needs the workspace's token.")


def _check_change(request: Request, credential: _Credential, origin: str | None) -> None:
    """Refuse a change that another site could have caused: forms and scripts can send cookies, but not our header."""
    if request.scope["path"].startswith("/api/"):
        if credential.kind != "bearer":
            raise TokenNotInHeaderError(
                "A request that changes something needs the token in its Authorization header.",
                hint="send the header 'Authorization: Bearer <token>'; a cookie is not enough.",
            )
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise NotJsonError(
                f"The body is {kind[:60] or 'without a type'!a}, not JSON.",
                hint="send one JSON object with 'Content-Type: application/json'.",
            )
    elif credential.kind == "cookie" and origin is None:
        raise _foreign("none")


def _without_token(request: Request) -> str:
    """Return the request's own path and query without `token`: always a path of this server."""
    rest = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
    return safe_next(request.url.path + (f"?{urlencode(rest)}" if rest else ""))


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _no_token(message: str) -> NoTokenError:
    return NoTokenError(message, hint="run `spellbook token`, then send 'Authorization: Bearer <token>' or sign in.")


def _foreign(origin: str) -> ForeignOriginError:
    return ForeignOriginError(
        f"The request comes from the origin {origin[:100]!a}, which is not this server's.",
        hint="open Spellbook at the address that the terminal shows.",
    )


def _refusal(request: Request, error: SpellbookError) -> Response:
    status = status_of(error)
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyAttemptsError):
        headers["Retry-After"] = str(error.facts["retry_after_s"])
        if "text/html" in request.headers.get("accept", ""):
            return HTMLResponse(login_page("/", f"{error.message} {error.hint}"), status, headers)
    return JSONResponse(error.to_dict(), status, headers)


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
        await send(message)

    return wrapped
