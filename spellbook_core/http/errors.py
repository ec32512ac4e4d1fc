"""Refusals of the web surface, each with the HTTP status it is answered with."""

from __future__ import annotations

from typing import ClassVar

from spellbook_core.errors import AlreadyExistsError, ChangedOnDiskError, NotFoundError, SpellbookError, StorageError


class WebError(SpellbookError):
    """A request was refused before it had any effect."""

    code = "SB-NET-001"
    status: ClassVar[int] = 400


class UnknownHostError(WebError):
    """The Host header is none of this server's names: DNS rebinding, or a proxy that must be named."""

    code = "SB-NET-002"
    status = 403


class ForeignOriginError(WebError):
    """The request was made by a page of another site, or its maker cannot be told."""

    code = "SB-NET-003"
    status = 403


class NoTokenError(WebError):
    """The request shows neither the token nor a session."""

    code = "SB-NET-004"
    status = 401


class TooManyAttemptsError(WebError):
    """Too many wrong tokens came from one address; further ones are not looked at for a while."""

    code = "SB-NET-005"
    status = 429


class TokenNotInHeaderError(WebError):
    """A request that changes something must carry the token in its Authorization header, not a cookie."""

    code = "SB-NET-006"
    status = 403


class NotJsonError(WebError):
    """The body is not what the route takes: one JSON object."""

    code = "SB-NET-007"
    status = 415


class BadRequestError(WebError, ValueError):
    """A field of the request has a value that cannot be used."""

    code = "SB-NET-008"


class NoSuchRouteError(WebError, LookupError):
    """The address is no route of the API, or the method is none of the route's."""

    code = "SB-NET-009"
    status = 404


def status_of(error: SpellbookError) -> int:
    """Return the HTTP status that tells a program what kind of failure `error` is."""
    if isinstance(error, WebError):
        return error.status
    for kind, status in (
        (NotFoundError, 404),
        (AlreadyExistsError, 409),
        (ChangedOnDiskError, 409),
        (StorageError, 507),
    ):
        if isinstance(error, kind):
            return status
    return 400
