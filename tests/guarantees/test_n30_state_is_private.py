"""N30: state is private to the user under any umask. N38: no agent interface. N39: no framing by others."""

from __future__ import annotations

import json
import stat

import httpx
import pytest


@pytest.mark.guarantee("N30")
def test_state_is_private_under_an_open_umask(serve):
    """Looked at after a run, so that database, logs, artifacts and the engine's files are there too."""
    page = serve(umask=0)
    with httpx.stream("GET", f"{page.address}/api/events", headers=page.bearer, timeout=60) as events:
        lines = events.iter_lines()
        next(line for line in lines if "connected" in line)
        url = f"{page.address}/api/projects/demo/pipelines/plain/runs"
        run = httpx.post(url, headers=page.bearer, json={}).json()
        for line in lines:
            event = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if event.get("kind") == "run" and event.get("run_id") == run["run_id"] and event["status"] == "completed":
                break
    state = page.workspace / ".spellbook"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    loose = {
        path.name: oct(stat.S_IMODE(path.lstat().st_mode))
        for name in ("token", "server.json", "state.db", "engine.json", "engine.log", "engine.lock")
        if (path := state / name).exists() and stat.S_IMODE(path.lstat().st_mode) & 0o077
    }
    assert loose == {}


@pytest.mark.guarantee("N38")
def test_agent_interface_is_off(served):
    for path in ("/_stcore/agent/interact", "/_stcore/agent/mcp"):
        answer = httpx.post(f"{served.address}{path}", json={}, headers={**served.bearer, "Origin": served.address})
        assert answer.status_code >= 400, path


@pytest.mark.guarantee("N39")
@pytest.mark.parametrize("path", ["/", "/editor", "/_stcore/health", "/login", "/api/runs", "/static/none.js"])
@pytest.mark.parametrize("is_signed_in", [True, False])
def test_every_answer_has_the_security_headers(served, path, is_signed_in):
    headers = httpx.get(f"{served.address}{path}", headers=served.bearer if is_signed_in else {}).headers
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
