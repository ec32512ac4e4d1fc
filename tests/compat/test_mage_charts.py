"""Charts as mage writes them are drawn: by their settings, by variables of their code, by decorated functions."""

from __future__ import annotations

import json
import textwrap

import pytest
import yaml

from spellbook_core.model.naming import PipelineUuid, ProjectName
from spellbook_core.model.run import NewRun, Status
from spellbook_core.services import chart_pictures, charts, pipelines, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, make_project, wait_until

PROJECT, PIPELINE = ProjectName("demo"), PipelineUuid("main")
LOAD = """
import pandas as pd
@data_loader
def load():
    return pd.DataFrame({"g": ["a", "b", "a"], "v": [1.0, 2.0, 4.0], "n": [1, 2, 3], "gap": [None, None, 1.0],
                         "at": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-02-01"])})
"""


def widget(uuid, parents=("load",), **settings):
    entry = {"uuid": uuid, "name": uuid, "type": "chart", "language": "python"}
    return {**entry, "upstream_blocks": list(parents), "downstream_blocks": [], "configuration": settings}


@pytest.fixture
def drawn(tmp_path):
    """`drawn({"chart": (code or None, settings)})` runs the loader and returns uuid -> state of its picture."""
    ctx = None

    def draw(given, load=LOAD, files=None):
        nonlocal ctx
        project = make_project(tmp_path, blocks={"load": BlockFile(load, "data_loader")}, files=files)
        path = project / "pipelines" / "main" / "metadata.yaml"
        document = yaml.safe_load(path.read_text())
        document["widgets"] = [widget(name, **settings) for name, (_, settings) in given.items()]
        path.write_text(yaml.safe_dump(json.loads(json.dumps(document)), sort_keys=False))  # no aliases
        (project / "charts").mkdir()
        for name, (code, _) in given.items():
            if code is not None:
                (project / "charts" / f"{name}.py").write_text(textwrap.dedent(code), encoding="utf-8")
        ctx = open_context(tmp_path)
        assert runs.run_here(ctx, NewRun(PROJECT, PIPELINE, "cli"), lambda event: None).status is Status.COMPLETED
        return states(ctx)

    yield draw
    if ctx is not None:
        ctx.close()


def states(ctx):
    pipeline = pipelines.load(ctx, PROJECT, PIPELINE).pipeline
    results = runs.latest_outputs(ctx, PROJECT, PIPELINE)

    def of(chart):
        def look():
            state = chart_pictures.state(ctx, PROJECT, PIPELINE, chart, results)
            return None if state.what == "drawing" else state

        return wait_until(look, 60, what=f"chart {chart.uuid} is drawn")

    return {chart.uuid: of(chart) for chart in pipeline.widgets}


METRICS = [{"aggregation": "average", "column": "v"}]


def test_charts_are_drawn_by_their_settings(drawn):
    found = drawn(
        {
            "bars": (None, {"chart_type": "bar chart", "group_by": ["g"], "metrics": METRICS}),
            "hist": ("", {"chart_type": "histogram", "group_by": ["n"], "buckets": 10}),
            "line": ("# nothing\n", {"chart_type": "line chart", "group_by": ["n"], "metrics": METRICS}),
            "pie": (charts.SOURCE, {"chart_type": "pie chart", "group_by": ["g"]}),
            "table": (charts.SOURCE, {"chart_type": "table", "group_by": ["g", "v"], "limit": 2}),
            "time": (
                charts.SOURCE,
                {
                    "chart_type": "time series bar chart",
                    "group_by": ["at"],
                    "metrics": METRICS,
                    "time_interval": "month",
                },
            ),
        }
    )
    assert {name: state.what for name, state in found.items()} == dict.fromkeys(found, "ready")
    pictures = {name: state.picture for name, state in found.items()}
    assert pictures["bars"]["series"] == [{"name": "average(v)", "values": [2.5, 2.0]}]
    assert pictures["hist"]["counts"] == [1, 1, 1]
    assert pictures["line"]["kind"] == "lines"
    assert pictures["pie"]["values"] == [2, 1]
    assert pictures["table"]["rows"] == [["a", 1.0], ["b", 2.0]]
    assert pictures["time"]["x"] == ["2024-01-01T00:00:00", "2024-02-01T00:00:00"]


BARS_OF_MAGE = """
    columns = df_1.columns
    x = df_1.columns[:7]
    y = [[v] for v in [len(df_1[col].unique()) for col in x]]
"""
HISTOGRAM_OF_MAGE = """
    import pandas as pd
    from mage_ai.shared.parsers import convert_matrix_to_dataframe

    if isinstance(df_1, list) and len(df_1) >= 1:
        item = df_1[0]
        if not isinstance(item, pd.DataFrame):
            item = convert_matrix_to_dataframe(item)
        df_1 = item
    columns = df_1.columns
    col = list(filter(lambda x: df_1[x].dtype == float or df_1[x].dtype == int, columns))[0]
    x = df_1[col]
"""
MISSING_OF_MAGE = """
    number_of_rows = len(df_1.index)
    columns_with_mising_values = []
    percentage_of_missing_values = []
    for col in df_1.columns:
        missing = df_1[col].isna().sum()
        if missing > 0:
            columns_with_mising_values.append(col)
            percentage_of_missing_values.append(100 * missing / number_of_rows)
"""
OVERVIEW_OF_MAGE = """
    from mage_ai.data_cleaner.column_types.column_type_detector import infer_column_types
    from mage_ai.data_preparation.models.constants import DATAFRAME_ANALYSIS_MAX_COLUMNS

    headers = ['value']
    stats = ['Columns', 'Rows']
    rows = [[len(df_1.columns)], [len(df_1.index)]]
    counts = {}
    for col, col_type in infer_column_types(df_1.iloc[:, :DATAFRAME_ANALYSIS_MAX_COLUMNS]).items():
        counts[col_type.value] = counts.get(col_type.value, 0) + 1
    for col_type, count in sorted(counts.items()):
        stats.append(f'# of {col_type}')
        rows.append([count])
"""


def test_charts_of_mage_s_own_templates_are_drawn(drawn):
    found = drawn(
        {
            "bars": (BARS_OF_MAGE, {"chart_type": "bar chart", "x": "x", "y": "y", "chart_style": "vertical"}),
            "hist": (HISTOGRAM_OF_MAGE, {"chart_type": "histogram", "x": "x", "buckets": 10}),
            "missing": (
                MISSING_OF_MAGE,
                {
                    "chart_type": "bar chart",
                    "x": "columns_with_mising_values",
                    "y": "percentage_of_missing_values",
                    "chart_style": "horizontal",
                    "y_sort_order": "descending",
                },
            ),
            "overview": (
                OVERVIEW_OF_MAGE,
                {"chart_type": "table", "index": "stats", "x": "headers", "y": "rows", "limit": 3000},
            ),
            "pie": ("x = df_1[df_1.columns[0]]", {"chart_type": "pie chart", "x": "x", "buckets": 7}),
            "line": (
                "x = load['n']\ny = [load['v'], load['n']]\n",
                {"chart_type": "line chart", "x": "x", "y": "y", "legend_labels": "one, two"},
            ),
        }
    )
    assert {name: state.what for name, state in found.items()} == dict.fromkeys(found, "ready"), found
    pictures = {name: state.picture for name, state in found.items()}
    assert pictures["bars"]["x"] == ["g", "v", "n", "gap", "at"]
    assert [each["values"] for each in pictures["bars"]["series"]] == [[2, 3, 3, 2, 3]]
    assert sum(pictures["hist"]["counts"]) == 3
    assert pictures["missing"]["series"][0]["values"] == [pytest.approx(66.67, abs=0.01)]
    assert pictures["overview"]["rows"][:2] == [["Columns", 5], ["Rows", 3]]
    assert pictures["pie"]["labels"] == ["a", "b"]
    assert [each["name"] for each in pictures["line"]["series"]] == ["one", "two"]


def test_charts_are_drawn_by_decorated_functions(drawn):
    found = drawn(
        {
            "split": (
                """
                from mage_ai.data_preparation.decorators import data_source

                @data_source
                def d(df, *args, **kwargs):
                    assert kwargs["pipeline_uuid"] == "main"
                    return df[df["g"] == "a"]

                @x
                def labels(df):
                    return df["n"]

                @y
                def numbers(df):
                    return [df["v"]]
                """,
                {"chart_type": "line chart"},
            ),
            "both": (
                "@xy\ndef both(df, *args):\n    return list(df['n']), [list(df['v'])]\n",
                {"chart_type": "bar chart"},
            ),
            "told": (
                """
                @configuration
                def settings(df):
                    metrics = [{"aggregation": "sum", "column": "v"}]
                    return {"chart_type": "bar chart", "group_by": ["g"], "metrics": metrics}
                """,
                {},
            ),
            "chosen": ("@columns\ndef c(df):\n    return ['v']\n", {"chart_type": "table"}),
            "frame": ("@render\ndef r(df, *args):\n    return df\n", {"chart_type": "custom"}),
            "html": ("@render(render_type='html')\ndef r(df):\n    return '<b>x</b>'\n", {"chart_type": "custom"}),
        }
    )
    assert {name: state.what for name, state in found.items()} == dict.fromkeys(found, "ready"), found
    pictures = {name: state.picture for name, state in found.items()}
    assert (pictures["split"]["x"], pictures["split"]["series"][0]["values"]) == ([1, 3], [1.0, 4.0])
    assert pictures["both"]["series"][0]["values"] == [1.0, 2.0, 4.0]
    assert pictures["told"]["series"][0] == {"name": "sum(v)", "values": [5.0, 2.0]}
    assert pictures["chosen"]["columns"] == ["v"]
    assert pictures["frame"]["outputs"][0]["kind"] == "table"
    assert pictures["html"] == {
        "kind": "text",
        "text": "<b>x</b>",
        "note": "HTML from a block is shown as text, not drawn.",
    }


def test_chart_that_fails_tells_its_line(drawn):
    settings = {"chart_type": "bar chart", "x": "x", "y": "y"}
    found = drawn(
        {
            "raises": ("\nx = df_1['nope']\n", settings),
            "no_python": ("def (\n", settings),
            "exits": ("import sys\nsys.exit(3)\n", settings),
            "uneven": ("x = [1, 2]\ny = [1]\n", settings),
            "nothing": ("", settings),
            "dies": ("import os\nos._exit(3)\n", settings),
        }
    )
    assert {name: state.what for name, state in found.items()} == dict.fromkeys(found, "failed")
    assert found["raises"].error.exception == "KeyError: 'nope'"
    assert found["raises"].error.line == 2
    assert found["no_python"].error.code == "SB-WRK-002"
    assert found["uneven"].error.message == "x has 2 values, but y has 1."
    assert "names nothing to draw" in found["nothing"].error.message
    assert "ended without a picture" in found["dies"].error.message


def test_chart_of_children_has_the_rows_of_all_of_them(tmp_path):
    each = "import pandas as pd\n@transformer\ndef f(x, **kwargs):\n    return pd.DataFrame({'v': [x] * x})\n"
    items = "@data_loader\ndef load():\n    return [[1, 2, 3]]\n"
    dynamic = {"configuration": {"dynamic": True}}
    blocks = {"items": BlockFile(items, "data_loader", settings=dynamic), "each": BlockFile(each, parents=("items",))}
    project = make_project(tmp_path, blocks=blocks)
    path = project / "pipelines" / "main" / "metadata.yaml"
    document = yaml.safe_load(path.read_text())
    count = {"chart_type": "bar chart", "group_by": ["v"], "metrics": [{"aggregation": "count", "column": "v"}]}
    document["widgets"] = [widget("sizes", ["each"], **count), widget("huge", ["each"])]
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    (project / "charts").mkdir()
    (project / "charts" / "huge.py").write_text("x = bytearray(1 << 44)\n")
    (project / "charts" / "sizes.py").write_text("")
    ctx = open_context(tmp_path)
    try:
        assert runs.run_here(ctx, NewRun(PROJECT, PIPELINE, "cli"), lambda event: None).status is Status.COMPLETED
        found = states(ctx)
    finally:
        ctx.close()
    assert found["sizes"].what == "ready", found["sizes"].error
    assert found["sizes"].picture["series"] == [{"name": "count(v)", "values": [1, 2, 3]}]
    assert "memory" in found["huge"].error.message


def test_chart_waits_for_its_parent_and_no_run_is_made(tmp_path):
    make_project(tmp_path, blocks={"load": BlockFile(LOAD, "data_loader")})
    ctx = open_context(tmp_path)
    try:
        settings = {"chart_type": "pie chart", "group_by": ["g"]}
        made = charts.add(ctx, PROJECT, PIPELINE, parent="load", name="Pie of load", settings=settings)
        state = chart_pictures.state(ctx, PROJECT, PIPELINE, made, {})
        assert (state.what, state.waits_for) == ("waiting", ("load",))
        runs.run_here(ctx, NewRun(PROJECT, PIPELINE, "cli"), lambda event: None)
        assert states(ctx)["pie_of_load"].picture["labels"] == ["a", "b"]
        page = runs.list_runs(ctx)
        assert page.total == 1
        assert [run.block for run in runs.block_runs(ctx, page.runs[0].id)] == ["load"]
    finally:
        ctx.close()


def test_picture_changes_with_code_data_and_helpers(tmp_path):
    project = make_project(
        tmp_path,
        blocks={"load": BlockFile(LOAD, "data_loader")},
        files={"utils/__init__.py": "", "utils/x.py": "NAME = 'g'\n"},
    )
    ctx = open_context(tmp_path)
    try:
        text = "from utils.x import NAME\nx = df_1[NAME]\n"
        settings = {"chart_type": "pie chart", "x": "x"}
        charts.add(ctx, PROJECT, PIPELINE, parent="load", name="pie", settings=settings, text=text)
        runs.run_here(ctx, NewRun(PROJECT, PIPELINE, "cli"), lambda event: None)
        first = states(ctx)["pie"]
        assert first.picture["labels"] == ["a", "b"]
        assert states(ctx)["pie"].key == first.key
        (project / "utils" / "x.py").write_text("NAME = 'n'\n")
        second = states(ctx)["pie"]
        assert second.picture["labels"] == ["1", "2", "3"]
        chart_pictures.forget(ctx, second.key)
        assert states(ctx)["pie"].key == second.key
    finally:
        ctx.close()


def test_chart_is_added_and_removed_in_mage_s_form(tmp_path):
    project = make_project(tmp_path, blocks={"load": BlockFile(LOAD, "data_loader")})
    ctx = open_context(tmp_path)
    path = project / "pipelines" / "main" / "metadata.yaml"
    try:
        settings = {"chart_type": "histogram", "group_by": ["n"], "buckets": 10}
        charts.add(ctx, PROJECT, PIPELINE, parent="load", name="My numbers", settings=settings)
        entry = yaml.safe_load(path.read_text())["widgets"][0]
        assert entry["configuration"] == settings
        assert (entry["uuid"], entry["name"], entry["type"]) == ("my_numbers", "My numbers", "chart")
        assert entry["upstream_blocks"] == ["load"]
        assert (project / "charts" / "my_numbers.py").read_text() == charts.SOURCE
        with_chart = path.read_text()
        token = charts.remove(ctx, PROJECT, PIPELINE, "my_numbers")
        assert not (project / "charts" / "my_numbers.py").exists()
        assert yaml.safe_load(path.read_text())["widgets"] == []
        charts.undo(ctx, token)
        assert path.read_text() == with_chart
        assert (project / "charts" / "my_numbers.py").exists()
        charts.set_settings(ctx, PROJECT, PIPELINE, "my_numbers", {**settings, "buckets": 5})
        assert "buckets: 5" in path.read_text()
    finally:
        ctx.close()
