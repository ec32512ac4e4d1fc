"""Charts under a block's card, and the dialogs that add and change them."""

from __future__ import annotations

import json

import pytest
import yaml

from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.model.run import NewRun
from spellbook_core.services import chart_pictures, pipelines, runs
from tests.conftest import BlockFile, make_project, wait_until
from tests.ui.conftest import texts

PROJECT, PIPELINE = ProjectName("demo"), PipelineUuid("main")
LOAD = """
import pandas as pd
@data_loader
def load():
    return pd.DataFrame({"g": ["a", "b"], "v": [1.0, 2.0], "at": pd.to_datetime(["2024-01-01", "2024-01-02"])})
"""
CHARTS = {
    "bars": {"chart_type": "bar chart", "group_by": ["g"], "metrics": [{"aggregation": "sum", "column": "v"}]},
    "lying": {"chart_type": "bar chart", "x": "x", "y": "y", "chart_style": "horizontal"},
    "numbers": {"chart_type": "histogram", "group_by": ["v"]},
    "slices": {"chart_type": "pie chart", "group_by": ["g"]},
    "moments": {
        "chart_type": "time series line chart",
        "group_by": ["at"],
        "metrics": [{"aggregation": "sum", "column": "v"}, {"aggregation": "count", "column": "v"}],
    },
    "rows": {"chart_type": "table", "group_by": ["g", "v"]},
    "broken": {"chart_type": "bar chart", "x": "x", "y": "y"},
}


@pytest.fixture
def charted(tmp_path, context):
    project = make_project(tmp_path, blocks={"load": BlockFile(LOAD, "data_loader")})
    path = project / "pipelines" / "main" / "metadata.yaml"
    document = yaml.safe_load(path.read_text())
    document["widgets"] = [
        {"uuid": name, "name": name, "type": "chart", "upstream_blocks": ["load"], "configuration": settings}
        for name, settings in CHARTS.items()
    ]
    path.write_text(yaml.safe_dump(json.loads(json.dumps(document))))
    (project / "charts").mkdir()
    (project / "charts" / "lying.py").write_text("x = ['a', 'b']\ny = [[1], [2]]\n")
    (project / "charts" / "broken.py").write_text("x = df_1['<b>nope</b>']\n")
    return project


def test_charts_wait_for_their_block(charted, open_screen):
    app = open_screen("editor", project="demo", pipeline="main")
    assert not app.exception
    assert texts(app).count("the chart is drawn from what it returns") == len(CHARTS)


def test_charts_are_shown_under_their_block(charted, open_screen, context):
    runs.run_here(context, NewRun(PROJECT, PIPELINE, "cli"), lambda event: None)
    pipeline = pipelines.load(context, PROJECT, PIPELINE).pipeline
    results = runs.latest_outputs(context, PROJECT, PIPELINE)

    def all_drawn():
        states = [chart_pictures.state(context, PROJECT, PIPELINE, chart, results) for chart in pipeline.widgets]
        return all(state.what != "drawing" for state in states)

    wait_until(all_drawn, 90, what="every chart is drawn")
    app = open_screen("editor", project="demo", pipeline="main")
    assert not app.exception
    assert len(app.get("arrow_vega_lite_chart")) + len(app.get("vega_lite_chart")) == 5
    shown = texts(app)
    assert "KeyError" in shown
    assert "<b>nope" not in shown, "what a block says is text"
    assert "fault" not in shown
    assert "add_chart_load" in {button.key for button in app.button}
