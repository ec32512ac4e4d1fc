from __future__ import annotations

from collections.abc import Iterator

import pytest

from spellbook_core.executors.inline import InlineExecutor
from spellbook_core.executors.process import ProcessExecutor
from spellbook_core.project.layout import Workspace
from spellbook_core.settings import Settings
from tests.contract.executor_contract import Attempts, ExecutorContract


def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace.open(tmp_path_factory.mktemp("executor"), create=True)
    workspace.ensure_state_dir()
    return workspace


class TestInlineExecutor(ExecutorContract):
    @pytest.fixture
    def attempts(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attempts]:
        executor = InlineExecutor()
        yield Attempts(made(tmp_path_factory), executor)
        executor.close()


@pytest.fixture(scope="module", params=["fork", "spare"])
def processes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attempts]:
    """Attempts in forked children and, as where forking is not safe, in pre-imported processes."""
    workspace = made(tmp_path_factory)
    executor = ProcessExecutor(workspace, Settings(), mode=request.param)
    yield Attempts(workspace, executor)
    executor.close()


class TestProcessExecutor(ExecutorContract):
    @pytest.fixture
    def attempts(self, processes: Attempts) -> Attempts:
        return processes
