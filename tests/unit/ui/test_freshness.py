"""What cards and runs say about stored outputs: fresh, stale, reused from where and since when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from spellbook_core.model.staleness import Freshness, Staleness
from spellbook_core.ui.editor.freshness import word
from spellbook_core.ui.reuse import Origin, words

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_completed_block_says_that_its_output_holds():
    assert word("completed", Staleness(Freshness.FRESH), is_completed=True) == "Completed · fresh"


def test_failed_block_is_not_called_fresh():
    assert word("failed", Staleness(Freshness.FRESH), is_completed=False) == "Failed"


def test_unknown_state_adds_nothing():
    assert word("completed", None, is_completed=True) == "Completed"


def test_reused_output_names_its_run_and_age():
    assert words(Origin(12, NOW - timedelta(minutes=3)), NOW) == "↺ reused from run 12 · 3 min ago"


def test_reused_output_of_a_deleted_run_says_so():
    assert words(Origin(), NOW) == "↺ reused from an earlier run"
