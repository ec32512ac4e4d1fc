"""The server's side of the socket, in this process."""

from __future__ import annotations

import json
import os
import resource
import selectors
import socket

import pytest

from spellbook_core.engine.leader import EngineInfo, Leadership, read_info
from spellbook_core.engine.messages import MAX_SOCKET_PATH_BYTES, decode, encode, socket_path
from spellbook_core.engine.server import MAX_UNREAD_BYTES, EngineServer, listen

EVENT = {"kind": "block_run", "block": "한글", "status": "completed"}


@pytest.fixture
def server(clock):
    return EngineServer(clock, idle_exit_s=0, beat=lambda workers: None)


@pytest.fixture
def subscriber(server, tmp_path):
    listener = listen(tmp_path / "engine.sock")
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(tmp_path / "engine.sock"))
    server._accept(listener)
    (client,) = server._clients.values()
    server._obey(client, {"op": "subscribe"})
    yield connection
    connection.close()
    listener.close()
    for client in list(server._clients.values()):
        server._drop(client)
    server._selector.close()


def test_subscriber_gets_events_in_order(server, subscriber):
    server.publish(EVENT)
    server.publish({"kind": "run"})
    lines = subscriber.recv(4096).splitlines()
    assert [json.loads(line) for line in lines] == [EVENT, {"kind": "run"}]


def test_deaf_subscriber_is_dropped_without_waiting(server, subscriber):
    subscriber.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    sent = 0
    while server._clients:
        server.publish(EVENT)
        sent += len(encode(EVENT))
        assert sent < MAX_UNREAD_BYTES * 10
    assert sent > MAX_UNREAD_BYTES


def test_closed_subscriber_is_forgotten(server, subscriber):
    subscriber.close()
    server.publish(EVENT)
    server.publish(EVENT)
    assert server._clients == {}


def test_listener_is_left_alone_while_descriptors_are_short(server, tmp_path, caplog):
    listener = listen(tmp_path / "engine.sock")
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(tmp_path / "engine.sock"))
    server._selector.register(listener, selectors.EVENT_READ, lambda: server._accept(listener))

    def look():
        ready = server._selector.select(0)
        for key, _ in ready:
            server._guarded(key.data)
        return len(ready)

    kept = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(listener.fileno())
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, kept[1]))
    try:
        assert [look(), look()] == [1, 0]  # a readable listener that is looked at would spin the loop
        server._hear_again()  # by the heartbeat
        assert [look(), look()] == [1, 0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, kept)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    server._hear_again()
    assert look() == 1
    assert len(server._clients) == 1
    connection.close()
    listener.close()
    server.close()


def test_socket_is_private(tmp_path):
    listener = listen(tmp_path / "engine.sock")
    assert (tmp_path / "engine.sock").stat().st_mode & 0o777 == 0o600
    listener.close()


def test_long_path_gets_a_private_folder(tmp_path):
    folder = tmp_path / ("한" * 40)
    path = socket_path(folder)
    assert len(str(path).encode()) <= MAX_SOCKET_PATH_BYTES
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.parent.rmdir()
    assert socket_path(tmp_path.parent) == tmp_path.parent / "engine.sock"


@pytest.mark.parametrize("line", [b"", b"no json", b"[1]", b"\xff\xfe", b'"text"'])
def test_nonsense_decodes_to_nothing(line):
    assert decode(line) == {}


def test_messages_survive_lone_surrogates():
    assert decode(encode({"block": "\ud800"}))["block"] == "?"


def test_one_leads_at_a_time(workspace):
    first = Leadership.take(workspace)
    assert Leadership.take(workspace) is None
    info = EngineInfo(1, "2026-01-05T02:00:00.000000Z", "boot", "/x/engine.sock", "0.1", 1)
    first.announce(info)
    assert read_info(workspace) == info
    first.release()
    assert read_info(workspace) is None
    Leadership.take(workspace).release()


def test_damaged_announcement_is_none(workspace):
    workspace.engine_info_path.write_text("{")
    assert read_info(workspace) is None
    workspace.engine_info_path.write_text('{"other": 1}')
    assert read_info(workspace) is None
