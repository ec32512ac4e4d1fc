"""The chaos test: random runs, cancels, edits and kills, a disk that is full for a while and a clock that jumps; then
every promise. A minute; by hand longer, or with another seed:

`SPELLBOOK_CHAOS_S=600 SPELLBOOK_CHAOS_SEED=7 pytest tests/engine/test_chaos.py -s`
"""

from __future__ import annotations

import os

import pytest

from tests.engine.chaos import SETTLE_S
from tests.engine.chaos_life import lived

SECONDS = float(os.environ.get("SPELLBOOK_CHAOS_S", "60"))
SEED = int(os.environ.get("SPELLBOOK_CHAOS_SEED", "20260105"))


@pytest.mark.guarantee("F1")
@pytest.mark.guarantee("F5")
@pytest.mark.guarantee("F6")
@pytest.mark.guarantee("F8")
@pytest.mark.guarantee("F10")
@pytest.mark.guarantee("F57")
def test_nothing_is_lost_or_doubled_in_chaos(tmp_path):
    found = lived(tmp_path, SEED, seconds=SECONDS)
    again = f"SPELLBOOK_CHAOS_SEED={SEED} SPELLBOOK_CHAOS_S={SECONDS:g}"
    print(f"{again}: {found['kills']} killed, {found['anew']} blocks lost before they began; {found['done']};", end=" ")
    print(f"{found['runs']} runs, told {found['told_s']:.1f} s and ended {found['ended_s']:.1f} s after the last kill")
    assert found["broken"] == [], f"{again}: {found['acts']}"
    assert found["told_s"] < SETTLE_S
    assert found["kills"], "somebody was killed"
