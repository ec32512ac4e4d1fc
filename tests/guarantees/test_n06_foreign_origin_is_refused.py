"""N6: a foreign Origin is refused. N7: state changes only by POST with JSON and a header token."""

from __future__ import annotations

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

FOREIGN = ["http://evil.example", "null", "https://x.streamlit.app", "http://localhost:3000", "http://127.0.0.1:1"]
START = "/api/projects/demo/pipelines/plain/runs"


def total_runs(served) -> int:
    return int(httpx.get(f"{served.address}/api/runs", headers=served.bearer).json()["total"])


@pytest.mark.guarantee("N6")
@pytest.mark.parametrize("origin", FOREIGN)
def test_websocket_of_another_site_is_refused(served, origin):
    cookie = "; ".join(f"{name}={value}" for name, value in served.sign_in().items())
    with pytest.raises(InvalidStatus, match="403"):
        connect(
            f"ws://{served.host}/_stcore/stream",
            origin=origin,
            additional_headers={"Cookie": cookie},
            subprotocols=["streamlit"],
        )


@pytest.mark.guarantee("N6")
def test_websocket_without_origin_needs_the_header_token(served):
    """A browser always sends Origin, so a cookie without one is no browser of ours."""
    cookie = "; ".join(f"{name}={value}" for name, value in served.sign_in().items())
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"ws://{served.host}/_stcore/stream", additional_headers={"Cookie": cookie})
    with connect(
        f"ws://{served.host}/_stcore/stream", additional_headers=served.bearer, subprotocols=["streamlit"]
    ) as socket:
        assert socket.subprotocol == "streamlit"


@pytest.mark.guarantee("N6")
@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "OPTIONS"])
def test_request_of_another_site_is_refused(served, origin, method):
    answer = httpx.request(method, f"{served.address}/api/runs", headers={**served.bearer, "Origin": origin}, json={})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.guarantee("N6")
def test_upload_with_a_cookie_and_no_origin_is_refused(served):
    answer = httpx.put(f"{served.address}/_stcore/upload_file/s/f", cookies=served.sign_in(), content=b"x")
    assert answer.status_code == 403


@pytest.mark.guarantee("N7")
@pytest.mark.parametrize(
    ("method", "headers", "content", "status"),
    [
        ("POST", {"Content-Type": "application/x-www-form-urlencoded"}, b"a=b", 415),
        ("POST", {"Content-Type": "text/plain"}, b"{}", 415),
        ("POST", {}, b"{}", 415),
        ("POST", {"Content-Type": "application/json"}, b"[]", 415),
        ("POST", {"Content-Type": "application/json"}, b"{", 415),
        ("POST", {"Content-Type": "application/json"}, b"[" * 100_000, 415),
        ("POST", {"Content-Type": "application/json"}, b'{"variables": 3}', 400),
        ("POST", {"Content-Type": "application/json"}, b'{"request_id": 3}', 400),
        ("GET", {}, b"", 404),
        ("PUT", {"Content-Type": "application/json"}, b"{}", 404),
    ],
)
def test_anything_but_a_json_post_starts_nothing(served, method, headers, content, status):
    before = total_runs(served)
    answer = httpx.request(method, f"{served.address}{START}", headers={**served.bearer, **headers}, content=content)
    assert answer.status_code == status
    assert answer.json()["hint"]
    assert total_runs(served) == before


@pytest.mark.guarantee("N7")
def test_cookie_starts_nothing(served):
    """What a page of another site could make the browser send: cookies, perhaps even with our Origin forged away."""
    before = total_runs(served)
    for headers in ({}, {"Origin": served.address}):
        answer = httpx.post(f"{served.address}{START}", json={}, headers=headers, cookies=served.sign_in())
        assert answer.status_code == 403
    assert total_runs(served) == before


@pytest.mark.guarantee("N7")
@pytest.mark.parametrize("query", ["run=1", "run=plain", "block=load_plain&run=true", "token={token}&run=1"])
def test_opening_an_address_runs_nothing(served, query):
    before = total_runs(served)
    url = f"{served.address}/editor?project=demo&pipeline=plain&{query.format(token=served.token)}"
    assert httpx.get(url, cookies=served.sign_in(), follow_redirects=True).status_code == 200
    assert total_runs(served) == before


@pytest.mark.guarantee("N7")
def test_token_in_the_query_is_no_key_to_the_api(served):
    assert httpx.get(f"{served.address}/api/runs", params={"token": served.token}).status_code == 401
    assert httpx.post(f"{served.address}{START}", params={"token": served.token}, json={}).status_code == 401
