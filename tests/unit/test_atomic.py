"""Files are whole or absent, and never written over a newer version."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import threading

import pytest

from spellbook_core.atomic import ABSENT, content_hash, file_hash, write_atomically
from spellbook_core.errors import ChangedOnDiskError, StorageError


def test_written_file_has_its_hash(tmp_path):
    path = tmp_path / "한글 ✨.yaml"
    assert write_atomically(path, b"x") == content_hash(b"x") == file_hash(path)
    assert file_hash(tmp_path / "none") == ABSENT


@pytest.mark.guarantee("F14")
def test_newer_file_is_not_overwritten(tmp_path):
    path = tmp_path / "a"
    first = write_atomically(path, b"1", expected_hash=ABSENT)
    write_atomically(path, b"2", expected_hash=first)
    for stale in (first, ABSENT):
        with pytest.raises(ChangedOnDiskError, match="nothing was written"):
            write_atomically(path, b"3", expected_hash=stale)
    assert path.read_bytes() == b"2"
    assert os.listdir(tmp_path) == ["a"]


def test_mode_of_the_file_stays(tmp_path):
    path = tmp_path / "a"
    write_atomically(path, b"1", mode=0o600)
    write_atomically(path, b"2")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.guarantee("F8")
def test_full_disk_leaves_the_old_file(tmp_path):
    path = tmp_path / "a"
    write_atomically(path, b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"Cannot write .*File too large"):
            write_atomically(path, b"x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.guarantee("F8")
def test_file_that_is_in_place_is_never_told_as_refused(tmp_path, monkeypatch):
    """The folder's own entry cannot be synced: what was saved is there and whole, and whoever saved it is told so."""
    real = os.fsync

    def only_files(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    assert write_atomically(tmp_path / "a", b"new") == file_hash(tmp_path / "a") == content_hash(b"new")


def test_link_is_replaced_not_followed(tmp_path):
    (tmp_path / "target").write_bytes(b"target")
    (tmp_path / "link").symlink_to("target")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "target").read_bytes() == b"target"


@pytest.mark.guarantee("F14")
def test_one_of_many_writers_wins_each_round(tmp_path):
    path = tmp_path / "a"
    base = write_atomically(path, b"start")
    results = []

    def save(number):
        try:
            results.append(write_atomically(path, b"%d" % number, expected_hash=base))
        except ChangedOnDiskError:
            results.append(None)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [digest for digest in results if digest] == [file_hash(path)]


SIZE = 200_000
KILLS = """
import itertools, os, random, signal, sys, time
from pathlib import Path
from spellbook_core.atomic import write_atomically

path, size, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
moments, torn = random.Random(3), []
for kill in range(kills):
    acknowledged, told = os.pipe()
    saver = os.fork()
    if not saver:
        for number in itertools.count(kill * 1_000_000):
            write_atomically(path, (b"%08d" % number) * (size // 8))
            os.write(told, b"%08d" % number)
    os.close(told)
    last = os.read(acknowledged, 8)
    time.sleep(moments.uniform(0, 0.008))
    os.kill(saver, signal.SIGKILL)
    os.waitpid(saver, 0)
    while more := os.read(acknowledged, 8):
        last = more
    os.close(acknowledged)
    data = path.read_bytes()
    if data not in {(b"%08d" % number) * (size // 8) for number in (int(last), int(last) + 1)}:
        torn.append((len(data), data[:8], last))
print(torn, len(list(path.parent.glob(".*.tmp"))))
"""


@pytest.mark.thorough
@pytest.mark.guarantee("F3")
def test_killed_writer_leaves_a_whole_file(tmp_path):
    """60 kills at random moments of a save: what was acknowledged last is there, or what was being saved."""
    path = tmp_path / "metadata.yaml"
    command = [sys.executable, "-c", KILLS, str(path), str(SIZE), "60"]
    torn, left = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rsplit(" ", 1)
    assert torn == "[]"
    assert int(left) > 0, "some were killed between the beginning and the end of a save"
