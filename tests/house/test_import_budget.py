"""Nothing heavy is imported at start: torch alone costs 2.3 pandas of CPU time and forty times bare Python's memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("pandas", "torch", "duckdb", "pyarrow", "numpy", "streamlit", "jedi", "starlette", "sklearn", "watchdog")


def loaded_after(statement: str) -> set[str]:
    """Return which heavy packages a fresh interpreter has loaded after `statement`."""
    code = f"{statement}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import spellbook_core",
        "from spellbook_core import data_loader, custom, test, log_metric, progress, batches",
        "import spellbook_core.cli.main",
        "import spellbook_core.services.engine_process",
        "import spellbook_core.services.wiring, spellbook_core.services.runs, spellbook_core.services.engines",
        "import spellbook_core.worker.zygote",
    ],
)
def test_light_modules_load_nothing_heavy(statement):
    assert loaded_after(statement) == set()


def test_mounted_components_load_no_tables():
    """A dict as a component's data would: every page mounts one, the first page, too."""
    script = "from spellbook_core.ui.components.live import live; live(key='events', query={'project': 'titanic'})"
    statement = f"from streamlit.testing.v1 import AppTest; assert not AppTest.from_string({script!r}).run().exception"
    assert loaded_after(statement) & {"pandas", "pyarrow", "duckdb", "torch"} == set()


def test_budget_check_sees_a_heavy_import():
    assert "pandas" in loaded_after("import pandas")
