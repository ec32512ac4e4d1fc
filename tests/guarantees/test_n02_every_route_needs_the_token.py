"""N2: every route and websocket refuses a request without the token, and nothing changes. N3: exemptions are exact.

N8: a wrong token starts no run.
"""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from starlette.routing import Mount, Route, WebSocketRoute
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from spellbook_core.http.auth import LOGIN_PATH, OPEN_PATHS
from spellbook_core.http.hub import EventHub
from spellbook_core.http.routes.table import RULES, routes
from spellbook_core.services.wiring import open_context

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CATCH_ALL = {"/api", "/api/{rest:path}"}


def our_routes() -> list[Route]:
    return routes(lambda: open_context(), EventHub(lambda: open_context()))


def streamlit_paths() -> list[str]:
    """Return the addresses that Streamlit itself registers, with something in place of their parameters."""
    import streamlit as st

    app = st.App(Path(__file__))
    found = []
    for route in app._build_starlette_app().routes:
        assert isinstance(route, (Route, WebSocketRoute, Mount)), route
        path = route.path or "/"
        found.append(path.replace("{file_id:path}", "a.csv").replace("{path:path}", "a/index.html"))
    return [path.replace("{session_id}", "s").replace("{file_id}", "f") for path in found]


def filled(path: str) -> str:
    for name, value in {"{run_id:int}": "1", "{project}": "demo", "{pipeline}": "plain", "{rest:path}": "x/y"}.items():
        path = path.replace(name, value)
    assert "{" not in path
    return path


@pytest.mark.guarantee("N2")
def test_every_route_has_a_rule():
    """A new route fails here until somebody says what admits a request to it."""
    found = {
        (method, route.path)
        for route in our_routes()
        if route.path not in CATCH_ALL
        for method in (route.methods or ()) - {"HEAD"}
    }
    assert found == set(RULES)


@pytest.mark.guarantee("N2")
@pytest.mark.parametrize("path", sorted({filled(route.path) for route in our_routes()}))
@pytest.mark.parametrize("method", METHODS)
def test_api_without_token_has_no_effect(served, method, path):
    answer = httpx.request(
        method, f"{served.address}{path}", content=b"{}", headers={"Content-Type": "application/json"}
    )
    assert answer.status_code in {401, 403}
    assert not served.canary.exists()
    assert httpx.get(f"{served.address}/api/runs", headers=served.bearer).json()["total"] == 0


@pytest.mark.guarantee("N2")
def test_streamlits_routes_need_the_token(served):
    """Media, uploads, components, metrics, agent interface, sign-in and the page itself, by every method."""
    open_without = set()
    for path in [*streamlit_paths(), "/", "/editor", "/oauth2callback"]:
        for method in METHODS:
            answer = httpx.request(method, f"{served.address}{path}")
            if answer.status_code not in {401, 403}:
                open_without.add((method, path, answer.status_code))
    assert open_without == {("GET", "/_stcore/health", 200), ("HEAD", "/_stcore/health", 200)}


@pytest.mark.guarantee("N2")
def test_websocket_needs_the_token(served):
    for origin in (served.address, None):
        with pytest.raises(InvalidStatus, match="403"):
            connect(f"ws://{served.host}/_stcore/stream", origin=origin, subprotocols=["streamlit"])


@pytest.mark.guarantee("N2")
def test_websocket_opens_for_a_session(served):
    cookies = "; ".join(f"{name}={value}" for name, value in served.sign_in().items())
    with connect(
        f"ws://{served.host}/_stcore/stream",
        origin=served.address,
        additional_headers={"Cookie": cookies},
        subprotocols=["streamlit"],
    ) as socket:
        assert socket.subprotocol == "streamlit"


@pytest.mark.guarantee("N3")
def test_exemptions_are_exact():
    assert {"/_stcore/health"} == OPEN_PATHS
    assert LOGIN_PATH == "/login"


@pytest.mark.guarantee("N3")
@pytest.mark.parametrize("name", ["health", "ready", "login", "static", "token"])
def test_pipeline_named_like_an_exemption_gets_none(served, name):
    url = f"{served.address}/api/projects/demo/pipelines/{name}/runs"
    assert httpx.post(url, json={}).status_code == 401
    for path in (f"/_stcore/health/{name}", f"/{name}/_stcore/health", f"/api/{name}", "/_stcore/health/", "/login/"):
        assert httpx.get(f"{served.address}{path}").status_code == 401, path
    assert not served.canary.exists()


@pytest.mark.guarantee("N2")
def test_wrong_credentials_are_refused(serve):
    page = serve()
    name = next(iter(page.sign_in()))
    for headers in (
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {page.token}"},
        {"Cookie": f"{name}=6b28f2b4.00.00"},
        {"Cookie": f"{name}="},
        {"Cookie": f"{name}={page.token}"},
    ):
        assert httpx.get(f"{page.address}/api/runs", headers=headers).status_code == 401, headers


@pytest.mark.guarantee("N2")
def test_guessing_is_slowed_down(serve):
    page = serve()
    statuses = [
        httpx.get(f"{page.address}/", headers={"Authorization": f"Bearer guess-{number}"}).status_code
        for number in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2
    answer = httpx.get(f"{page.address}/", headers=page.bearer)
    assert answer.status_code == 429, "also the right one is not looked at, or guessing would go on"
    assert 0 < int(answer.headers["retry-after"]) <= 60


@pytest.mark.guarantee("N8")
def test_wrong_token_starts_no_run_and_is_slowed_down(serve):
    page = serve()
    cookies = page.sign_in()
    start = f"{page.address}/api/projects/demo/pipelines/plain/runs"
    answers = [httpx.post(start, json={}, headers={"Authorization": f"Bearer guess-{number}"}) for number in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert httpx.get(f"{page.address}/api/runs", cookies=cookies).json()["total"] == 0
    assert not page.canary.exists()


@pytest.mark.guarantee("N2")
def test_sessions_survive_anothers_guessing(serve):
    """A program that sends wrong tokens must not sign the person out."""
    page = serve()
    cookies = page.sign_in()
    for _ in range(12):
        httpx.get(f"{page.address}/", headers={"Authorization": "Bearer wrong"})
    assert httpx.get(f"{page.address}/api/runs", cookies=cookies).status_code == 200
