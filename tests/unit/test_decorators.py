from __future__ import annotations

import json
import subprocess
import sys

import pytest

import spellbook_core
from spellbook_core.decorators import callback, collecting, custom, transformer
from spellbook_core.decorators import test as block_test

LIGHT = "import spellbook_core, sys, json; print(json.dumps(sorted(sys.modules)))"


def test_decorator_returns_the_function_itself():
    def f() -> int:
        return 1

    assert transformer(f) is f
    assert transformer()(f) is f


def test_collecting_keeps_file_order_and_arguments():
    with collecting() as found:
        custom(len)
        callback("failure")(abs)
        block_test(max)
    assert [(entry.decorator, entry.arguments) for entry in found.found] == [
        ("custom", ()),
        ("callback", ("failure",)),
        ("test", ()),
    ]
    transformer(min)
    assert len(found.found) == 3


def test_inner_function_counts_under_an_own_decorator():
    with collecting() as found:

        @lambda function: lambda: None
        @custom
        def inner() -> int:
            return 5

    assert found.of("custom")[0].function() == 5


def test_public_names_are_few_and_lazy():
    assert len(spellbook_core.__all__) <= 20
    assert spellbook_core.__all__ == sorted(spellbook_core.__all__)
    assert spellbook_core.custom is custom
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = spellbook_core.nothing


def test_import_loads_nothing_heavy():
    answer = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert not {"pandas", "torch", "numpy", "streamlit", "duckdb", "pyarrow"} & set(json.loads(answer.stdout))
