"""200 kills of engines, workers and zygotes at random moments: what is lost, what is doubled, and how soon it settles.

Half of them hit the engine. Some four minutes: an engine and its zygote start anew after each of their deaths.
`SPELLBOOK_KILLS` sets another number, `SPELLBOOK_CHAOS_SEED` another life.
"""

from __future__ import annotations

import os

import pytest

from tests.engine.chaos import SETTLE_S
from tests.engine.chaos_life import lived

KILLS = int(os.environ.get("SPELLBOOK_KILLS", "200"))
SEED = int(os.environ.get("SPELLBOOK_CHAOS_SEED", "1"))


@pytest.mark.benchmark_table
def test_kills_lose_and_double_nothing(tmp_path, report_row):
    found = lived(tmp_path, SEED, kills=KILLS, engine_share=0.55, has_world=False)
    lost, doubled = (sum(word in each for each in found["broken"]) for word in ("LOST", "DOUBLED"))
    what = ", ".join(f"{count} of {who}" for who, count in sorted(found["kills"].items()))
    print(f"{what}, in {found['took_s']:.0f} s; {found['runs']} runs")
    report_row(f"{KILLS} kills at random moments: lost", ours=float(lost), floor=None, unit="results", bound=0.0)
    report_row(f"{KILLS} kills at random moments: doubled", ours=float(doubled), floor=None, unit="results", bound=0.0)
    report_row("every run ended after the last kill", ours=found["ended_s"], floor=SETTLE_S, unit="s", bound=1.0)
    assert found["broken"] == [], found["acts"]
    assert found["kills"]["engine"] >= KILLS / 3, "the engine had its share"
