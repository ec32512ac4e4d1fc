"""One run's page: states, the chosen block's logs, failure, code and tests."""

from __future__ import annotations

import json

import pytest

from spellbook_core.model.outcome import ErrorReport
from spellbook_core.model.run import NewRun, Status
from spellbook_core.services import runs
from tests.conftest import LOADER, PASS_ON, chain, make_project
from tests.ui.conftest import texts


@pytest.mark.parametrize("ident", ["999", "", "-1", "abc", "٣", "9" * 40])
def test_unknown_run_is_not_found(open_screen, tmp_path, ident):
    make_project(tmp_path)
    app = open_screen("run", id=ident)
    assert "Run not found" in texts(app)
    assert not app.exception


def test_address_without_a_project_shows_the_run_among_its_own(open_screen, tmp_path, seed_run):
    make_project(tmp_path, name="a_first")
    make_project(tmp_path, name="demo", blocks=chain(1))
    ident = seed_run("demo", "main", ["b0"])
    app = open_screen("run", id=str(ident))
    assert not app.exception
    assert app.selectbox(key="project_switch").value == "demo"


def test_commands_in_a_hint_are_shown_as_code(open_screen, tmp_path, seed_run):
    make_project(tmp_path, blocks=chain(1))
    error = ErrorReport("SB-WRK-001", "no module", "run `spellbook install demo 'x'`, or [mend](http://y) it", {})
    ident = seed_run("demo", "main", ["b0"], failed="b0", error=error)
    said = next(word.value for word in open_screen("run", id=str(ident)).markdown if word.value.startswith("Do this"))
    assert "`spellbook install demo 'x'`" in said
    assert "[mend]" not in said


def test_failed_run_shows_the_exception_and_the_users_frame(open_screen, tmp_path, seed_run):
    make_project(tmp_path, blocks=chain(2))
    ident = seed_run("demo", "main", ["b0", "b1"], failed="b1")
    app = open_screen("run", id=str(ident))
    shown = [code.value for code in app.code]
    assert "ValueError: bad <img src=x onerror=alert(1)>" in shown
    assert any("transformers/b.py:3 in work" in code for code in shown)
    assert not any("Traceback" in code for code in shown)
    assert any("**b1** failed: `ValueError: bad" in told.value for told in app.markdown), "below the title too"
    assert any("1 of 2 blocks completed" in told.value for told in app.caption)


def test_full_traceback_is_behind_a_toggle(open_screen, tmp_path, seed_run):
    make_project(tmp_path, blocks=chain(1))
    ident = seed_run("demo", "main", ["b0"], failed="b0")
    app = open_screen("run", id=str(ident))
    toggle = next(toggle for toggle in app.toggle if toggle.key.startswith("traceback_"))
    toggle.set_value(True).run()
    assert any("Traceback" in code.value for code in app.code)


def test_log_lines_are_searched_and_filtered(open_screen, tmp_path, seed_run, context):
    make_project(tmp_path, blocks=chain(1))
    ident = seed_run("demo", "main", ["b0"])
    block_run = runs.block_runs(context, ident)[0]
    folder = runs.attempt_dir(context, block_run)
    folder.mkdir(parents=True)
    lines = [("info", "alpha"), ("error", "beta"), ("info", "![x](http://127.0.0.1:9)")]
    (folder / "log.jsonl").write_text(
        "".join(
            json.dumps({"t": 1.5 + n, "s": "stdout", "l": level, "m": m}) + "\n" for n, (level, m) in enumerate(lines)
        )
    )
    app = open_screen("run", id=str(ident), block="b0")
    assert "alpha" in app.code[0].value
    assert "![x](http://127.0.0.1:9)" in app.code[0].value
    app.text_input(key=f"log_search_{block_run.id}").set_value("BETA").run()
    assert app.code[0].value.endswith("ERROR   beta")


def test_code_tab_shows_what_changed_since(open_screen, tmp_path, seed_run):
    project = make_project(tmp_path, blocks=chain(1))
    ident = seed_run("demo", "main", ["b0"])
    (project / "data_loaders/b0.py").write_text("# changed\n")
    app = open_screen("run", id=str(ident), block="b0", tab="Code")
    assert "-# b0" in app.code[0].value
    assert "+# changed" in app.code[0].value


def test_run_of_a_deleted_pipeline_still_opens(open_screen, tmp_path, seed_run):
    make_project(tmp_path)
    ident = seed_run("demo", "gone", ["a", "b"])
    app = open_screen("run", id=str(ident), block="a", tab="Code")
    assert not app.exception
    assert "our fault" not in texts(app)
    assert "no longer there" in texts(app)


def test_tables_inside_a_dict_are_shown_one_by_one(open_screen, tmp_path, context, seed_run):
    import pandas as pd

    make_project(tmp_path, blocks=chain(1))
    import numpy as np

    train, weights = pd.DataFrame({"age": [1, 2, 3]}), np.ones((300, 2))
    stored = context.artifacts.put({"train": train, "weights": weights, "note": "x"})
    ident = seed_run("demo", "main", ["b0"], outputs=(stored,))
    app = open_screen("run", id=str(ident), block="b0", tab="Outputs")
    assert "dict of 3 with 1 table and 1 array" in texts(app)
    [chips] = [group for group in app.button_group if group.key.startswith("output_")]
    assert len(chips.options) == 3
    assert "train" in chips.options[1]
    chips.set_value("output_0['train']").run()
    assert not app.exception
    assert app.dataframe[-1].value["age"].tolist() == [1, 2, 3]
    [chips] = [group for group in app.button_group if group.key.startswith("output_")]
    chips.set_value("output_0['weights']").run()
    assert app.dataframe[-1].value.shape == (100, 2)
    assert "The first 100 of 300 rows." in texts(app)


@pytest.mark.parametrize("tab", ["Logs", "Outputs", "Metrics", "Code", "Tests"])
def test_every_tab_draws_for_a_running_block(open_screen, tmp_path, seed_run, tab):
    make_project(tmp_path, blocks=chain(2))
    ident = seed_run("demo", "main", ["b0", "b1"], ended=False)
    app = open_screen("run", id=str(ident), block="b0", tab=tab)
    assert not app.exception
    assert "our fault" not in texts(app)
    assert app.button(key=f"cancel_{ident}")


def test_failed_run_offers_to_retry_what_is_missing(open_screen, tmp_path, context, seed_run):
    make_project(tmp_path, blocks=chain(2))
    failed = seed_run("demo", "main", ["b0", "b1"], failed="b1")
    done = seed_run("demo", "main", ["b0", "b1"])
    app = open_screen("run", id=str(failed))
    assert f"retry_{failed}" in {button.key for button in app.button}
    app = open_screen("run", id=str(done))
    assert f"retry_{done}" not in {button.key for button in app.button}


def test_acts_of_the_run_page_start_the_runs_that_they_name(open_screen, tmp_path, context, monkeypatch):
    """Retry from failed, Retry from this block, As it was, With today's code: each button, as a run that ended."""
    from spellbook_core.engine.runner import Runner
    from spellbook_core.executors.inline import InlineExecutor

    def ask(ctx, new):
        return context.store.create_run(new, now=context.clock.now())

    def run_what_was_asked():
        """Here, not in the page's thread: a block's process is its main thread."""
        executor = InlineExecutor()
        told = (context.workspace, context.store, executor, context.clock, context.settings)
        runner = Runner(*told, lambda event: None)
        runner.take_new()
        while not runner.is_idle:
            runner.on_executor()
        runner.close()
        executor.close()

    make_project(tmp_path, blocks={"load": LOADER, "change": PASS_ON.replace("return data", "raise ValueError('bad')")})
    monkeypatch.setattr(runs, "start", ask)
    first = ask(context, NewRun("demo", "main", "manual", variables={"rows": 3}))
    run_what_was_asked()
    acts = {
        "retry_": ("completed", "now", None, [True, False]),
        "retry_from_": ("above", "now", "load", [False, False]),
        "as_it_was_": ("nothing", "then", None, [False, False]),
        "again_": ("nothing", "now", None, [False, False]),
    }
    for key, (share, code, start, reused) in acts.items():
        app = open_screen("run", id=str(first.id), block="load")
        app.button(key=f"{key}{first.id}").click().run()
        assert not app.exception
        run_what_was_asked()
        newest = runs.list_runs(context).runs[0]
        assert newest.status is Status.FAILED
        assert (newest.again.share, newest.again.code, newest.again.start) == (share, code, start)
        assert (newest.again.run_id, newest.variables) == (first.id, {"rows": 3})
        assert [found.reused for found in runs.block_runs(context, newest.id)] == reused
    assert len(runs.list_runs(context).runs) == 5
    app = open_screen("run", id=str(newest.id))
    assert "with the code of its start" in texts(app)
