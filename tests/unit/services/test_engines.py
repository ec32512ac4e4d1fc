"""The engine as others see it when none is there; real ones are tested in tests/engine."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from spellbook_core.engine.leader import EngineInfo, Leadership
from spellbook_core.model.values import JsonObject
from spellbook_core.services import engines


def test_no_engine_is_said_and_none_is_started(context):
    status = engines.status(context)
    assert (status.is_running, status.pid) == (False, None)
    assert status.problem == "No engine is running; it starts with the next run."
    assert not context.workspace.engine_log_path.exists()


def test_killed_engine_is_seen(context):
    """The announcement of a killed engine stays; its socket does not answer."""
    leadership = Leadership.take(context.workspace)
    path = str(context.workspace.state_dir / "engine.sock")
    leadership.announce(EngineInfo(1, "2026-01-05T02:00:00.000000Z", "boot", path, "0.1", 1))
    status = engines.status(context)
    assert (status.is_running, status.problem) == (False, "The engine has ended; it starts with the next run.")
    leadership.release()


def test_stopping_nothing_is_fine(context):
    engines.stop(context)


@pytest.fixture
def leading(context) -> Iterator[socket.socket]:
    """The socket of an engine that leads and has not begun to answer; its queue holds one connection."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = str(Path(folder) / "engine.sock")
        listener.bind(path)
        listener.listen(0)
        leadership = Leadership.take(context.workspace)
        leadership.announce(EngineInfo(1, "2026-01-05T02:00:00.000000Z", "boot", path, "0.1", 1))
        yield listener
        leadership.release()


@pytest.mark.thorough
def test_engine_with_a_full_queue_is_waited_for_and_not_started_again(context, leading):
    with socket.socket(socket.AF_UNIX) as first, ThreadPoolExecutor(1) as pool:
        first.connect(leading.getsockname())
        waking = pool.submit(engines.wake, context)
        wait([waking], timeout=0.2)  # it was refused at once: as if nobody led
        leading.accept()[0].close()
        heard, _ = leading.accept()
        with heard:
            assert b"wake" in heard.recv(100)
        waking.result(30)


def test_subscriber_reads_the_store_only_once_the_engine_tells_it_all(context, leading):
    """What is told before the engine has read the subscription reaches nobody; so the store is read after it has."""
    with ThreadPoolExecutor(1) as pool:

        def first_events() -> list[JsonObject]:
            with engines.subscribed(context) as receive:
                return receive(30)

        found = pool.submit(first_events)
        engine, _ = leading.accept()
        with engine, engine.makefile("rb") as lines:
            assert b"subscribe" in lines.readline()
            engine.sendall(b'{"kind": "run", "run_id": 1}\n')
            assert b"ping" in lines.readline()
            engine.sendall(b'{"op": "pong"}\n')
            engine.sendall(b'{"kind": "run", "run_id": 2}\n')
            assert found.result(30) == [{"kind": "run", "run_id": 2}]
