"""Odd but real mage projects: every command takes each of them, and says plainly what speaks against a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from spellbook_core.cli.main import main

SPELLBOOK = str(Path(sys.executable).with_name("spellbook"))
LOADER = "@data_loader\ndef load(*args, **kwargs):\n    return 1\n"
ADD = "@transformer\ndef add(x, *args, **kwargs):\n    return x + 1\n"


def in_a_process(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SPELLBOOK_")}
    command = [SPELLBOOK, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=kept, check=False)


@pytest.fixture
def spellbook(monkeypatch, capsys):
    """The real entry point in this process, for commands that run no block: as a process it takes 0.5 s each."""

    def call(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "argv", ["spellbook", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(sys.argv, int(end.value.code or 0), out, err)

    return call


def entry(uuid, kind, parents=(), **more):
    plain = {"name": uuid, "type": kind, "uuid": uuid, "upstream_blocks": list(parents), "downstream_blocks": []}
    return {**plain, "language": "python", **more}


def project_of(root: Path, document, files, *, pipeline="main", text=None):
    """A project in mage's own shape: the folder that is served is the project."""
    folder = root / "shop"
    place = folder / "pipelines" / pipeline
    place.mkdir(parents=True)
    (folder / "metadata.yaml").write_text("project_type: standalone\nvariables_dir: ~/.mage_data\n")
    (folder / "__init__.py").touch()
    content = (
        text if text is not None else yaml.safe_dump({"name": pipeline, "type": "python", "uuid": pipeline, **document})
    )
    (place / "metadata.yaml").write_text(content, encoding="utf-8")
    for name, source in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(source, bytes):
            (folder / name).write_bytes(source)
        else:
            (folder / name).write_text(source, encoding="utf-8")
    return folder


ORDERED = [entry("add", "transformer", ["load"]), entry("load", "data_loader")]
PLAIN = {"data_loaders/load.py": LOADER, "transformers/add.py": ADD}
ODD = {
    "old entries without language": (
        {"blocks": [{k: v for k, v in each.items() if k != "language"} for each in reversed(ORDERED)]},
        PLAIN,
        [],
    ),
    "file order is not run order": ({"blocks": ORDERED}, PLAIN, []),
    "stub without blocks": (None, {}, []),
    "blocks in subfolders": (
        {"blocks": [entry("api/load", "data_loader"), entry("a/b/add", "transformer", ["api/load"])]},
        {"data_loaders/api/load.py": LOADER, "transformers/a/b/add.py": ADD},
        [],
    ),
    "file named in the configuration, with the project's folder": (
        {
            "blocks": [
                entry("load", "data_loader", configuration={"file_source": {"path": "shop/data_loaders/other.py"}}),
                entry("add", "transformer", ["load"], configuration={"file_path": "unit_3/shop/transformers/more.py"}),
            ]
        },
        {"data_loaders/other.py": LOADER, "transformers/more.py": ADD},
        [],
    ),
    "missing file": ({"blocks": ORDERED}, {"transformers/add.py": ADD}, ["SB-PRJ-012"]),
    "file that does not parse": (
        {"blocks": [entry("load", "data_loader")]},
        {"data_loaders/load.py": "@data_loader\ndef load(:\n"},
        ["SB-PRJ-010"],
    ),
    "markdown in a .py file": (
        {"blocks": [entry("load", "data_loader"), entry("notes", "markdown", language="markdown")]},
        {"data_loaders/load.py": "# Title\n\nSome *text*, not Python.\n", "markdowns/notes.md": "# Notes\n"},
        ["SB-PRJ-010"],
    ),
    "no UTF-8": (
        {"blocks": [entry("load", "data_loader")]},
        {"data_loaders/load.py": b"# caf\xe9\n" + LOADER.encode()},
        ["SB-PRJ-003"],
    ),
    "Korean names": (
        {"blocks": [entry("타이타닉_로드", "data_loader"), entry("정리", "transformer", ["타이타닉_로드"])]},
        {"data_loaders/타이타닉_로드.py": LOADER, "transformers/정리.py": ADD},
        [],
    ),
    "parent that is not there": ({"blocks": [entry("load", "data_loader", ["gone"])]}, PLAIN, []),
    "a cycle": (
        {"blocks": [entry("a", "transformer", ["b"]), entry("b", "transformer", ["a"])]},
        {"transformers/a.py": ADD, "transformers/b.py": ADD},
        ["SB-PIP-001"],
    ),
    "empty block lists": ({"blocks": [], "callbacks": None, "widgets": None, "conditionals": None}, {}, []),
    "unknown executor": ({"blocks": [entry("load", "data_loader", executor_type="local_python_force")]}, PLAIN, []),
    "unknown block type": ({"blocks": [entry("load", "data_loader"), entry("x", "hologram")]}, PLAIN, []),
}  # fmt: skip
STUB = "name: main\ntype: python\nuuid: main\n"


@pytest.fixture(params=ODD, ids=lambda name: name.replace(" ", "_"))
def odd(request, tmp_path):
    document, files, codes = ODD[request.param]
    return project_of(tmp_path, document, files, text=STUB if document is None else None), codes


def test_every_odd_project_is_checked_shown_and_kept(odd, tmp_path, spellbook):
    project, codes = odd
    path = project / "pipelines" / "main" / "metadata.yaml"
    before = path.read_bytes()
    checked = spellbook("validate", project, "main", "--json", cwd=tmp_path)
    assert checked.returncode == (2 if codes else 0), checked.stdout + checked.stderr
    (report,) = json.loads(checked.stdout)["pipelines"]
    errors = [each["code"] for each in report["findings"] if each["severity"] == "error"]
    assert errors == codes
    assert report["ok"] is not bool(codes)
    shown = spellbook("show", project, "main", "--json", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    entries = (yaml.safe_load(before) or {}).get("blocks") or []
    listed = json.loads(shown.stdout)
    assert [block["uuid"] for block in listed["blocks"]] == [each["uuid"] for each in entries]
    assert [block["language"] for block in listed["blocks"]] == [each.get("language", "python") for each in entries]
    assert spellbook("rewrite", project, "main", cwd=tmp_path).returncode == 0
    assert path.read_bytes() == before


def ended_run(project, cwd):
    ended = in_a_process("run", project, "main", "--json", cwd=cwd)
    return ended.returncode, json.loads(ended.stdout) if ended.stdout.strip() else ended.stderr


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("file order is not run order", {"load": "completed", "add": "completed"}),
        ("old entries without language", {"load": "completed", "add": "completed"}),
        ("blocks in subfolders", {"api/load": "completed", "a/b/add": "completed"}),
        ("file named in the configuration, with the project's folder", {"load": "completed", "add": "completed"}),
        ("Korean names", {"타이타닉_로드": "completed", "정리": "completed"}),
        ("unknown executor", {"load": "completed"}),
        ("parent that is not there", {"load": "completed"}),
        ("unknown block type", {"load": "completed"}),
        ("markdown in a .py file", {"load": "failed"}),
    ],
)
def test_odd_projects_run(name, blocks, tmp_path):
    document, files, _ = ODD[name]
    status, report = ended_run(project_of(tmp_path, document, files), tmp_path)
    assert {block["uuid"]: block["state"] for block in report["blocks"] if block["state"] != "initial"} == blocks
    assert status == (1 if "failed" in blocks.values() else 0)


@pytest.mark.parametrize("name", ["stub without blocks", "missing file", "a cycle"])
def test_projects_that_cannot_run_end_with_2(name, tmp_path):
    document, files, _ = ODD[name]
    project = project_of(tmp_path, document, files, text=STUB if document is None else None)
    ended = in_a_process("run", project, "main", "--json", cwd=tmp_path)
    assert ended.returncode == 2, ended.stdout
    assert "Traceback" not in ended.stderr


def test_links_that_stay_inside_are_followed(tmp_path, spellbook):
    project = project_of(tmp_path, {"blocks": [entry("load", "data_loader")]}, {"shared/real.py": LOADER})
    (project / "data_loaders").mkdir()
    (project / "data_loaders" / "load.py").symlink_to("../shared/real.py")
    (project / "pipelines" / "linked").symlink_to("main")
    assert spellbook("validate", project, "main", cwd=tmp_path).returncode == 0
    status, _ = ended_run(project, tmp_path)
    assert status == 0
    listed = json.loads(spellbook("list", project, "--json", cwd=tmp_path).stdout)
    assert {each["uuid"] for each in listed["projects"][0]["pipelines"]} == {"main", "linked"}


def test_links_that_leave_are_not_followed(tmp_path, spellbook):
    secret = tmp_path / "secret.py"
    secret.write_text(LOADER)
    project = project_of(tmp_path, {"blocks": [entry("load", "data_loader")]}, {})
    (project / "data_loaders").mkdir()
    (project / "data_loaders" / "load.py").symlink_to(secret)
    checked = spellbook("validate", project, "main", "--json", cwd=tmp_path)
    assert checked.returncode == 2
    assert "SB-PRJ-002" in checked.stdout


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("blocks:\n- uuid: no\n  type: data_loader\n  name: x\n", 2),
        ("blocks:\n- uuid: 12:30\n  type: data_loader\n  name: x\n", 2),
        ("blocks:\n- uuid: 010\n  type: data_loader\n  name: x\n", 2),
        ("blocks:\n- uuid: a\n  type: transformer\n  upstream_blocks:\n  - yes\n", 5),
    ],
)
def test_names_that_yaml_retypes_are_refused_with_their_line(text, line, tmp_path, spellbook):
    project = project_of(tmp_path, {}, {}, text=text)
    checked = spellbook("validate", project, "main", "--json", cwd=tmp_path)
    assert checked.returncode == 2
    (finding,) = json.loads(checked.stdout)["pipelines"][0]["findings"]
    assert (finding["code"], finding["line"]) == ("SB-PRJ-004", line)
    assert "quotes" in finding["hint"]


@pytest.mark.parametrize("folder", ["", "projects"])
def test_folder_of_projects_is_opened_and_nothing_is_executed(folder, tmp_path, spellbook):
    """`spellbook list` and `validate` of a folder that holds mage projects; importing any of its code would raise."""
    for name in ("one", "two"):
        root = tmp_path / folder / name
        (root / "pipelines" / "main").mkdir(parents=True)
        (root / "metadata.yaml").write_text("project_type: standalone\n")
        (root / "__init__.py").write_text("raise SystemExit('imported')\n")
        (root / "data_loaders").mkdir()
        (root / "data_loaders" / "load.py").write_text(f"raise SystemExit('executed')\n{LOADER}")
        document = {"uuid": "main", "name": "main", "type": "python", "blocks": [entry("load", "data_loader")]}
        (root / "pipelines" / "main" / "metadata.yaml").write_text(yaml.safe_dump(document))
    listed = spellbook("list", tmp_path, "--json", cwd=tmp_path)
    assert [each["name"] for each in json.loads(listed.stdout)["projects"]] == ["one", "two"]
    assert spellbook("validate", tmp_path, "--json", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("kind", ["streaming", "integration", "pyspark", "databricks"])
def test_kinds_that_do_not_run_here_say_so_and_are_kept(kind, tmp_path, spellbook):
    block = entry("load", "data_loader", language="yaml")
    project = project_of(
        tmp_path, {"type": kind, "blocks": [block]}, {"data_loaders/load.yaml": "connector_type: kafka\n"}
    )
    path = project / "pipelines" / "main" / "metadata.yaml"
    before = path.read_bytes()
    checked = spellbook("validate", project, "main", "--json", cwd=tmp_path)
    text = " ".join(each["message"] for each in json.loads(checked.stdout)["pipelines"][0]["findings"])
    assert f"'{kind}'" in text
    assert "not run here" in text
    assert in_a_process("run", project, "main", cwd=tmp_path).returncode == 2
    assert spellbook("rewrite", project, "main", cwd=tmp_path).returncode == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "shop", "none", "--json"], "SB-SYS-002"),
        (["validate", "nowhere", "--json"], "SB-SYS-002"),
        (["run", "shop", "../x", "--json"], "SB-SYS-001"),
        (["run", "shop", "main", "--var", "rows", "--json"], "SB-SYS-001"),
        (["run", "shop", "--json"], "usage"),
    ],
)
def test_error_is_one_json_object_where_json_was_asked_for(arguments, code, tmp_path, spellbook):
    project_of(tmp_path, {"blocks": []}, {})
    ended = spellbook(*arguments, cwd=tmp_path)
    assert ended.returncode == 2
    error = json.loads(ended.stdout)["error"]
    assert error["code"] == code
    assert error["message"] in ended.stderr
    assert error["hint"]


def test_json_has_no_number_that_json_lacks(tmp_path, spellbook):
    project = project_of(tmp_path, {"blocks": [], "variables": {"a": float("nan"), "b": [float("inf")], "c": 1.5}}, {})
    shown = spellbook("show", project, "main", "--json", cwd=tmp_path)
    assert json.loads(shown.stdout, parse_constant=pytest.fail)["variables"] == {"a": None, "b": [None], "c": 1.5}


def test_our_own_fault_ends_with_3(tmp_path, spellbook, monkeypatch):
    """A defect of ours is told apart from unusable input, and leaves its trace in a file."""
    from spellbook_core.services import pipelines

    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("a defect")

    project = project_of(tmp_path, {"blocks": ORDERED}, PLAIN)
    monkeypatch.setattr(pipelines, "load", broken)
    ended = spellbook("show", project, "main", cwd=tmp_path)
    assert ended.returncode == 3
    assert "ZeroDivisionError: a defect" in ended.stderr
    assert "trace is in" in ended.stderr
