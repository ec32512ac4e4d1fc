"""Tokens and sessions."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from spellbook_core.errors import BadSettingError
from spellbook_core.services import access as access_module
from spellbook_core.services.access import Access, read_or_create_token, rotate_token, token_from_environment


def test_token_is_made_once_and_private(tmp_path):
    path = tmp_path / "token"
    before = os.umask(0)
    try:
        first = read_or_create_token(path)
    finally:
        os.umask(before)
    assert read_or_create_token(path) == first
    assert len(first) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("content", [None, "\n"], ids=["no file", "an emptied file"])
def test_all_makers_at_once_get_the_same_token(tmp_path, content):
    found: list[str] = []
    if content is not None:
        (tmp_path / "token").write_text(content)
    together = threading.Barrier(16)

    def make() -> None:
        together.wait()
        found.append(read_or_create_token(tmp_path / "token"))

    threads = [threading.Thread(target=make) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(found)) == 1


def test_emptied_token_file_is_replaced(tmp_path):
    (tmp_path / "token").write_text("\n")
    access = Access(tmp_path / "token")
    assert not access.is_token("")
    assert len(access.token) >= 40


def test_rotation_in_another_process_ends_sessions(tmp_path):
    access = Access(tmp_path / "token")
    session, old = access.new_session(), access.token
    assert access.is_session(session)
    new = rotate_token(tmp_path / "token")
    assert not access.is_session(session)
    assert not access.is_token(old)
    assert access.is_token(new)


def test_removed_token_file_ends_sessions(tmp_path):
    access = Access(tmp_path / "token")
    session = access.new_session()
    (tmp_path / "token").unlink()
    assert not access.is_session(session)


def test_session_cannot_be_prolonged_or_forged(tmp_path, monkeypatch):
    access = Access(tmp_path / "token")
    expires, nonce, signature = access.new_session().split(".")
    later = f"{int(expires, 16) + 3600:x}"
    for forged in (f"{later}.{nonce}.{signature}", f"{expires}.{nonce}.", f"{expires}.{nonce}", "", ".", "é.é.é"):
        assert not access.is_session(forged)
    monkeypatch.setattr(access_module.time, "time", lambda: int(expires, 16) + 1)
    assert not access.is_session(f"{expires}.{nonce}.{signature}")


def test_sessions_of_another_workspace_are_refused(tmp_path):
    one, other = Access(tmp_path / "one"), Access(tmp_path / "other")
    assert not other.is_session(one.new_session())


def test_login_code_works_once(tmp_path):
    access = Access(tmp_path / "token")
    code = access.new_login_code()
    assert access.use_login_code(code)
    assert not access.use_login_code(code)
    assert not access.use_login_code(access.new_login_code(valid_s=-1))


def test_environment_token_overrides_and_must_be_long(tmp_path):
    assert token_from_environment({}) is None
    assert token_from_environment({"SPELLBOOK_TOKEN": "0123456789ab"}) == "0123456789ab"
    with pytest.raises(BadSettingError, match="has 4 characters"):
        token_from_environment({"SPELLBOOK_TOKEN": "1234"})
    access = Access(tmp_path / "token", fixed="0123456789ab")
    assert access.is_token("0123456789ab")
    assert not (tmp_path / "token").exists()
