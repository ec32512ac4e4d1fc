"""N9: a new token ends every old session. N10: the token is printed once and stands nowhere else."""

from __future__ import annotations

import httpx
import pytest
from click.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from spellbook_core.cli.main import cli


def rotate(page) -> str:
    result = CliRunner().invoke(cli, ["token", "--rotate", str(page.workspace)], catch_exceptions=False)
    assert result.exit_code == 0
    return page.current_token()


def drain(socket) -> None:
    """Read until the server closes the connection."""
    while True:
        socket.recv(timeout=10)


@pytest.mark.guarantee("N9")
def test_rotation_ends_sessions_tokens_and_open_websockets(serve):
    page = serve()
    cookies = page.sign_in()
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    with connect(
        f"ws://{page.host}/_stcore/stream",
        origin=page.address,
        additional_headers={"Cookie": header},
        subprotocols=["streamlit"],
    ) as socket:
        assert httpx.get(f"{page.address}/api/runs", cookies=cookies).status_code == 200
        new = rotate(page)
        assert new != page.token
        assert httpx.get(f"{page.address}/api/runs", cookies=cookies).status_code == 401
        assert httpx.get(f"{page.address}/api/runs", headers=page.bearer).status_code == 401
        assert httpx.get(f"{page.address}/api/runs", headers={"Authorization": f"Bearer {new}"}).status_code == 200
        socket.send(b"")
        with pytest.raises(ConnectionClosed):
            drain(socket)


@pytest.mark.guarantee("N10")
def test_token_is_printed_once_and_stored_in_one_file(serve):
    page = serve()
    cookies = page.sign_in()
    httpx.get(f"{page.address}/editor", params={"token": page.token, "x": "1"}, cookies=cookies)
    httpx.get(f"{page.address}/api/runs", headers=page.bearer)
    assert "".join(page.printed).count(page.token) == 1
    holding = [
        path.name
        for path in page.workspace.rglob("*")
        if path.is_file() and not path.is_symlink() and page.token.encode() in path.read_bytes()
    ]
    assert holding == ["token"]


@pytest.mark.guarantee("N10")
@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ("/?token={token}", "/"),
        ("/editor?project=a&token={token}&block=b", "/editor?project=a&block=b"),
        ("//evil.example/?token={token}", "/"),
        ("/\\evil.example?token={token}", "/%5Cevil.example"),
        ("/%2F/evil.example?token={token}", "/"),
    ],
)
def test_redirect_after_sign_in_is_relative_and_clean(served, asked, where):
    answer = httpx.get(f"{served.address}{asked.format(token=served.token)}", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == where
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]
    assert served.token not in answer.headers["set-cookie"]


@pytest.mark.guarantee("N10")
@pytest.mark.parametrize(
    ("wanted", "where"),
    [
        ("/runs?project=a", "/runs?project=a"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("http:///evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("", "/"),
    ],
)
def test_sign_in_form_goes_to_our_own_paths_only(served, wanted, where):
    answer = httpx.post(f"{served.address}/login", data={"token": served.token, "next": wanted}, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == where


@pytest.mark.guarantee("N10")
def test_token_from_another_sites_link_is_not_taken(served):
    headers = {"Sec-Fetch-Site": "cross-site", "Accept": "text/html"}
    answer = httpx.get(f"{served.address}/", params={"token": served.token}, headers=headers, follow_redirects=False)
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
