from __future__ import annotations

import pytest

from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.output import ArtifactRef, OutputInfo, OutputKind
from spellbook_core.model.task import BlockInput, BlockTask
from spellbook_core.worker.arguments import MAX_OUTPUTS, bind, spread, system_keywords
from spellbook_core.worker.call import call_block
from spellbook_core.worker.failures import ParameterMismatchError


class MemoryArtifacts:
    """A store that keeps values in a list."""

    def __init__(self, *values: object) -> None:
        self.values = list(values)

    def put(self, value: object, *, index: int = 0, origin: str = "") -> OutputInfo:
        self.values.append(value)
        return info(len(self.values) - 1, index)

    def get(self, ref: ArtifactRef) -> object:
        return self.values[int(ref.digest)]


def info(place: int, index: int = 0) -> OutputInfo:
    return OutputInfo(index, ArtifactRef(str(place), "json"), OutputKind.JSON, "int", None, (), 1, "")


def task(*parents: int, source: str = "", **changes: object) -> BlockTask:
    """Return a task whose parents have the given numbers of outputs, numbered through."""
    place, inputs = 0, []
    for number, count in enumerate(parents):
        inputs.append(BlockInput(BlockUuid(f"p{number}"), tuple(info(place + n, n) for n in range(count))))
        place += count
    values: dict[str, object] = {
        "run_id": 7,
        "block_run_id": 1,
        "attempt": 1,
        "workspace": "/w",
        "project": "demo",
        "project_root": "/w/projects/demo",
        "pipeline": "main",
        "block": "b",
        "block_type": "custom",
        "language": "python",
        "source": source,
        "source_path": "/w/projects/demo/custom/b.py",
        "inputs": tuple(inputs),
        "variables": {"rate": 0.5},
        "configuration": {},
        "execution_date": "2026-01-05T02:00:00.000000Z",
        "trigger": "manual",
    }
    return BlockTask(**{**values, **changes})


def read(made: BlockTask) -> list[list[object]]:
    return [[f"v{output.artifact.digest}" for output in entry.outputs] for entry in made.inputs]


@pytest.mark.parametrize(
    ("parents", "function", "arguments"),
    [
        ((), lambda *a, **k: 0, []),
        ((1,), lambda data, *a, **k: 0, ["v0"]),
        ((1, 2), lambda a, b: 0, ["v0", ["v1", "v2"]]),
        ((0,), lambda data: 0, [None]),
        ((1, 1), lambda *a: 0, ["v0", "v1"]),
        ((2,), lambda a, b: 0, ["v0", "v1"]),
        ((1,), lambda: 0, []),
        ((1,), lambda **k: 0, []),
        ((1,), lambda data, rate: 0, ["v0"]),
        ((1,), lambda data, limit=3: 0, ["v0"]),
    ],
)
def test_one_argument_per_parent(parents, function, arguments):
    made = task(*parents)
    assert bind(function, made, {"rate": 0.5}, lambda: read(made))[0] == arguments


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda data: 0, {}),
        (lambda data, rate: 0, {"rate": 0.5}),
        (lambda data, *, rate: 0, {"rate": 0.5}),
        (lambda data, rate=1: 0, {"rate": 0.5}),
        (lambda data, **k: 0, {"rate": 0.5, "env": "prod"}),
        (lambda rate, **k: 0, {"env": "prod"}),
    ],
)
def test_keywords_only_where_taken(function, named):
    made = task(1)
    assert bind(function, made, {"rate": 0.5, "env": "prod"}, lambda: read(made))[1] == named


@pytest.mark.parametrize(
    ("parents", "function", "words"),
    [
        ((1, 1, 1), lambda a, b: 0, "has 3 parents, but its function '<lambda>' takes 2 positional arguments"),
        ((), lambda data: 0, "has 0 parents, but its function '<lambda>' takes 1 positional argument"),
        ((1,), lambda a, b, *c: 0, "has 1 parent, but its function '<lambda>' takes at least 2 positional arguments"),
    ],
)
def test_mismatch_is_told_before_the_call(parents, function, words):
    made = task(*parents)
    with pytest.raises(ParameterMismatchError, match=words):
        bind(function, made, {}, lambda: read(made))


def test_returned_list_is_spread_as_in_mage():
    assert spread(None) == []
    assert spread((1, 2)) == [1, 2]
    assert spread([1, None]) == [1, None]
    assert spread({"a": 1}) == [{"a": 1}]
    assert spread([]) == [[]]
    long = list(range(MAX_OUTPUTS + 1))
    assert spread(long) == [long]


def test_system_keywords_are_mages():
    found = system_keywords(task())
    assert found["execution_date"].tzinfo is not None
    assert (found["ds"], found["hr"], found["env"], found["rate"]) == ("2026-01-05", "02", "prod", 0.5)
    assert found["block_uuid"] == "b"
    assert system_keywords(task(trigger="notebook"))["env"] == "dev"


def test_async_and_generator_functions_are_consumed():
    store = MemoryArtifacts()
    source = "@custom\nasync def f(*args, **kwargs):\n    return 5\n"
    assert call_block(task(source=source), store).error is None
    source = "@custom\ndef f(*args, **kwargs):\n    yield 6\n    yield 7\n"
    assert len(call_block(task(source=source), store).outputs) == 2
    assert store.values == [5, 6, 7]


def test_missing_decorator_names_what_there_is():
    result = call_block(task(source="@transformer\ndef f(x): pass\n"), MemoryArtifacts())
    assert result.error.code == "SB-WRK-003"
    assert "has no function decorated with @custom; it has @transformer" in result.error.message


def test_first_decorated_function_runs():
    store = MemoryArtifacts()
    call_block(task(source="@custom\ndef a(): return 1\n@custom\ndef b(): return 2\n"), store)
    assert store.values == [1]
