"""200 kills of workers, zygotes and engines at random moments: what is lost, what is doubled, and how soon it settles.

Two to three minutes: an engine and its zygote start anew after each of their deaths. `SPELLBOOK_KILLS` sets another
number, `SPELLBOOK_CHAOS_SEED` another life.
"""

from __future__ import annotations

import os
import time

import pytest

from tests.engine.chaos import SETTLE_S, chaos

KILLS = int(os.environ.get("SPELLBOOK_KILLS", "200"))
SEED = int(os.environ.get("SPELLBOOK_CHAOS_SEED", "1"))


@pytest.mark.benchmark_table
def test_kills_lose_and_double_nothing(tmp_path, report_row):
    with chaos(tmp_path, SEED) as life:
        began = time.monotonic()
        life.live(until=lambda life: sum(life.kills.values()) >= KILLS)
        took_s = time.monotonic() - began
        settled_s = life.settle()
        broken = life.broken_promises()
    lost, doubled = (sum(word in each for each in broken) for word in ("LOST", "DOUBLED"))
    what = ", ".join(f"{count} of {who}" for who, count in sorted(life.kills.items()))
    print(f"{what}, in {took_s:.0f} s; {len(life.started)} runs")
    report_row(f"{KILLS} kills at random moments: lost", ours=float(lost), floor=None, unit="results", bound=None)
    report_row(f"{KILLS} kills at random moments: doubled", ours=float(doubled), floor=None, unit="results", bound=None)
    report_row("every run ended after the last kill", ours=settled_s, floor=SETTLE_S, unit="s", bound=1.0)
    assert broken == [], life.acts
