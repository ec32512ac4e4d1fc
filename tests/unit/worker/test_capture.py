from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.runs.logs import read_lines
from spellbook_core.worker.capture import MAX_LINE_BYTES, LogWriter, clean_text, level_of


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_line_is_written_when_it_ends(tmp_path):
    log = LogWriter(tmp_path / "log.jsonl")
    assert log.feed("stdout", b"half a ", 1.0) is False
    assert not (tmp_path / "log.jsonl").exists()
    assert log.feed("stdout", b"line\nrest", 2.0) is True
    assert lines(tmp_path / "log.jsonl") == [{"t": 2.0, "s": "stdout", "l": "info", "m": "half a line"}]
    log.close(3.0)
    assert lines(tmp_path / "log.jsonl")[1]["m"] == "rest"


@pytest.mark.parametrize(
    ("raw", "text", "is_progress"),
    [
        (b"\r 1%\r 2%\r100%\n", "100%", True),
        (b" 1%\r 2%\r\n", " 2%", True),
        (b"windows\r\n", "windows", False),
        (b"plain\n", "plain", False),
    ],
)
def test_only_the_last_progress_state_is_kept(tmp_path, raw, text, is_progress):
    for size in (1, len(raw)):  # cut anywhere
        path = tmp_path / f"{size}.jsonl"
        log = LogWriter(path)
        for start in range(0, len(raw), size):
            log.feed("stderr", raw[start : start + size], 1.0)
        log.close(1.0)
        [line] = lines(path)
        assert (line["m"], line.get("p", False)) == (text, is_progress)


def test_long_line_is_cut_and_counted(tmp_path):
    log = LogWriter(tmp_path / "log.jsonl")
    for _ in range(10):
        log.feed("stdout", b"x" * MAX_LINE_BYTES, 1.0)
    log.feed("stdout", b"\n", 1.0)
    [line] = lines(tmp_path / "log.jsonl")
    assert line["m"].endswith(f"… {9 * MAX_LINE_BYTES} bytes of this line dropped")
    log.close(1.0)


@pytest.mark.thorough
def test_full_log_keeps_head_and_tail(tmp_path):
    path = tmp_path / "log.jsonl"
    log = LogWriter(path, max_bytes=20_000)
    for number in range(100_000):
        log.feed("stdout", b"line %d\n" % number, 1.0)
    log.close(2.0)
    found = lines(path)
    assert path.stat().st_size <= 20_000
    assert found[0]["m"] == "line 0"
    assert found[-1]["m"] == "line 99999"
    [notice] = [line for line in found if line["s"] == "engine"]
    kept = sum(len(line["m"]) + 1 for line in found if line["s"] == "stdout")
    assert notice["dropped"] == sum(len(f"line {n}\n") for n in range(100_000)) - kept


@pytest.mark.thorough
@given(st.binary(max_size=200))
def test_any_bytes_become_printable_text(raw):
    text = clean_text(raw.replace(b"\n", b""))
    assert json.loads(json.dumps(text, ensure_ascii=False)) == text
    assert "\x00" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("text", "stream", "level"),
    [
        ("WARNING low memory", "stdout", "warning"),
        ("2026-01-05 02:00:00,123 ERROR it broke", "stderr", "error"),
        ("/p/a.py:3: UserWarning: old", "stderr", "warning"),
        ("ValueError: bad", "stderr", "error"),
        ("an ERROR in a sentence", "stdout", "info"),
        ("epoch 3", "stderr", "info"),
    ],
)
def test_level_follows_the_line(text, stream, level):
    assert level_of(text, stream) == level


def test_log_that_cannot_be_written_says_what_is_missing_and_ends_nobody(tmp_path):
    path = tmp_path / "later/log.jsonl"
    log = LogWriter(path)
    log.feed("stdout", b"lost\n", 1.0)
    path.parent.mkdir()
    log.feed("stdout", b"kept\n", 1.0)
    log.close(2.0)
    assert lines(path)[0]["m"] == "kept"
    assert lines(path)[-1]["dropped"] > 0


def test_write_that_a_full_disk_cut_off_damages_no_other_line(tmp_path, monkeypatch):
    path, real = tmp_path / "log.jsonl", os.write
    log = LogWriter(path)
    log.feed("stdout", b"one\n", 1.0)
    room = [5]

    def write(handle: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken, room[0] = room[0], 0
        return real(handle, data[:taken])

    with monkeypatch.context() as full:
        full.setattr("spellbook_core.worker.capture.os.write", write)
        log.feed("stdout", b"two\n", 1.0)
    log.feed("stdout", b"three\n", 1.0)
    log.close(2.0)
    page = read_lines(path)
    assert [line.text for line in page.lines][:2] == ["one", "three"]
    assert page.dropped_bytes > 0
