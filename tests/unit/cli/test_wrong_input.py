"""Wrong words, names and paths are answered with what is meant, what there is, and the next step."""

from __future__ import annotations

import json
import sys

import pytest

from spellbook_core.cli.main import main
from tests.conftest import chain, make_project

SOURCE = "@data_loader\ndef load(*args, **kwargs):\n    return 1\n"


@pytest.fixture
def spellbook(tmp_path, monkeypatch, capsys):
    """The entry point in this process, in a workspace with the pipelines `main` and `monthly` of `demo`."""
    make_project(tmp_path, blocks={"load": SOURCE})
    make_project(tmp_path, blocks={"load": SOURCE}, pipeline="monthly")
    monkeypatch.delenv("SPELLBOOK_WORKSPACE", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["spellbook", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return call


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rum", "demo", "main"], "No such command 'rum'. Did you mean 'run'?"),
        (["frobnicate"], "No such command 'frobnicate'."),
        (["run", "demo"], "Do this: name a pipeline; `spellbook list demo` shows them."),
        (["run", "demo", "montly"], "did you mean 'monthly'? its pipelines are: main, monthly."),
        (["run", "demo", "__init__.py"], "has no pipeline '__init__.py'"),
        (["show", "demo", "mian"], "did you mean 'main'?"),
        (["validate", "demo", "mian"], "did you mean 'main'?"),
        (["show", "dmo", "main"], "did you mean 'demo'? the projects are: demo."),
        (["run", "demo", "main", "--block", "lod"], "did you mean 'load'? its blocks are: load."),
        (["runs", "--pipeline", "mian"], "did you mean 'main'? the pipelines are: main, monthly."),
        (["install", "demo", "--pipeline", "mian"], "did you mean 'main'?"),
        (["logs", "9"], "look for it in `spellbook runs`"),
        (["logs", "one"], "'one' is no number of a run; `spellbook runs` lists them."),
        (["cancel", "0"], "'0' is no number of a run"),
        (["start", "projects/dmeo"], "There is no folder projects/dmeo."),
        (["output", "demo", "main", "lod", "--to", "x.csv"], "did you mean 'load'?"),
    ],
)
def test_wrong_words_are_answered_with_what_is_meant(spellbook, arguments, told):
    status, out, err = spellbook(*arguments)
    assert (status, out) == (2, "")
    assert told in err
    assert "Traceback" not in err


def test_long_lists_of_names_are_cut(spellbook, tmp_path):
    make_project(tmp_path, blocks=chain(20), pipeline="long")
    _, _, err = spellbook("run", "demo", "long", "--block", "none_of_them")
    assert err.count(", ") == 11
    assert "and 8 more." in err


def test_hint_of_a_usage_error_is_in_the_json_too(spellbook):
    status, out, _ = spellbook("run", "demo", "--json")
    assert status == 2
    assert json.loads(out)["error"]["hint"] == "name a pipeline; `spellbook list demo` shows them."
    assert json.loads(spellbook("runs", "--pipeline", "mian", "--json")[1])["error"]["code"] == "SB-SYS-002"


def test_start_makes_nothing_where_the_path_may_be_mistyped(spellbook, tmp_path):
    spellbook("start", "projects/dmeo")
    assert not (tmp_path / "projects" / "dmeo").exists()


def test_doctor_tells_each_problem_on_a_line(spellbook, tmp_path):
    status, out, _ = spellbook("doctor", str(tmp_path / "none"))
    assert status == 0
    assert f"problems         There is no folder {tmp_path / 'none'}.\n" in out
