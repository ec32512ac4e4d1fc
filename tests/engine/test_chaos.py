"""The chaos test: random runs, cancels, edits and kills, then every promise. By hand longer, or with another seed:

`SPELLBOOK_CHAOS_S=600 SPELLBOOK_CHAOS_SEED=7 pytest tests/engine/test_chaos.py -s`
"""

from __future__ import annotations

import os
import time

import pytest

from tests.engine.chaos import SETTLE_S, chaos

SECONDS = float(os.environ.get("SPELLBOOK_CHAOS_S", "12"))
SEED = int(os.environ.get("SPELLBOOK_CHAOS_SEED", "20260105"))


@pytest.mark.guarantee("F5")
@pytest.mark.guarantee("F6")
def test_nothing_is_lost_or_doubled_in_chaos(tmp_path):
    with chaos(tmp_path, SEED) as life:
        until = time.monotonic() + SECONDS
        life.live(until=lambda life: time.monotonic() >= until)
        settled_s = life.settle()
        broken = life.broken_promises()
        anew = life.started_anew()
        print(f"seed {SEED}: {dict(life.kills)} killed, {anew} of them before they began,", end=" ")
        print(f"{len(life.started)} runs, settled in {settled_s:.1f} s")
        assert broken == [], f"SPELLBOOK_CHAOS_SEED={SEED} SPELLBOOK_CHAOS_S={SECONDS:g}: {life.acts}"
        assert settled_s < SETTLE_S
        assert life.kills, "somebody was killed"
