"""What cannot be stored is refused with its type, its place in the value and what to do instead."""

from __future__ import annotations

import asyncio
import io
import pickle
import socket
import sqlite3
import threading

import duckdb
import pandas as pd
import pyarrow as pa
import pytest

from spellbook_core.artifacts.problems import UnstorableValueError


class Holder:
    """An object with one attribute."""

    def __init__(self, hook: object) -> None:
        self.hook = hook


def refusal(store, value) -> UnstorableValueError:
    with pytest.raises(UnstorableValueError, match="cannot be stored") as caught:
        store.put(value)
    return caught.value


def test_generator_is_refused(store):
    error = refusal(store, (x for x in "abc"))
    assert error.facts == {"type": "generator"}
    assert "list(...)" in error.hint


def test_open_file_is_refused(store, tmp_path):
    with (tmp_path / "x.txt").open("w") as file:
        error = refusal(store, {"out": [file]})
    assert error.facts == {"type": "_io.TextIOWrapper", "path": "['out'][0]"}


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock, threading.Event, threading.Condition])
def test_lock_is_refused_with_its_place(store, make):
    error = refusal(store, {"model": Holder(make())})
    assert error.facts["path"] == "['model'].hook"
    assert "['model'].hook of the returned dict" in error.message


def test_lock_in_a_closure_is_found(store):
    lock = threading.Lock()
    error = refusal(store, {"f": lambda: lock})
    assert error.facts["path"] == "['f'].<closure lock>"


def test_socket_and_thread_are_refused(store):
    with socket.socket() as open_socket:
        assert refusal(store, [open_socket]).facts == {"type": "socket.socket", "path": "[0]"}
    assert refusal(store, threading.Thread()).facts == {"type": "threading.Thread"}


def test_connections_are_refused(store):
    with duckdb.connect() as connection:
        error = refusal(store, {"db": connection})
    assert error.facts["path"] == "['db']"
    assert "to_arrow_table" in error.hint
    database = sqlite3.connect(":memory:")
    assert "rows" in refusal(store, database).hint
    database.close()


def test_coroutine_is_refused(store):
    coroutine = asyncio.sleep(0)
    assert "await" in refusal(store, coroutine).hint
    coroutine.close()


def test_value_whose_pickling_fails_is_named(store):
    class Stubborn:
        def __reduce__(self):
            raise ValueError("not today")

    error = refusal(store, {"a": [Stubborn()]})
    assert error.facts["path"] == "['a'][0]"
    assert "not today" in error.message


@pytest.mark.thorough
def test_deep_nesting_is_refused(store):
    value: tuple = ()
    for _ in range(100_000):
        value = (value,)
    assert "nested too deeply" in refusal(store, value).hint


def test_refusal_crosses_processes(store):
    error = refusal(store, threading.Lock())
    assert pickle.loads(pickle.dumps(error)).to_dict() == error.to_dict()


def test_things_in_memory_are_kept(store):
    assert store.get(store.put(io.BytesIO(b"abc")).artifact).getvalue() == b"abc"
    assert list(store.get(store.put(iter([1, 2])).artifact)) == [1, 2]


def test_duckdb_relation_becomes_a_table(store):
    with duckdb.connect() as connection:
        info = store.put(connection.sql("SELECT 1 AS a, 'x' AS b"))
    assert store.get(info.artifact).equals(pa.table({"a": pa.array([1], pa.int32()), "b": ["x"]}))
    assert "DuckDB relation" in info.warnings[0]


def test_relation_inside_a_value_is_refused(store):
    with duckdb.connect() as connection:
        assert "to_arrow_table" in refusal(store, [connection.sql("SELECT 1")]).hint


def test_identical_repeated_columns_are_merged(store):
    frame = pd.DataFrame([[1, 2, 1], [3, 4, 3]], columns=["a", "b", "a"])
    info = store.put(frame)
    assert store.get(info.artifact).equals(frame.iloc[:, :2])
    assert info.warnings == ("Identical columns of one name were merged into one: a.",)
    assert [column.name for column in info.columns] == ["a", "b"]
    assert frame.shape == (2, 3)


def test_identical_repeated_columns_with_gaps_are_merged(store):
    frame = pd.DataFrame([[None, None], [1.5, 1.5]], columns=["가", "가"])
    assert store.get(store.put(frame).artifact).shape == (2, 1)


def test_differing_repeated_columns_are_refused(store):
    frame = pd.DataFrame([[1, 2, 9, 9]], columns=["a", "a", "b", "b"])
    with pytest.raises(ValueError, match=r"several columns named a, with different") as caught:
        store.put(frame)
    assert caught.value.facts == {"columns": ["a"]}


def test_repeated_columns_of_other_dtype_are_refused(store):
    frame = pd.concat([pd.DataFrame({"a": [1]}), pd.DataFrame({"a": [1.0]})], axis=1)
    with pytest.raises(ValueError, match="several columns named a"):
        store.put(frame)


def test_repeated_columns_of_arrow_tables_follow_the_same_rule(store):
    same = pa.Table.from_arrays([pa.array([1]), pa.array([1])], names=["a", "a"])
    info = store.put(same)
    assert store.get(info.artifact).column_names == ["a"]
    assert info.warnings
    other = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(ValueError, match="several columns named a"):
        store.put(other)
