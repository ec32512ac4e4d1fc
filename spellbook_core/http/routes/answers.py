"""How every route answers: JSON, and one shape for every error."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from spellbook_core.errors import SpellbookError
from spellbook_core.http.errors import BadRequestError, NotJsonError, WebError, status_of

Handler: TypeAlias = "Callable[[Request], Awaitable[Response]]"

MAX_BODY_BYTES = 1024 * 1024


class BodyTooLargeError(WebError):
    """The body is larger than any request needs."""

    code = "SB-NET-010"
    status = 413


def answering(handler: Handler) -> Handler:
    """Return `handler` with `SpellbookError`s answered as their dict, with the fitting status."""

    async def wrapped(request: Request) -> Response:
        try:
            return await handler(request)
        except SpellbookError as error:
            return JSONResponse(error.to_dict(), status_of(error))

    return wrapped


async def json_body(request: Request) -> dict[str, object]:
    """Return the body as a JSON object; an empty body is an empty object.

    Raises:
        NotJsonError: It is something else. [SB-NET-007]
        BodyTooLargeError: It is larger than `MAX_BODY_BYTES`. [SB-NET-010]
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLargeError(f"The body is larger than {MAX_BODY_BYTES} bytes.", hint="send less.")
    if not body.strip():
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise NotJsonError("The body is not a JSON object.", hint='send something like {"variables": {}}.')
    return value


def query_number(request: Request, name: str, default: int, *, most: int) -> int:
    """Return the query parameter `name` as a number from 0 to `most`.

    Raises:
        BadRequestError: It is none. [SB-NET-008]
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= most):
        raise BadRequestError(
            f"'{name}' is {text[:40]!a}, which is no whole number from 0 to {most}.", hint=f"leave '{name}' out."
        )
    return int(text)
