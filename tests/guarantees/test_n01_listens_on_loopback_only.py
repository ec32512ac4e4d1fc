"""N1: without configuration the page listens on loopback only; another address without a token is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

pytestmark = pytest.mark.guarantee("N1")

ROOT = Path(__file__).resolve().parents[2]


def run_start(workspace: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SPELLBOOK_", "STREAMLIT_"))}
    return subprocess.run(
        [sys.executable, "-P", "-m", "spellbook_core.serve", "--workspace", str(workspace), "--no-browser", *options],
        capture_output=True,
        text=True,
        env={**clean, **environment},
        timeout=60,
        check=False,
    )


def test_every_socket_is_on_loopback(served):
    listening = [
        connection.laddr.ip
        for connection in psutil.Process(served.process.pid).net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert set(listening) <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.invalid"])
def test_another_address_without_token_is_refused(tmp_path, host):
    ended = run_start(tmp_path, "--host", host, "--port", "0")
    assert ended.returncode == 2
    assert "SB-NET-011" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_short_token_opens_nothing(tmp_path):
    ended = run_start(tmp_path, "--host", "0.0.0.0", SPELLBOOK_TOKEN="short")
    assert ended.returncode == 2
    assert "SPELLBOOK_TOKEN has 5 characters" in ended.stderr


def test_streamlits_own_flag_is_refused_too(tmp_path):
    """`streamlit run app.py --server.address 0.0.0.0` never reaches our options, only our lifespan."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SPELLBOOK_", "STREAMLIT_"))}
    streamlit = Path(sys.executable).with_name("streamlit")
    (tmp_path / "projects").mkdir()
    ended = subprocess.run(
        [str(streamlit), "run", str(ROOT / "app.py"), "--server.address", "0.0.0.0", "--server.port", "0"],
        capture_output=True,
        text=True,
        env={**clean, "SPELLBOOK_WORKSPACE": str(tmp_path)},
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "lets other machines reach it" in ended.stderr
    assert "token=" not in ended.stdout


def test_hostile_config_in_the_working_directory_opens_nothing(serve, tmp_path):
    """The server is started in a folder whose own Streamlit settings would open it; ours win."""
    hostile = tmp_path / "workspace0" / ".streamlit"
    hostile.mkdir(parents=True)
    (hostile / "config.toml").write_text(
        '[server]\naddress = "0.0.0.0"\nenableAgentApi = true\nenableStaticServing = true\nallowedHosts = ["*"]\n'
        "[browser]\ngatherUsageStats = true\n",
        encoding="utf-8",
    )
    page = serve()
    addresses = {
        connection.laddr.ip
        for connection in psutil.Process(page.process.pid).net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}
    answer = httpx.post(f"{page.address}/_stcore/agent/interact", json={}, headers=page.bearer)
    assert answer.status_code >= 400


def test_token_lets_other_addresses_in_by_number_only(serve):
    """With a token the page may be opened; a name that is not ours stays refused, so DNS rebinding stays closed."""
    page = serve("--host", "0.0.0.0", environment={"SPELLBOOK_TOKEN": "a-long-enough-token-for-tests"})
    assert page.token == "a-long-enough-token-for-tests"
    port = page.address.rpartition(":")[2]
    by_number = httpx.get(f"{page.address}/api/runs", headers={**page.bearer, "Host": f"192.0.2.7:{port}"})
    by_name = httpx.get(f"{page.address}/api/runs", headers={**page.bearer, "Host": f"evil.example:{port}"})
    assert by_number.status_code == 200
    assert by_name.status_code == 403
