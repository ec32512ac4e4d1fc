from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from spellbook_core.runs.sqlite import SqliteRunStore

_SPEC = importlib.util.spec_from_file_location("run_store_contract", Path(__file__).with_name("run_store_contract.py"))
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)


class TestSqlite(_MODULE.RunStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        made = SqliteRunStore(tmp_path / "state.db")
        yield made
        made.close()

    @pytest.fixture
    def reopened(self, tmp_path):
        opened = []

        def again():
            opened.append(SqliteRunStore(tmp_path / "state.db"))
            return opened[-1]

        yield again
        for store in opened:
            store.close()
