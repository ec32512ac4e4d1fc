"""What tests of the artifact store share."""

from __future__ import annotations

import pytest

from spellbook_core.artifacts.local import LocalArtifactStore


@pytest.fixture
def store(tmp_path):
    """An empty store of a new workspace."""
    return LocalArtifactStore(tmp_path / "state" / "artifacts")
