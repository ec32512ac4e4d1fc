"""What counts as a change of a text of Python, and what a text asks of its surroundings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.project.sourcefacts import REST, ImportRef, facts_of

TEXT = '''"""Doubles."""
import pandas as pd
from utils.variables import FACTOR

LIMIT = 3


@transformer
def double(frame, *args, **kwargs):
    """Return it doubled."""
    return frame * FACTOR + kwargs.get("offset", 0)
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 3  # most rows"),
        ("LIMIT = 3", "LIMIT   =   3"),
        ("LIMIT = 3", "LIMIT = (\n    3\n)"),
        ('"""Doubles."""\n', ""),
        ('    """Return it doubled."""\n', ""),
        ('"offset"', "'offset'"),
        ("\n\n\n", "\n\n"),
        ("LIMIT = 3", 'LIMIT = 3\n"""Most rows."""'),
        ("\n", "\r\n"),
    ],
)
def test_layout_and_comments_do_not_count(old, new):
    assert old in TEXT
    assert facts_of(TEXT.replace(old, new)).digest == facts_of(TEXT).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 3.0"),
        ("LIMIT = 3", "LIMIT = True"),
        ("* FACTOR", "+ FACTOR"),
        ("frame, *args", "frame, other, *args"),
        ("pandas as pd", "pandas as p"),
        ("@transformer", "@custom"),
        ('"""Doubles."""', "print(1)"),
    ],
)
def test_change_of_meaning_counts(old, new):
    assert facts_of(TEXT.replace(old, new)).digest != facts_of(TEXT).digest


def test_docstring_counts_where_it_is_read():
    text = 'def f():\n    """One."""\n\nprint(f.__doc__)\n'
    assert facts_of(text).digest != facts_of(text.replace("One", "Two")).digest


def test_names_tell_what_changed():
    before, after = facts_of(TEXT).names, facts_of(TEXT.replace("LIMIT = 3", "LIMIT = 4")).names
    assert [name for name in before if before[name] != after[name]] == ["LIMIT"]
    assert set(before) == {"pd", "FACTOR", "LIMIT", "double"}
    assert set(facts_of("a, (b, *c) = f()\nfor x in y: pass\n").names) == {"a", "b", "c", REST}


def test_imports_are_found_wherever_they_are():
    text = (
        "import a.b\nfrom .c import d, e\nfrom .. import f\n"
        "def g():\n    from h import *\n    importlib.import_module('i.j')\n    __import__(name)\n"
    )
    assert facts_of(text).imports == {
        ImportRef(0, "a.b"),
        ImportRef(1, "c", ("d", "e")),
        ImportRef(2, "", ("f",)),
        ImportRef(0, "h", ("*",)),
        ImportRef(0, "i.j"),
    }


@pytest.mark.parametrize(
    ("body", "signature", "expected"),
    [
        ("return kwargs['a'] + kwargs.get('b', 1)", "*args, **kwargs", {"a", "b", "data"}),
        ("return data", "*args, **kwargs", {"data"}),
        ("return rows", "rows=3", {"data", "rows"}),
        ("return 1 if 'a' in kwargs else kwargs['a']", "**kwargs", {"a", "data"}),
        ("return help(**kwargs)", "**kwargs", None),
        ("return kwargs[name]", "**kwargs", None),
        ("return kwargs", "**kwargs", None),
        ("kwargs['a'] = 1", "**kwargs", None),
        ("return locals()", "**kwargs", None),
        ("return sys._getframe().f_locals", "**kwargs", None),
        ("return lambda: kwargs['a']", "**kwargs", {"a", "data"}),
    ],
)
def test_visible_keywords_are_those_that_are_named(body, signature, expected):
    facts = facts_of(f"@transformer\ndef f(data, {signature}):\n    {body}\n")
    assert facts.keywords == (None if expected is None else frozenset(expected))


def test_function_decorated_in_another_way_sees_everything():
    assert facts_of("def f(**kwargs):\n    pass\n\ntransformer(f)\n").keywords is None


@pytest.mark.parametrize(
    "text",
    [
        "def f(x, **kwargs):\n    return kwargs['a']\n\ntransformer(f)\n",
        "from utils.work import f\n\ntransformer(f)\n",
        "transformer(lambda x, **kwargs: kwargs['a'])\n",
        "from utils.logs import logged\n\n@transformer\n@logged\ndef f(x):\n    return x\n",
        "from utils.logs import logged\n\n@logged(level=1)\n@transformer\ndef f(x):\n    return x\n",
    ],
)
def test_function_that_something_else_wraps_sees_everything(text):
    """A test beside it says nothing about what the block itself, or what wraps it, is called with."""
    assert facts_of(f"{text}\n@test\ndef t(output):\n    pass\n").keywords is None


def test_what_only_hands_on_leaves_visible_what_a_function_names():
    text = "@transformer\n@torch.no_grad()\ndef f(x, rows=3):\n    return m.transformer(x)\n\n@test()\ndef t(y): pass\n"
    assert facts_of(text).keywords == {"x", "rows", "y"}
    assert facts_of(f"def custom(z):\n    return z\n\n{text}\ncustom(1)\n").keywords == {"x", "rows", "y"}


def test_tests_of_a_block_see_variables_too():
    text = "@transformer\ndef f(x):\n    return x\n\n@test\ndef t(x, *args, **kwargs):\n    assert kwargs['low'] < x\n"
    assert facts_of(text).keywords == {"x", "low"}


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("from spellbook_core import current_run\nx = current_run().execution_date", {"execution_date"}),
        ("import spellbook_core as s\nx = s.current_run().run_id", {"pipeline_run_id"}),
        ("from spellbook_core import current_run as run\nx = run()", {"pipeline_run_id"}),
        ("x = 1", set()),
        ("from mage_ai.data_preparation.variable_manager import get_global_variable", {"pipeline_run_id"}),
        ("from mage_ai.data_preparation import variable_manager as v", {"pipeline_run_id"}),
        ("from mage_ai.orchestration.triggers.api import trigger_pipeline", {"pipeline_run_id"}),
        ("from mage_ai.data_preparation.decorators import test", set()),
    ],
)
def test_facts_of_the_run_are_seen(text, asked):
    assert facts_of(text).asked == asked


@given(st.text(max_size=60))
def test_any_text_has_a_digest(text):
    assert len(facts_of(text).digest) == 32


@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), max_size=30))
def test_any_comment_is_ignored(comment):
    assert facts_of(f"x = 1  # {comment}\n").digest == facts_of("x = 1\n").digest
