from __future__ import annotations

import dataclasses
import fcntl
import os

from spellbook_core.engine.supervise import give_up, identity, is_alive, is_locked
from spellbook_core.model.task import LOCK_FILE


def test_own_process_is_alive():
    assert is_alive(identity(os.getpid()))


def test_other_start_time_or_boot_is_another_process():
    me = identity(os.getpid())
    assert not is_alive(dataclasses.replace(me, started="1"))
    assert not is_alive(dataclasses.replace(me, boot_id="an earlier boot"))


def test_no_process_has_no_identity():
    assert identity(2**22 + 1) is None


def test_lock_tells_whether_a_worker_lives(tmp_path):
    assert not is_locked(tmp_path)
    with (tmp_path / LOCK_FILE).open("w") as file:
        assert not is_locked(tmp_path)
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def test_attempt_given_up_before_it_began_stays_so(tmp_path):
    assert give_up(tmp_path)
    assert give_up(tmp_path), "an engine that comes after may ask again"
    assert give_up(tmp_path / "never made")


def test_attempt_that_a_worker_began_is_not_given_up(tmp_path):
    (tmp_path / LOCK_FILE).write_text("4711")
    assert not give_up(tmp_path)
    (tmp_path / LOCK_FILE).write_text("")
    with (tmp_path / LOCK_FILE).open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert not give_up(tmp_path), "its worker is about to write"
