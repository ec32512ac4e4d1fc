"""`spellbook output`, `show`, `rewrite` and `validate` as other programs use them."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LOADER, BlockFile, make_project

SPELLBOOK = str(Path(sys.executable).with_name("spellbook"))
VALUES = """
import numpy as np
import pandas as pd


class Own:
    def __init__(self, x):
        self.x = x


@data_loader
def load(**kwargs):
    frame = pd.DataFrame({"a": [1, 2], "=b": ["=1+1", None], "이름": pd.Categorical(["x", "y"])})
    return frame, {"k": [1, 2]}, np.array([[1.0, 2.0]]), Own(5), pd.Series([1, 2], name="s")
"""


def spellbook(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPELLBOOK_")}
    return subprocess.run([SPELLBOOK, *arguments], cwd=cwd, capture_output=True, text=True, env=kept, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("giving")
    made = make_project(root, blocks={"api/load": BlockFile(VALUES, "data_loader")})
    ended = spellbook("run", str(made), "main", "--json", cwd=root)
    assert ended.returncode == 0, ended.stderr
    outputs = json.loads(ended.stdout)["blocks"][0]["outputs"]
    assert [output["dtype"] for output in outputs] == [None, None, "float64", None, "int64"]
    assert [output["kind"] for output in outputs] == ["table", "json", "array", "object", "series"]
    return made


def given(project: Path, index: int, name: str, *more: str) -> Path:
    to = project.parent / name
    ended = spellbook("output", str(project), "main", "api/load", str(index), "--to", str(to), *more, cwd=project)
    assert ended.returncode == 0, ended.stderr
    return to


def test_tables_are_given_out_in_every_format(project):
    import pandas as pd

    for ending, read in (("csv", pd.read_csv), ("parquet", pd.read_parquet), ("json", pd.read_json)):
        frame = read(given(project, 0, f"t.{ending}"))
        assert frame.columns.tolist() == ["a", "=b", "이름"]
        assert frame["a"].tolist() == [1, 2]
        assert frame["=b"][0] == "=1+1"
    exact = pickle.loads(given(project, 0, "t.pkl", "--run", "1").read_bytes())
    assert str(exact["이름"].dtype) == "category"


def test_other_values_are_given_out_too(project):
    import pandas as pd

    assert json.loads(given(project, 1, "v.json").read_text()) == {"k": [1, 2]}
    assert pickle.loads(given(project, 1, "v.pkl").read_bytes()) == {"k": [1, 2]}
    assert json.loads(given(project, 2, "a.json").read_text()) in ([[1.0, 2.0]], [{"0": 1.0, "1": 2.0}])
    assert pickle.loads(given(project, 2, "a.pkl").read_bytes()).tolist() == [[1.0, 2.0]]
    assert pd.read_csv(given(project, 2, "a.csv")).shape == (1, 2)
    assert pickle.loads(given(project, 3, "o.pkl").read_bytes()).x == 5
    assert pd.read_csv(given(project, 4, "s.csv"))["s"].tolist() == [1, 2]


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing", "--to", "x.csv"),
        ("api/load", "9", "--to", "x.csv"),
        ("api/load", "--to", "x.doc"),
        ("api/load", "--to", "none/x.csv"),
        ("api/load", "--run", "99", "--to", "x.csv"),
        ("api/load", "3", "--to", "x.parquet"),
        ("api/load",),
    ],
)
def test_what_cannot_be_given_ends_with_2(project, arguments):
    ended = spellbook("output", str(project), "main", *arguments, cwd=project)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (project / "x.csv").exists()


def mage_project(tmp_path: Path) -> Path:
    project = tmp_path / "anywhere" / "shop"
    folder = project / "pipelines" / "etl"
    (project / "data_loaders").mkdir(parents=True)
    folder.mkdir(parents=True)
    (project / "metadata.yaml").write_text("project_type: standalone\n")
    (project / "data_loaders" / "load.py").write_text(LOADER)
    for place, text in (("callbacks/tell", "@callback\ndef f(**k): ...\n"), ("conditionals/when", "")):
        (project / place).parent.mkdir(exist_ok=True)
        (project / f"{place}.py").write_text(text)
    (folder / "metadata.yaml").write_text(
        "blocks:\n"
        "- all_upstream_blocks_executed: true\n  downstream_blocks: []\n  name: Load it\n  status: executed\n"
        "  type: data_loader\n  upstream_blocks: []\n  uuid: load\n"
        "callbacks:\n- name: tell\n  type: callback\n  upstream_blocks:\n  - load\n  uuid: tell\n"
        "conditionals:\n- name: when\n  type: conditional\n  upstream_blocks:\n  - load\n  uuid: when\n"
        "name: Etl\ntype: python\nuuid: etl\nvariables:\n  day: 2024-01-01\n  n: 3\n"
        "variables_dir: /home/other/.mage_data\n"
        "widgets:\n- name: bars\n  type: chart\n  language: python\n  upstream_blocks:\n  - load\n  uuid: bars\n"
    )
    return project


def test_any_mage_folder_is_shown_as_loaded(tmp_path):
    ended = spellbook("show", str(mage_project(tmp_path)), "etl", "--json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    shown = json.loads(ended.stdout)
    assert {name: shown[name] for name in ("uuid", "name", "type", "variables")} == {
        "uuid": "etl",
        "name": "Etl",
        "type": "python",
        "variables": {"day": "2024-01-01", "n": 3},
    }
    assert shown["blocks"] == [
        {
            "uuid": "load",
            "name": "Load it",
            "type": "data_loader",
            "language": "python",
            "upstream_blocks": [],
            "downstream_blocks": [],
            "file": "data_loaders/load.py",
            "file_exists": True,
        }
    ]
    assert [block["uuid"] for block in shown["callbacks"]] == ["tell"]
    assert [block["uuid"] for block in shown["conditionals"]] == ["when"]
    assert shown["widgets"][0]["file"] == "charts/bars.py"
    assert shown["widgets"][0]["file_exists"] is False


def test_rewriting_keeps_the_bytes(tmp_path):
    project = mage_project(tmp_path)
    path = project / "pipelines" / "etl" / "metadata.yaml"
    before = path.read_bytes()
    assert spellbook("rewrite", str(project), "etl", cwd=tmp_path).returncode == 0
    assert path.read_bytes() == before
    assert spellbook("rewrite", str(project), "etl", "--out", "copy.yaml", cwd=tmp_path).returncode == 0
    assert (tmp_path / "copy.yaml").read_bytes() == before
    path.write_text("blocks: [\n")
    assert spellbook("rewrite", str(project), "etl", cwd=tmp_path).returncode == 2


def test_findings_have_the_promised_shape(tmp_path):
    project = mage_project(tmp_path)
    ended = spellbook("validate", str(project), "etl", "--json", cwd=tmp_path)
    assert ended.returncode == 0, ended.stdout
    (pipeline,) = json.loads(ended.stdout)["pipelines"]
    assert pipeline["uuid"] == "etl"
    assert pipeline["ok"] is True
    (project / "data_loaders" / "load.py").write_text("def (:\n")
    ended = spellbook("validate", str(project), "--json", cwd=tmp_path)
    assert ended.returncode == 2
    (pipeline,) = json.loads(ended.stdout)["pipelines"]
    assert set(pipeline) == {"uuid", "ok", "findings"}
    found = pipeline["findings"][0]
    assert set(found) == {"code", "severity", "block", "message", "hint", "file", "line"}
    assert (found["severity"], found["block"], found["file"], found["line"]) == (
        "error",
        "load",
        "data_loaders/load.py",
        1,
    )
