"""Screens without a browser: the real page script on a real workspace, through Streamlit's AppTest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from spellbook_core.model.outcome import ErrorReport, Frame
from spellbook_core.model.output import OutputInfo
from spellbook_core.model.run import NewRun, Status
from spellbook_core.runs.records import BlockEnd, BlockSpec, NewBlockRun
from spellbook_core.services.wiring import Context
from spellbook_core.ui import engine_watch

PAGE = Path(engine_watch.__file__).with_name("page.py")

OpenScreen = Callable[..., AppTest]
SeedRun = Callable[..., int]


@pytest.fixture
def open_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenScreen]:
    """`open_screen("runs", status="failed")` opens a route of the workspace in `tmp_path`; no engine is started."""
    (tmp_path / "projects").mkdir(exist_ok=True)
    monkeypatch.setenv("SPELLBOOK_WORKSPACE", str(tmp_path))
    st.cache_resource.clear()
    monkeypatch.setattr(engine_watch.EngineWatch, "start", lambda watch, ctx, project: None)

    def open_route(route: str = "", **query: str | list[str]) -> AppTest:
        app = AppTest.from_file(str(PAGE), default_timeout=30)
        app.query_params.update(query)
        app._page_hash = calc_hash(route)  # AppTest can only switch to pages that are files
        app.run()
        return app

    yield open_route
    st.cache_resource.clear()


@pytest.fixture
def seed_run(context: Context) -> SeedRun:
    """`seed_run("demo", "main", ["a", "b"], failed="b")` stores an ended run (or a running one) and returns its id."""

    def seed(
        project: str,
        pipeline: str,
        blocks: list[str],
        *,
        failed: str | None = None,
        ended: bool = True,
        trigger: str = "manual",
        minutes_ago: float = 5.0,
        error: ErrorReport | None = None,
        outputs: tuple[OutputInfo, ...] = (),
    ) -> int:
        store, at = context.store, datetime.now(UTC) - timedelta(minutes=minutes_ago)
        run = store.create_run(NewRun(project, pipeline, trigger), now=at)
        planned = [
            NewBlockRun(name, "transformer", "the whole pipeline runs", f"# {name}\n", f"hash-{name}", BlockSpec())
            for name in blocks
        ]
        ids = store.begin_run(run.id, planned, now=at)
        for name, ident in zip(blocks, ids, strict=True):
            store.start_attempt(ident, now=at)
            if not ended:
                break
            status = Status.FAILED if name == failed else Status.COMPLETED
            report = (error or FAILURE) if name == failed else None
            end = BlockEnd(status, at + timedelta(seconds=1), at, 1.0, 0.5, 80_000_000, error=report, outputs=outputs)
            store.end_block(ident, end)
        if ended:
            store.end_run(run.id, Status.FAILED if failed else Status.COMPLETED, None, now=at + timedelta(seconds=2))
        return run.id

    return seed


FAILURE = ErrorReport(
    "SB-WRK-001",
    "Block 'b' failed.",
    "fix the marked line.",
    {"block": "b"},
    "ValueError: bad <img src=x onerror=alert(1)>",
    (Frame("transformers/b.py", 3, "work", "raise ValueError"),),
    "Traceback (most recent call last): ...",
    3,
)


def texts(app: AppTest) -> str:
    """Return all text that the page draws as markdown or captions, one per line."""
    return "\n".join(element.value for element in [*app.markdown, *app.caption])
