"""N5: a request with a foreign Host is refused, also on the websocket (DNS rebinding)."""

from __future__ import annotations

import socket

import httpx
import pytest

pytestmark = pytest.mark.guarantee("N5")

FOREIGN = [
    "evil.example",
    "evil.example:8501",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "192.0.2.1",
    "",
    "a b",
]


def handshake(served, *, host: str, origin: str, cookie: str) -> str:
    """Return the status line of a websocket handshake with the headers given, as a browser would send it."""
    name, _, port = served.host.partition(":")
    with socket.create_connection((name, int(port)), timeout=10) as connection:
        connection.sendall(
            f"GET /_stcore/stream HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nCookie: {cookie}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: streamlit\r\n\r\n".encode()
        )
        return connection.recv(4096).split(b"\r\n", 1)[0].decode()


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("path", ["/", "/api/runs", "/_stcore/health", "/login", "/static/x.js"])
def test_http_with_foreign_host_is_refused(served, host, path):
    """Even with the token: a rebound name is a page of somebody else that the browser takes for us."""
    answer = httpx.get(f"{served.address}{path}", headers={**served.bearer, "Host": host})
    assert answer.status_code in {400, 403}


@pytest.mark.parametrize("host", FOREIGN[:4])
def test_websocket_with_foreign_host_is_refused(served, host):
    cookie = "; ".join(f"{name}={value}" for name, value in served.sign_in().items())
    assert "403" in handshake(served, host=host, origin=f"http://{host}", cookie=cookie)


def test_websocket_with_our_host_is_accepted(served):
    """The control: the same handshake with our own name works, so the refusals above have their stated reason."""
    cookie = "; ".join(f"{name}={value}" for name, value in served.sign_in().items())
    assert "101" in handshake(served, host=served.host, origin=served.address, cookie=cookie)


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "127.0.0.1", "[::1]"])
def test_loopback_names_are_answered(served, name):
    port = served.host.rpartition(":")[2]
    answer = httpx.get(f"{served.address}/api/runs", headers={**served.bearer, "Host": f"{name}:{port}"})
    assert answer.status_code == 200
