"""The reference pipeline in a browser: sample offline, a loss curve while it trains, a file with predictions."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.steps import SLOW_MS, box_of, expect_states, open_editor, show_tab

pytestmark = pytest.mark.e2e

TITANIC = Path(__file__).parents[2] / "projects" / "titanic"
BLOCKS = ("load_titanic", "fill_in_missing_values", "torch_train", "export_titanic_predict")
PROGRESS = "        progress(epoch + 1, EPOCHS)\n"
GATE = """        while epoch == 60 and not (Path(__file__).parents[1] / "go_on").exists():
            time.sleep(0.01)
"""


def copy_titanic(workspace: Path) -> Path:
    """Copy the project; its address answers nobody, and training waits in the middle until the test has looked."""
    project = workspace / "projects" / "titanic"
    shutil.copytree(TITANIC, project, ignore=shutil.ignore_patterns("__pycache__", "output"))
    variables = project / "utils/variables.py"
    lines = variables.read_text().splitlines()
    here = next(number for number, line in enumerate(lines) if line.startswith("TITANIC_DATA_URL"))
    lines[here] = 'TITANIC_DATA_URL = "http://127.0.0.1:9/titanic.csv"'
    variables.write_text("\n".join(lines) + "\n")
    train = project / "custom/torch_train.py"
    text = train.read_text()
    assert text.count(PROGRESS) == 1
    text = text.replace(PROGRESS, PROGRESS + GATE).replace(
        "import torch\n", "import time\nfrom pathlib import Path\n\nimport torch\n", 1
    )
    train.write_text(text)
    return project


def test_titanic_trains_before_ones_eyes(served, page_factory, tmp_path):
    project = copy_titanic(tmp_path)
    page = open_editor(page_factory, served().address)
    page.locator(".st-key-run_pipeline button").click()
    expect_states(page, {"load_titanic": "Completed"})
    notice = page.locator(".st-key-warnings_load_titanic")
    expect(notice).to_contain_text("SYNTHETIC", timeout=SLOW_MS)
    expect(notice).to_contain_text("data/titanic_sample.csv")

    expect_states(page, {"torch_train": "Running"})
    live = page.locator(".st-key-running_torch_train")
    expect(live).to_contain_text("61 of 100", timeout=4 * SLOW_MS)  # a real training, as slow as the machine
    expect(live.locator("[data-testid=stVegaLiteChart]").locator("canvas, svg").first).to_be_visible(timeout=SLOW_MS)
    expect(live).to_contain_text("loss")
    box_of(page, "torch_train", label="running")
    (project / "go_on").touch()

    expect_states(page, dict.fromkeys(BLOCKS, "Completed"))
    expect(page.locator(".st-key-facts_torch_train")).to_contain_text("891 rows × 13 columns", timeout=SLOW_MS)
    curve = show_tab(page, "torch_train", "Metrics")
    expect(curve.locator("[data-testid=stVegaLiteChart]").locator("canvas, svg").first).to_be_visible(timeout=SLOW_MS)
    expect(page.locator(".st-key-tab_torch_train")).to_contain_text("Tests 1/1")
    expect(show_tab(page, "export_titanic_predict", "Logs")).to_contain_text("891 rows written", timeout=SLOW_MS)

    with (project / "output/titanic_predict.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 891
    assert all(0 <= float(row["Survived_predict"]) <= 1 for row in rows)
