"""The main job, whole: an empty workspace becomes a pipeline that was written, linked, run and looked at."""

from __future__ import annotations

import pytest
import yaml
from playwright.sync_api import Locator, Page, expect

from tests.conftest import wait_until
from tests.e2e.steps import (
    SLOW_MS,
    add_block,
    box_of,
    card,
    click_box,
    code_of,
    expect_states,
    run,
    show_tab,
    state_of,
    write,
)

pytestmark = pytest.mark.e2e

LOAD = """import numpy as np
import pandas as pd

from spellbook_core import data_loader, test


@data_loader
def load(*args, **kwargs):
    chance = np.random.default_rng(7)
    print("making 240 rows")
    x1, x2 = chance.normal(size=240), chance.normal(size=240)
    return pd.DataFrame({"x1": x1, "x2": x2, "label": (x1 + x2 > 0).astype("int64")})


@test
def test_both_classes(output, *args):
    assert set(output["label"]) == {0, 1}
"""
FEATURES = """import time
from pathlib import Path

from spellbook_core import transformer


@transformer
def features(data, *args, **kwargs):
    print("got", len(data), "rows from the parent")
    while (Path(__file__).parents[1] / "hold").exists():
        time.sleep(0.01)
    return data.assign(x3=data["x1"] * data["x2"])
"""
MODEL = """import torch
from torch import nn

from spellbook_core import batches, custom, log_metric


@custom
def train(data, *args, **kwargs):
    torch.manual_seed(1)
    x = torch.from_numpy(data[["x1", "x2", "x3"]].to_numpy(dtype="float32", copy=True))
    y = torch.from_numpy(data[["label"]].to_numpy(dtype="float32", copy=True))
    model, loss_of = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1)), nn.BCEWithLogitsLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for epoch in range(20):
        for x_batch, y_batch in batches(x, y, batch_size=64, shuffle=True):
            optimizer.zero_grad()
            loss = loss_of(model(x_batch), y_batch)
            loss.backward()
            optimizer.step()
        log_metric("loss", loss.item(), step=epoch)
    with torch.no_grad():
        return data.assign(predicted=torch.sigmoid(model(x)).numpy().ravel())
"""
EXPORT = """from pathlib import Path

from spellbook_core import data_exporter


@data_exporter
def export(data, *args, **kwargs):
    path = Path(__file__).parents[1] / "predicted.csv"
    data.to_csv(path, index=False)
    print("wrote", len(data), "rows")
"""
KEYS_OF_A_BLOCK = {
    *("all_upstream_blocks_executed", "color", "configuration", "downstream_blocks", "executor_config"),
    *("executor_type", "has_callback", "language", "name", "retry_config", "status", "timeout", "type"),
    *("upstream_blocks", "uuid"),
}
"""What mage-ai 0.9 writes for each block of metadata.yaml."""


def test_pipeline_from_nothing(served, page_factory, tmp_path):
    page = page_factory(served().address)
    project = new_project_and_pipeline(page, tmp_path)
    file = project / "pipelines/churn/metadata.yaml"

    add_block(page, "data_loader", "load", template="Make data for a classifier")
    add_block(page, "transformer", "features", template="Fill missing values", parents=False)
    add_block(page, "custom", "train", template="Train a PyTorch classifier", parents=False)
    add_block(page, "data_exporter", "export", template="Export to a CSV file", parents=False)
    files = {
        "load": project / "data_loaders/load.py",
        "features": project / "transformers/features.py",
        "train": project / "custom/train.py",
        "export": project / "data_exporters/export.py",
    }
    assert all("@" in path.read_text() for path in files.values())
    assert edges(file) == {"load": [], "features": [], "train": [], "export": []}

    link_in_the_graph(page, "features", "load")
    link_in_the_graph(page, "train", "features")
    page.get_by_test_id("stButtonGroup").get_by_text("Select", exact=True).click()
    link_in_the_card(page, "export", "train")
    linked = {"load": [], "features": ["load"], "train": ["features"], "export": ["train"]}
    wait_until(lambda: edges(file) == linked, what="the links in the file")

    for block, text in {"load": LOAD, "features": FEATURES, "train": MODEL, "export": EXPORT}.items():
        opened(page, block)
        write(page, block, text)
        wait_until(lambda path=files[block], text=text: path.read_text() == text, what=f"the draft of {block}")

    run(page, "load")
    expect_states(page, {"load": "Completed"})
    expect(page.locator(".st-key-facts_load")).to_contain_text("240 rows × 3 columns")
    expect(page.locator(".st-key-facts_load")).to_contain_text("s")
    expect(page.locator(".st-key-shown_load canvas").first).to_be_visible(timeout=SLOW_MS)
    expect(show_tab(page, "load", "Logs")).to_contain_text("making 240 rows")
    page.locator(".st-key-tab_load").get_by_text("Tests 1/1").click()
    expect(page.locator(".st-key-shown_load")).to_contain_text("test_both_classes")

    run(page, "features")
    expect_states(page, {"features": "Completed", "train": "Never run"})
    expect(page.locator(".st-key-facts_features")).to_contain_text("240 rows × 4 columns")
    expect(show_tab(page, "features", "Logs")).to_contain_text("got 240 rows from the parent")

    check_format(file, linked)
    write(page, "features", FEATURES.replace("x3=", "x3=0.5 * "))
    (project / "hold").touch()
    page.locator(".st-key-run_pipeline button").click()
    expect(state_of(page, "features")).to_contain_text("Running", timeout=SLOW_MS)
    box_of(page, "features", label="running")
    expect(state_of(page, "export")).to_contain_text("Queued")
    (project / "hold").unlink()
    expect_states(page, dict.fromkeys(linked, "Completed"))
    for block in linked:
        box_of(page, block, label="completed")
    expect(page.locator(".st-key-graph_states")).to_contain_text("4 completed")
    expect(page.locator(".st-key-last_run")).to_contain_text("Run 3 completed", timeout=SLOW_MS)
    assert (project / "predicted.csv").read_text().startswith("x1,x2,label,x3,predicted\n")

    page.locator(".st-key-last_run a").click()
    check_run_page(page)


def new_project_and_pipeline(page: Page, workspace):
    """Go from the welcome page to an empty pipeline and return the project's folder."""
    page.locator(".st-key-first_project_create button").click()
    fill(page.locator(".st-key-new_project_name input"), "Shop")
    page.locator(".st-key-new_project_create button").click()
    expect(page.get_by_text("Start with an example")).to_be_visible(timeout=SLOW_MS)
    page.locator(".st-key-new_pipeline button").click()
    fill(page.locator(".st-key-new_pipeline_name input"), "Churn")
    page.locator(".st-key-new_pipeline_create button").click()
    page.wait_for_url("**/editor?**", timeout=SLOW_MS)
    expect(page.get_by_text("Begin with a block")).to_be_visible(timeout=SLOW_MS)
    return workspace / "projects/shop"


def fill(field: Locator, text: str) -> None:
    field.fill(text)
    field.press("Tab")


def link_in_the_graph(page: Page, child: str, parent: str) -> None:
    """Pick the child in Link parents mode, then click the block that shall feed it."""
    page.get_by_test_id("stButtonGroup").get_by_text("Link parents").click()
    other = page.locator(".st-key-link_other button")
    if other.is_visible():
        other.click()
    expect(page.locator(".st-key-graph_words")).to_contain_text("Click the block that shall get parents")
    click_box(page, child)
    expect(page.locator(".st-key-link_hint")).to_contain_text(f"Parents of {child}", timeout=SLOW_MS)
    click_box(page, parent)
    box_of(page, parent, label="→ parent")
    expect(page.locator(f".st-key-parentbox_{child}")).to_contain_text(parent, timeout=SLOW_MS)


def link_in_the_card(page: Page, child: str, parent: str) -> None:
    """Choose a parent in the card's list, which the keyboard reaches too."""
    opened(page, child)
    field = page.locator(f".st-key-parentbox_{child} input")
    field.click()
    field.press_sequentially(parent)
    field.press("Enter")
    expect(page.locator(f".st-key-links_{child}")).to_contain_text(f"← {parent}", timeout=SLOW_MS)


def opened(page: Page, block: str) -> None:
    """Open a card when it is closed."""
    expect(card(page, block)).to_be_visible()
    if not code_of(page, block).is_visible():
        page.locator(f".st-key-toggle_{block} button").click()
    expect(code_of(page, block)).to_be_visible(timeout=SLOW_MS)


def edges(file) -> dict[str, list[str]]:
    return {block["uuid"]: block["upstream_blocks"] for block in yaml.safe_load(file.read_text())["blocks"]}


def check_format(file, linked: dict[str, list[str]]) -> None:
    """The file on disk is one that mage reads: its keys, links written both ways."""
    document = yaml.safe_load(file.read_text())
    assert {"blocks", "name", "type", "uuid"} <= document.keys()
    assert (document["uuid"], document["type"]) == ("churn", "python")
    types = {"load": "data_loader", "features": "transformer", "train": "custom", "export": "data_exporter"}
    for block in document["blocks"]:
        assert block.keys() >= KEYS_OF_A_BLOCK
        assert block["type"] == types[block["uuid"]]
        assert block["upstream_blocks"] == linked[block["uuid"]]
        assert block["downstream_blocks"] == [child for child, parents in linked.items() if block["uuid"] in parents]


def check_run_page(page: Page) -> None:
    """State, start, duration and rows of each block run, and the log of each."""
    expect(page.get_by_role("heading", name="Run 3")).to_be_visible(timeout=SLOW_MS)
    table = page.locator(".st-key-run_table")
    rows = {row[1]: row for row in cells(table, 4)}
    assert set(rows) == {"load", "features", "train", "export"}
    for block, row in rows.items():
        assert "completed" in row[0], row
        assert row[4].count(":") == 2, row
        assert row[5].endswith("s"), row
        assert row[6] == ("240" if block != "export" else "–"), row
    for block, printed in {"features": "got 240 rows", "export": "wrote 240 rows"}.items():
        page.locator(".st-key-block").click()
        page.get_by_role("option", name=block, exact=True).click()
        expect(page.locator(".stCode").filter(has_text=printed)).to_be_visible(timeout=SLOW_MS)
    page.locator(".st-key-tab").get_by_text("Metrics", exact=True).click()


def cells(table: Locator, rows: int) -> list[list[str]]:
    """Return what a grid tells a screen reader: its canvas holds a table of the same cells."""
    grid = table.locator("canvas table tbody tr")
    expect(grid).to_have_count(rows, timeout=SLOW_MS)
    return [row.locator("td").all_text_contents() for row in grid.all()]
