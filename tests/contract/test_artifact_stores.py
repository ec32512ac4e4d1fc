"""Every artifact store keeps the contract; the local one also keeps its files private."""

from __future__ import annotations

import os
import stat

import pytest

from spellbook_core.artifacts.local import LocalArtifactStore
from tests.contract.artifact_contract import ArtifactContract


class TestLocalArtifactStore(ArtifactContract):
    @pytest.fixture
    def store(self, tmp_path):
        return LocalArtifactStore(tmp_path / "one" / "artifacts")

    @pytest.fixture
    def other(self, tmp_path):
        return LocalArtifactStore(tmp_path / "two" / "artifacts")

    @pytest.mark.guarantee("N30")
    def test_files_are_private_under_any_umask(self, store, tmp_path):
        before = os.umask(0)
        try:
            store.put({1, 2})
        finally:
            os.umask(before)
        modes = {
            path.relative_to(tmp_path).name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "one").rglob("*")
        }
        folders = {name for name, mode in modes.items() if mode == 0o700}
        files = {name for name, mode in modes.items() if mode == 0o600}
        assert folders | files == set(modes)
        assert {"artifact.key", "data.pkl", "meta.json", "preview.json"} <= files

    @pytest.mark.guarantee("N25")
    def test_key_stays_the_same_over_processes(self, store, tmp_path):
        ref = store.put({1, 2}).artifact
        assert LocalArtifactStore(tmp_path / "one" / "artifacts").get(ref) == {1, 2}

    @pytest.mark.guarantee("N14")
    def test_links_are_not_followed(self, store, tmp_path):
        ref = store.put([1]).artifact
        outside = tmp_path / "outside.json"
        path = store.data_path(ref)
        path.rename(outside)
        path.symlink_to(outside)
        with pytest.raises(OSError, match="corrupt"):
            store.get(ref)
