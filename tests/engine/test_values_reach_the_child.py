"""Every kind of value that MAGE's contract names: stored, shown without running code, and equal in a child process."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import pytest

from spellbook_core.executors.process import ProcessExecutor
from spellbook_core.model.output import OutputKind
from spellbook_core.project.layout import Workspace
from spellbook_core.services import outputs
from spellbook_core.services.wiring import Context, open_context
from spellbook_core.settings import Settings
from tests.contract.executor_contract import Attempts

HEAD = """
import collections, dataclasses, datetime, decimal, enum, fractions, uuid
import numpy as np
import pandas as pd
import pyarrow as pa
class Colour(enum.Enum):
    RED = 1
@dataclasses.dataclass
class Point:
    x: int
    y: list
class Net:
    def __init__(self): self.w = np.ones(3)
    def __eq__(self, other): return type(other).__name__ == 'Net' and bool((self.w == other.w).all())
def network():
    import torch
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.ReLU())
def same(a, b):
    import torch
    if isinstance(a, pd.DataFrame): pd.testing.assert_frame_equal(a, b); return True
    if isinstance(a, pd.Series): pd.testing.assert_series_equal(a, b); return True
    if isinstance(a, pd.Index): pd.testing.assert_index_equal(a, b); return True
    if isinstance(a, np.ndarray): np.testing.assert_array_equal(a, b); return a.dtype == b.dtype
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype and a.requires_grad == b.requires_grad
    if isinstance(a, torch.nn.Module):
        return all(same(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    if type(a).__module__.startswith('polars'): return a.equals(b)
    if type(a).__module__.startswith('scipy'): return (a != b).nnz == 0
    if isinstance(a, float) and a != a: return b != b
    if dataclasses.is_dataclass(a): return dataclasses.asdict(a) == dataclasses.asdict(b)
    if isinstance(a, enum.Enum): return a.name == b.name
    return a == b and (type(a) is type(b) or type(a).__module__.startswith('spellbook_block'))
"""

VALUES = {
    "whole number": "41",
    "float that is none": "float('nan')",
    "text": "'가나다 ✨'",
    "bytes": "b'\\x00\\xff'",
    "date": "datetime.date(2026, 1, 5)",
    "moment": "datetime.datetime(2026, 1, 5, tzinfo=datetime.UTC)",
    "decimal": "decimal.Decimal('1.10')",
    "uuid": "uuid.UUID(int=7)",
    "set": "{1, 'a', (2, 3)}",
    "dict with odd keys": "{1: 'a', (2, 3): None, None: [1]}",
    "nested": "{'a': [{'b': (1, 2)}, None, True]}",
    "ordered": "collections.OrderedDict(b=1, a=2)",
    "enum": "Colour.RED",
    "dataclass": "Point(1, [2])",
    "own class": "Net()",
    "function": "{'f': same}['f'].__name__",
    "frame": "pd.DataFrame({'a': [1, 2], 'b': ['x', None]})",
    "frame of every dtype": (
        "pd.DataFrame({'i': pd.array([1, None], 'Int8'), 'c': pd.Categorical(['u', 'v'], ['v', 'u'], ordered=True), "
        "'t': pd.to_datetime(['2026-01-05', None]).tz_localize('Asia/Seoul'), 'd': pd.to_timedelta([1, 2], 's'), "
        "'p': pd.period_range('2026', periods=2, freq='M'), 'o': [{'k': 1}, [2]], 'z': [1 + 2j, 3]})"
    ),
    "frame with two indexes": "pd.DataFrame({'v': [1, 2]}, index=pd.MultiIndex.from_tuples([(1, 'a'), (2, 'b')]))",
    "frame with number columns": "pd.DataFrame(np.eye(2))",
    "empty frame": "pd.DataFrame({'a': pd.Series([], dtype='float32')})",
    "series": "pd.Series([1, 2], name='s', index=['x', 'y'])",
    "array": "np.arange(6, dtype='float32').reshape(2, 3)",
    "array of objects": "np.array([{'a': 1}, None], dtype=object)",
    "structured array": "np.array([(1, 2.5)], dtype=[('n', 'i4'), ('x', 'f8')])",
    "number of numpy": "np.float32(1.5)",
    "Arrow table": "pa.table({'a': [1, None]})",
    "polars frame": "__import__('polars').DataFrame({'a': [1, None], 'b': [[1], []]})",
    "sparse matrix": "__import__('scipy.sparse', fromlist=['x']).csr_matrix(np.eye(3))",
    "tensor": "__import__('torch').ones(2, 3)",
    "tensor that learns": "__import__('torch').ones(2, requires_grad=True)",
    "module": "network()",
    "dict of arrays": "{'x': np.ones(3), 'y': np.zeros((2, 2))}",
    "dict of frames": "{'train': pd.DataFrame({'a': [1]}), 'test': pd.DataFrame({'a': [2]})}",
    "dict of series and frame": "{('a', 1): pd.Series([1], name='s'), 2: pd.DataFrame({'a': ['x']}), 't': (1, 2)}",
    "list of frames in a dict": "{'parts': [pd.DataFrame({'a': [n]}) for n in range(3)], 'n': 3}",
    "nested frames": "{'b': {'x': [{'y': pd.DataFrame({'a': [1.5]})}]}, 'a': (pd.DataFrame({'b': [None]}), 'text')}",
    "frame that Arrow cannot hold": "{'odd': pd.DataFrame({'o': [{1}, 2j]}), 'even': pd.DataFrame({'a': [1]})}",
    "dict of large arrays": "{'x': np.arange(9000.0).reshape(3000, 3), 'y': np.zeros(5000, 'int8'), 's': np.ones(2)}",
    "dict of Arrow tables": "{'t': pa.table({'a': [1, None]}), 'd': datetime.date(2026, 1, 5)}",
    "dict of polars frames": "{'p': __import__('polars').DataFrame({'a': [1, None]}), 'q': [1]}",
    "dict of tensors": "{'w': __import__('torch').ones(2), 'b': __import__('torch').zeros(1)}",
    "dict of all": "{'frame': pd.DataFrame({'a': [1]}), 'array': np.ones(2), 'text': 'x', 'none': None}",
}
LIBRARIES = {"polars frame": "polars", "dict of polars frames": "polars", "sparse matrix": "scipy"}
IN_PARTS = {
    "dict of frames": ["['train']", "['test']"],
    "dict of all": ["['frame']"],
    "dict of series and frame": ["[('a', 1)]", "[2]"],
    "list of frames in a dict": ["['parts'][0]", "['parts'][1]", "['parts'][2]"],
    "nested frames": ["['b']['x'][0]['y']", "['a'][0]"],
    "frame that Arrow cannot hold": ["['odd']", "['even']"],
    "dict of large arrays": ["['x']", "['y']"],
    "dict of Arrow tables": ["['t']"],
    "dict of polars frames": ["['p']"],
}


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attempts]:
    workspace = Workspace.open(tmp_path_factory.mktemp("values"), create=True)
    workspace.ensure_state_dir()
    executor = ProcessExecutor(workspace, Settings())
    yield Attempts(workspace, executor)
    executor.close()


@pytest.fixture(scope="module")
def ctx(attempts: Attempts) -> Iterator[Context]:
    found = open_context(attempts.workspace.root)
    yield found
    found.close()


def body(text: str) -> str:
    return "@custom\ndef f(*args, **kwargs):\n" + textwrap.indent(textwrap.dedent(text).strip("\n"), "    ") + "\n"


@pytest.mark.parametrize("name", VALUES)
def test_value_reaches_the_child_exactly(attempts, ctx, name):
    if name in LIBRARIES:
        pytest.importorskip(LIBRARIES[name])
    value = VALUES[name]
    check = f"@custom\ndef f(value, **kwargs):\n    assert same({value}, value), value\n    return 'the same'\n"
    made, checked = attempts.chain(HEAD + body(f"return {value}"), HEAD + check, preload=("torch",))
    assert made.outcome.error is None, made.outcome.error
    assert checked.outcome.error is None, checked.outcome.error
    [output] = made.outcome.outputs
    shown = outputs.preview(ctx, output)
    assert shown.problem is None
    assert output.summary
    if outputs.has_rows(ctx, output):
        assert outputs.page(ctx, output).columns
    else:
        assert shown.text or shown.has_json or shown.layers or output.rows == 0, shown
    parts = outputs.parts(ctx, output)
    assert [place for place, _ in parts] == IN_PARTS.get(name, [])
    assert all(outputs.page(ctx, part).columns and part.summary for _, part in parts)


@pytest.mark.parametrize(
    "text",
    [
        "async def f(*args, **kwargs):\n    await asyncio.sleep(0)\n    return frames(), 2\n",
        "def f(*args, **kwargs):\n    yield frames()\n    yield 2\n",
        "async def f(*args, **kwargs):\n    yield frames()\n    yield 2\n",
        "def f(*args, **kwargs):\n    return [frames(), 2]\n",
    ],
    ids=["async function", "generator", "async generator", "list"],
)
def test_function_of_any_kind_hands_over_its_values(attempts, text):
    check = (
        "@custom\ndef f(values, **kwargs):\n"
        "    assert type(values) is list and values[1] == 2 and list(values[0]['a'].x) == [1], values\n"
    )
    head = "import asyncio, pandas\ndef frames():\n    return {'a': pandas.DataFrame({'x': [1]})}\n@custom\n"
    made, checked = attempts.chain(head + text, check)
    assert [output.name for output in made.outcome.outputs] == ["output_0", "output_1"]
    assert checked.outcome.error is None, checked.outcome.error


def test_several_values_and_none_reach_the_child(attempts):
    made = "@custom\ndef f(*args, **kwargs):\n    return 1, None, 'x'\n"
    check = "@custom\ndef f(values, **kwargs):\n    assert values == [1, None, 'x'], values\n"
    none = "@custom\ndef f(value, **kwargs):\n    assert value is None, value\n"
    first, second, third = attempts.chain(made, check, none)
    assert [one.outcome.error for one in (first, second, third)] == [None, None, None]


@pytest.mark.guarantee("F38")
@pytest.mark.parametrize(
    ("value", "place", "fix"),
    [
        ("{'a': [1, __import__('threading').Lock()]}", "['a'][1]", "leave it out"),
        ("__import__('socket').socket()", "socket", "open it in the block that needs it"),
        ("{'rows': (n for n in [1])}", "['rows']", "return list(...)"),
        ("[open('/dev/null'), 1]", "TextIOWrapper", "return what you read from it"),
        ("__import__('sqlite3').connect(':memory:')", "Connection", "return the rows"),
    ],
)
def test_what_cannot_be_kept_names_place_and_fix(attempts, value, place, fix):
    error = attempts.run(body(f"return {value}")).outcome.error
    assert error.code == "SB-ART-004"
    assert place in error.message
    assert fix in error.hint


@pytest.mark.guarantee("F39")
def test_preview_that_fails_leaves_the_block_completed(attempts, ctx):
    ended = attempts.run(
        body("""
        from PIL import Image
        class Broken(Image.Image):
            def copy(self): raise RuntimeError('no picture today')
        broken = Broken()
        broken.__dict__.update(Image.new('RGB', (2, 2)).__dict__)
        return broken
        """)
    )
    assert ended.outcome.error is None, ended.outcome.error
    [output] = ended.outcome.outputs
    assert output.kind is OutputKind.FIGURE
    assert outputs.preview(ctx, output).problem == "RuntimeError: no picture today"


@pytest.mark.guarantee("F39")
def test_representation_that_fails_leaves_the_block_completed(attempts, ctx):
    source = "class Odd:\n    def __repr__(self): raise ValueError('no words')\n"
    ended = attempts.run(source + body("return Odd(), [Odd()], {'a': Odd()}"))
    assert ended.outcome.error is None, ended.outcome.error
    for output in ended.outcome.outputs:
        assert "Odd instance" in repr(outputs.preview(ctx, output)) + output.summary


@pytest.mark.guarantee("F23")
def test_missing_module_of_a_value_is_named_to_the_child(attempts):
    folder = attempts.root / "utils"
    folder.mkdir()
    (folder / "boxes.py").write_text("class Box:\n    pass\n")
    made = attempts.run("from utils.boxes import Box\n" + body("return Box()"))
    (folder / "boxes.py").unlink()
    from spellbook_core.model.task import BlockInput

    inputs = (BlockInput("made", made.outcome.outputs),)
    error = attempts.run("@custom\ndef f(x, **kwargs):\n    return x\n", inputs=inputs).outcome.error
    assert error.code == "SB-ART-007"
    assert "utils.boxes" in error.message


@pytest.mark.guarantee("F39")
def test_columns_of_one_name_are_merged_or_refused(attempts):
    same = attempts.run(body("import pandas\nreturn pandas.DataFrame([[1, 1]], columns=['a', 'a'])"))
    [output] = same.outcome.outputs
    assert [column.name for column in output.columns] == ["a"]
    assert "merged into one: a" in output.warnings[0]
    other = attempts.run(body("import pandas\nreturn pandas.DataFrame([[1, 2]], columns=['a', 'a'])"))
    assert other.outcome.error.code == "SB-ART-006"
    assert "several columns named a" in other.outcome.error.message


@pytest.mark.guarantee("N32")
def test_prints_cannot_look_like_other_lines(attempts):
    ended = attempts.run(
        body(r"""
        print('real\x1b[2K\x1b[1Aforged \u202e reversed \u2028 next \x85 line')
        raise ValueError('first\nERROR second \x1b[31m \u2066')
        """)
    )
    assert ended.log[0]["m"] == r"realforged \u202e reversed \u2028 next \x85 line"
    assert all(not set(line["m"]) & set("\x1b\u202e\u2028\u2066\x85\n") for line in ended.log)
