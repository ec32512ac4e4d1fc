"""What runs again and what does not, with real processes: user code appends a line to a file each time it executes."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest

from spellbook_core.engine.plan import NothingToRunError
from spellbook_core.engine.policy import BadCacheSettingError
from spellbook_core.model.run import Code, NewRun, Selection, Share, Status, Upstream
from spellbook_core.model.staleness import Freshness
from spellbook_core.services import code_then, engines, retries, runs
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, FrozenClock, make_project, wait_until

LOAD = """
import pathlib
from demo.utils.trace import executed

@data_loader
def load(*args, **kwargs):
    executed('load')
    return [1, 2, 3]
"""
DOUBLE = """
from demo.utils.trace import executed
from demo.utils.variables import FACTOR

@transformer
def double(*numbers, **kwargs):
    executed('double')
    return [number * FACTOR for number in numbers]
"""
TRAIN = """
from spellbook_core import log_metric
from demo.utils.trace import executed

@custom
def train(*numbers, **kwargs):
    executed('train')
    print('training')
    log_metric('loss', 0.5)
    return {'sum': sum(numbers[0]), 'epochs': kwargs.get('epochs')}
"""
EXPORT = """
from demo.utils.trace import executed

@data_exporter
def export(result, *args, **kwargs):
    executed('export')
"""
TRACE = """
import pathlib

def executed(name):
    with (pathlib.Path(__file__).parents[1] / 'executed.txt').open('a') as file:
        file.write(name + ' ')
"""
VARIABLES = "FACTOR = 2\nEPOCHS = 3\n"
BLOCKS = {
    "load": BlockFile(LOAD, "data_loader"),
    "double": BlockFile(DOUBLE, "transformer", ("load",)),
    "train": BlockFile(TRAIN, "custom", ("double",)),
    "export": BlockFile(EXPORT, "data_exporter", ("train",)),
}
NEW = NewRun("demo", "main", "manual")


class Place:
    """A project, its context, and what has executed since the last look."""

    def __init__(self, root):
        self.root = root
        self.make()
        self.ctx = open_context(root)

    def make(self, settings=None, **changes):
        blocks = {
            name: BlockFile(block.source, block.type, block.parents, {"configuration": (settings or {}).get(name, {})})
            for name, block in BLOCKS.items()
        }
        files = {"utils/__init__.py": "", "utils/trace.py": TRACE, "utils/variables.py": VARIABLES}
        self.project = make_project(
            self.root, **{"blocks": blocks, "variables": {"epochs": 3}, "files": files, **changes}
        )

    def executed(self) -> str:
        path = self.project / "executed.txt"
        text = path.read_text() if path.exists() else ""
        path.unlink(missing_ok=True)
        return text.strip()

    def run(self, **selection) -> dict[str, object]:
        """Run in this process; return block -> block run."""
        new = NewRun("demo", "main", "cli", Selection(**selection))
        ended = runs.run_here(self.ctx, new, lambda event: None)
        found = {block_run.block: block_run for block_run in runs.block_runs(self.ctx, ended.id)}
        assert ended.status is Status.COMPLETED, found
        return found

    def edit(self, relative: str, old: str, new: str) -> None:
        path = self.project / relative
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def states(self):
        return runs.staleness(self.ctx, "demo", "main")


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    yield made
    engines.stop(made.ctx)
    made.ctx.close()


@pytest.fixture
def ran(place):
    """A place whose whole pipeline has just executed."""
    place.run()
    assert place.executed() == "load double train export"
    return place


def test_unchanged_blocks_are_reused(ran):
    found = ran.run()
    assert ran.executed() == "load export"
    assert [name for name, block_run in found.items() if block_run.reused] == ["double", "train"]
    train = found["train"]
    assert (train.status, train.attempt) == (Status.COMPLETED, 0)
    assert train.reason.startswith("unchanged since run 1, ")
    assert train.outputs == runs.block_runs(ran.ctx, 1)[2].outputs
    assert not ran.ctx.workspace.attempt_dir(train.run_id, train.id, 1).joinpath("outcome.json").exists()


def test_reused_block_shows_log_and_curves_of_its_execution(ran):
    train = ran.run()["train"]
    assert [line.text for line in runs.log(ran.ctx, train).lines] == ["training"]
    assert [value for _, value, _ in runs.metrics(ran.ctx, train).series["loss"]] == [0.5]


def test_reason_names_the_run_that_executed(ran):
    ran.run()
    third = ran.run()["train"]
    assert third.reason.startswith("unchanged since run 1,")
    assert third.reused_from == runs.block_runs(ran.ctx, 1)[2].id


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("@custom\ndef", "@custom  # trains\n\n\ndef"),
        ("    print(", "    '''Train.'''\n    print("),
        ("executed('train')", 'executed("train")'),
    ],
)
def test_edit_without_meaning_is_reused(ran, old, new):
    ran.edit("custom/train.py", old, new)
    assert ran.states()["train"].state is Freshness.FRESH
    ran.run()
    assert ran.executed() == "load export"


def test_edited_code_runs(ran):
    ran.edit("custom/train.py", "sum(numbers[0])", "sum(numbers[0]) + 1")
    assert ran.states()["train"].reasons == ("its code changed",)
    assert ran.states()["export"].reasons == ("'train' is stale",)
    assert ran.states()["double"].state is Freshness.FRESH
    ran.run()
    assert ran.executed() == "load train export"


def test_edited_module_makes_its_readers_stale_and_says_which_name(ran):
    ran.edit("utils/variables.py", "FACTOR = 2", "FACTOR = 3")
    states = ran.states()
    assert states["double"].reasons == ("utils/variables.py changed: FACTOR",)
    assert states["double"].since is not None
    assert states["train"].reasons == ("'double' is stale",)
    assert states["load"].state is Freshness.FRESH
    ran.run()
    assert ran.executed() == "load double train export"
    assert {state.state for state in ran.states().values()} == {Freshness.FRESH}


def test_equal_result_stops_the_wave(ran):
    ran.edit("transformers/double.py", "number * FACTOR", "FACTOR * number")
    assert ran.states()["train"].reasons == ("'double' is stale",)
    ran.run()
    assert ran.executed() == "load double export"


def test_undone_edit_finds_its_output_again(ran):
    ran.edit("custom/train.py", "sum(numbers[0])", "sum(numbers[0]) + 1")
    ran.run()
    ran.executed()
    ran.edit("custom/train.py", "sum(numbers[0]) + 1", "sum(numbers[0])")
    assert ran.states()["train"].reasons == ("its code changed",)
    assert ran.run()["train"].reason.startswith("unchanged since run 1,")
    assert ran.executed() == "load export"
    assert ran.states()["train"].state is Freshness.FRESH


def test_changed_variable_reaches_only_blocks_that_read_it(ran):
    ran.make(variables={"epochs": 4})
    states = ran.states()
    assert states["train"].reasons == ("variable epochs changed",)
    assert states["double"].state is Freshness.FRESH
    ran.run()
    assert ran.executed() == "load train export"


def test_changed_secret_reaches_only_blocks_that_name_it(place):
    reads = DOUBLE.replace(
        "    executed(", "    from spellbook_core import secret\n    secret('API_KEY')\n    executed("
    )
    place.make(blocks={**BLOCKS, "double": BlockFile(reads, "transformer", ("load",))})
    (place.project / ".env").write_text("API_KEY=the first one\n")
    place.run()
    place.executed()
    place.run()
    assert place.executed() == "load export"
    (place.project / ".env").write_text("API_KEY=the second one\n")
    states = place.states()
    assert states["double"].reasons == ("environment changed: secret API_KEY",)
    assert states["load"].state is Freshness.FRESH
    place.run()
    assert place.executed() == "load double export", "train got the same numbers"
    told = b"".join(path.read_bytes() for path in place.ctx.workspace.state_dir.glob("state.db*"))
    assert b"second one" not in told


@pytest.mark.parametrize(
    ("reading", "settings", "told"),
    [
        ("import os; os.environ['MODE']", {}, "variable MODE"),
        (
            "import os; os.environ['KIND']",
            {"env": {"KIND": "{{ env_var('MODE') }}"}},
            "variable MODE",
        ),
        ("import os; os.environ['KIND']", {"env": {"KIND": "{{ secret('word') }}"}}, "secret word"),
    ],
)
def test_changed_environment_reaches_only_blocks_that_read_it(place, monkeypatch, reading, settings, told):
    source = DOUBLE.replace("    executed(", f"    {reading}\n    executed(")
    block = BlockFile(source, "transformer", ("load",), {"configuration": settings})
    place.make(blocks={**BLOCKS, "double": block})
    (place.project / ".env").write_text("word=the first one\n")
    monkeypatch.setenv("MODE", "dev")
    place.run()
    place.run()
    assert place.executed() == "load double train export load export"
    (place.project / ".env").write_text("word=the second one\n")
    monkeypatch.setenv("MODE", "prod")
    states = place.states()
    assert states["double"].reasons == (f"environment changed: {told}",)
    assert states["load"].state is Freshness.FRESH
    place.run()
    assert place.executed() == "load double export", "train got the same numbers"


def test_fresh_run_executes_everything(ran):
    found = ran.run(is_fresh=True)
    assert ran.executed() == "load double train export"
    assert not any(block_run.reused for block_run in found.values())


def test_chosen_block_always_executes(ran):
    ran.run(blocks=("train",))
    assert ran.executed() == "train"
    ran.run(blocks=("train",), upstream=Upstream.ALL)
    assert ran.executed() == "load train"


def test_cache_settings_decide(ran):
    ran.make({"load": {"cache": "always"}, "train": {"cache": "never"}, "export": {"cache": "1h"}})
    ran.run()
    assert ran.executed() == "train"


def test_output_older_than_its_ttl_runs(ran):
    ran.make({"load": {"cache": "30m"}, "double": {"cache": "2d"}})
    ran.run()
    assert ran.executed() == "export"
    clock = FrozenClock(ran.ctx.clock.now() + timedelta(hours=1))
    ran.ctx.clock = clock
    assert ran.states()["load"].reasons == ("its output is older than 30m",)
    ran.run()
    assert ran.executed() == "load export"


def test_unknown_cache_setting_is_refused(ran):
    ran.make({"train": {"cache": "sometimes"}})
    with pytest.raises(BadCacheSettingError, match="Block 'train': 'cache: sometimes' is not known"):
        ran.run()


def repeated(place, run_id):
    """Repeat a run as it was; return block -> block run."""
    new = retries.repeat_of(place.ctx, run_id, share=Share.NOTHING, code=Code.THEN)
    ended = runs.run_here(place.ctx, new, lambda event: None)
    return ended.status, {found.block: found for found in runs.block_runs(place.ctx, ended.id)}


@pytest.mark.guarantee("F17")
def test_run_as_it_was_imports_the_modules_of_then(ran):
    then = ran.run(is_fresh=True)
    assert ran.executed() == "load double train export"
    (ran.project / "utils/variables.py").unlink()
    ran.edit("utils/trace.py", "name + ' '", "name + '! '")
    assert code_then.modules_written_since(ran.ctx, 2) == ()
    status, again = repeated(ran, 2)
    assert (status, ran.executed()) == (Status.COMPLETED, "load double train export"), "the texts of then"
    assert again["double"].outputs == then["double"].outputs

    (ran.project / "utils/variables.py").write_text(VARIABLES.replace("FACTOR = 2", "FACTOR = 3"))
    assert "utils/variables.py changed: FACTOR" in " ".join(ran.states()["double"].reasons)
    assert ran.run()["double"].outputs != then["double"].outputs, "nothing of then passes for today's"
    assert ran.executed() == "load! double! train! export!"

    status, third = repeated(ran, 4)
    assert [name for name, found in third.items() if found.reused] == ["double", "train"]
    _, fourth = repeated(ran, 1)
    assert fourth["double"].outputs == then["double"].outputs
    assert [name for name, found in fourth.items() if found.reused] == ["double", "train"], "of the runs of then"


def test_modules_that_a_run_did_not_keep_are_named_before_it_runs_as_it_was(ran):
    ran.run()
    ran.edit("utils/variables.py", "FACTOR = 2", "FACTOR = 3")
    for run_id in (1, 2):
        assert code_then.modules_written_since(ran.ctx, run_id) == ()
        ran.ctx.workspace.modules_file(run_id).unlink()
    assert code_then.modules_written_since(ran.ctx, 1) == ("utils/variables.py",)
    found = code_then.modules_written_since(ran.ctx, 2)
    assert found == ("utils/variables.py",), "run 2 reused what run 1 made with it"
    assert code_then.sentence(2, found).startswith("utils/variables.py has been written since run 2:")
    (ran.project / "utils/variables.py").unlink()
    assert code_then.modules_written_since(ran.ctx, 1) == ("utils/variables.py",)


def test_removed_output_is_made_again(ran):
    (output,) = runs.latest_outputs(ran.ctx, "demo", "main")["train"].outputs
    shutil.rmtree(ran.ctx.artifacts.folder(output.artifact))
    assert ran.states()["train"].reasons == ("its output was removed",)
    ran.run()
    assert ran.executed() == "load train export"


def test_failed_block_is_never_reused(ran):
    ran.edit("custom/train.py", "log_metric('loss', 0.5)", "raise ValueError('bad')")
    for _ in range(2):
        ended = runs.run_here(ran.ctx, NEW, lambda event: None)
        assert ended.status is Status.FAILED
        assert ran.executed() == "load train"
    assert ran.states()["train"].reasons == ("its code changed",)


def test_block_that_looks_at_the_date_runs_in_every_run(ran):
    ran.edit("custom/train.py", "'epochs': kwargs.get('epochs')", "'at': str(kwargs['execution_date'])")
    ran.run()
    ran.executed()
    assert ran.states()["train"].state is Freshness.FRESH
    ran.run()
    assert ran.executed() == "load train export"


def test_module_imported_by_name_counts(ran):
    ran.edit(
        "transformers/double.py", "from demo.utils.variables import FACTOR", "import importlib\nNAME = 'variables'"
    )
    ran.edit("transformers/double.py", "FACTOR", "importlib.import_module('demo.utils.' + NAME).FACTOR")
    ran.run()
    ran.executed()
    ran.run()
    assert ran.executed() == "load export"
    ran.edit("utils/variables.py", "FACTOR = 2", "FACTOR = 5")
    assert ran.states()["double"].reasons == ("utils/variables.py changed",)
    ran.run()
    assert ran.executed() == "load double train export"


def test_output_made_while_a_module_changed_is_not_trusted(ran):
    """Which of the two texts the block has read cannot be known."""
    change = "    import pathlib\n    path = pathlib.Path(__file__).parents[1] / 'utils/variables.py'\n"
    ran.edit("transformers/double.py", "    return", change + "    path.write_text('FACTOR = 9')\n    return")
    ran.run()
    ran.executed()
    assert ran.states()["double"].reasons == ("it is not known what its output was made from",)
    ran.run()
    assert ran.executed() == "load double train export"


def test_run_stale_runs_nothing_else(ran):
    with pytest.raises(NothingToRunError, match="up to date"):
        runs.run_stale(ran.ctx, "demo", "main")
    ran.edit("transformers/double.py", "number * FACTOR", "FACTOR * number")
    started = runs.run_stale(ran.ctx, "demo", "main")
    wait_until(lambda: runs.get(ran.ctx, started.id).status.is_terminal, 60, what="the run ends")
    assert ran.executed() == "double export"
    assert runs.get(ran.ctx, started.id).status is Status.COMPLETED


def test_run_with_stale_upstream_leaves_fresh_ancestors(ran):
    ran.edit("transformers/double.py", "number * FACTOR", "number * FACTOR + [1]")
    started = runs.run_block(ran.ctx, "demo", "main", "export", upstream=Upstream.STALE)
    wait_until(lambda: runs.get(ran.ctx, started.id).status.is_terminal, 60, what="the run ends")
    assert ran.executed() == "double train export"


def test_never_run_block_says_so(place):
    assert {state.state for state in place.states().values()} == {Freshness.NEVER_RUN}
    place.run(blocks=("load",))
    states = place.states()
    assert (states["load"].state, states["double"].state) == (Freshness.FRESH, Freshness.NEVER_RUN)
    assert states["load"].age(place.ctx.clock.now()) < timedelta(minutes=5)
