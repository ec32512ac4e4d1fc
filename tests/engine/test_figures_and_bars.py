"""Figures and progress bars of a running block: drawn while it runs, kept afterwards, harmless to look at."""

from __future__ import annotations

import importlib.util
import textwrap
from collections.abc import Iterator

import pytest

from spellbook_core.executors.process import ProcessExecutor
from spellbook_core.project.layout import Workspace
from spellbook_core.runs import metrics
from spellbook_core.services import figures, outputs
from spellbook_core.services.wiring import open_context
from spellbook_core.settings import Settings
from tests.contract.executor_contract import Attempts, Ended

has_matplotlib = pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="needs matplotlib")


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attempts]:
    workspace = Workspace.open(tmp_path_factory.mktemp("figures"), create=True)
    workspace.ensure_state_dir()
    executor = ProcessExecutor(workspace, Settings())
    yield Attempts(workspace, executor)
    executor.close()


def body(text: str) -> str:
    start = "from spellbook_core import log_figure\n@custom\ndef f(*args, **kwargs):\n"
    return start + textwrap.indent(textwrap.dedent(text).strip("\n"), "    ") + "\n"


def pictures(attempts: Attempts, ended: Ended) -> dict[str, figures.Picture]:
    ctx = open_context(attempts.workspace.root)
    found = metrics.read(ended.folder / "metrics.jsonl").figures
    shown = {figure.name: figures.picture(ctx, figure) for figure in found}
    ctx.close()
    return shown


def test_logged_image_is_kept_newest_of_its_name(attempts):
    ended = attempts.run(
        body("""
        from PIL import Image
        for step, colour in enumerate(['red', 'green']):
            log_figure('samples', Image.new('RGB', (4 + step, 4), colour), step=step)
        """)
    )
    assert ended.outcome.error is None, ended.outcome.error
    assert any(getattr(event, "what", None) == "metric" for event in ended.events)
    shown = pictures(attempts, ended)
    assert shown["samples"].png.startswith(b"\x89PNG")
    assert shown["samples"].step == 1
    assert [path.name for path in (ended.folder / "figures").iterdir()] == ["0.png"]


@pytest.mark.guarantee("N18")
@pytest.mark.guarantee("N19")
def test_specification_fetches_nothing(attempts):
    chart = """
        import altair
        chart = altair.Chart('http://canary.example/x.csv').mark_image(url='http://canary.example/x.png')
        chart = chart.encode(x='a:Q', href='link:N').properties(usermeta={'embedOptions': {'actions': True}})
        """
    ended = attempts.run(body(chart + "log_figure('chart', chart)\n        return chart"))
    assert ended.outcome.error is None, ended.outcome.error
    shown = pictures(attempts, ended)["chart"]
    assert shown.language == "vega-lite"
    ctx = open_context(attempts.workspace.root)
    spec = outputs.preview(ctx, ended.outcome.outputs[0]).spec
    ctx.close()
    for one in (shown.spec, spec):
        assert one["encoding"]["x"]["field"] == "a"
        assert not [word for word in ("canary", "href", "usermeta", "url") if word in repr(one)], one


def test_what_is_no_figure_is_named(attempts):
    error = attempts.run(body("log_figure('x', 3)")).outcome.error
    assert error.code == "SB-WRK-053"
    assert "cannot draw a int" in error.message
    assert error.line == 4


def test_figures_are_bounded(attempts):
    ended = attempts.run(
        body("""
        from PIL import Image
        for number in range(60):
            log_figure(f'image {number}', Image.new('L', (2, 2)))
        """)
    )
    assert len(pictures(attempts, ended)) == 50
    assert ended.outcome.warnings == ("Only the first 50 figures are kept; use the same name to show a newer one.",)


@has_matplotlib
@pytest.mark.guarantee("F44")
def test_plots_need_no_display_and_are_shown(attempts):
    ended = attempts.run(
        body("""
        import matplotlib, os
        from matplotlib import pyplot
        os.environ.pop('DISPLAY', None)
        pyplot.plot([1, 2]); pyplot.show()
        pyplot.figure('by name').gca().plot([1])
        returned, axes = pyplot.subplots(); axes.plot([3])
        other, axes = pyplot.subplots(); axes.plot([3]); log_figure('axes', axes); pyplot.close(other)
        print(matplotlib.get_backend())
        return returned
        """)
    )
    assert ended.outcome.error is None, ended.outcome.error
    assert "agg" in ended.text.lower()
    shown = pictures(attempts, ended)
    assert set(shown) == {"Figure 1", "by name", "axes"}
    assert all(picture.png for picture in shown.values())
    ctx = open_context(attempts.workspace.root)
    assert outputs.preview(ctx, ended.outcome.outputs[0]).png.startswith(b"\x89PNG")
    ctx.close()


BARS = r"""
import sys, time
def draw(text):
    sys.stderr.write(text); sys.stderr.flush()
"""


def test_tqdm_bar_moves_while_the_block_runs(attempts):
    task = attempts.task(
        BARS
        + body(r"""
        import pathlib, time
        for n in range(38):
            draw('\repoch: %3d%%|%-10s| %d/100 [00:01<00:02, 30.10it/s, loss=0.3]' % (n, '█' * (n // 10), n))
        while not pathlib.Path('go').exists():
            time.sleep(0.01)
        draw('\repoch: 100%|##########| 100/100 [00:03<00:00, 30.1it/s]\n')
        print('after')
        """)
    )
    attempts.submit(task)
    path = attempts.folder(task) / "metrics.jsonl"
    bar = attempts.until(task, lambda _: (p := metrics.read(path).progress) and p.done == 37 and p)
    assert (bar.total, bar.text) == (100, "epoch")
    (attempts.root.parent / "go").touch()
    ended = attempts.wait(task)
    (attempts.root.parent / "go").unlink()
    assert metrics.read(path).progress.done == 100
    bars = [line["m"] for line in ended.log if line.get("p")]
    assert bars == ["epoch: 100%|##########| 100/100 [00:03<00:00, 30.1it/s]"]
    assert len(path.read_text().splitlines()) < 10


def test_nested_bars_do_not_flood_the_log(attempts):
    """tqdm draws an inner bar by going a line down and up again, each time it moves."""
    ended = attempts.run(
        BARS
        + body(r"""
        for epoch in range(3):
            draw('\router: %d%%|  | %d/3 [00:00<?, ?it/s]' % (33 * epoch, epoch))
            for batch in range(200):
                draw('\n\rinner: %d%%|  | %d/200 [00:00<00:01]\x1b[A' % (batch / 2, batch))
        draw('\router: 100%|##| 3/3 [00:01<00:00]\n')
        print('the end')
        """)
    )
    assert [line["m"].split(":")[0] for line in ended.log if line.get("p")][-1] == "outer"
    assert len(ended.log) < 8, ended.text
    assert ended.log[-1]["m"] == "the end" or ended.log[-2]["m"] == "the end"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (" 37%|███▋      | 37/100 [00:01<00:02, 30.1it/s]", (37, 100, "")),
        ("train: 5%|▌| 1.20k/24.0k [00:01<?, ?B/s]", (1200, 24000, "train")),
        ("Download: x.zip: 0%| | 0.00/12.5M [00:00<?, ?B/s]", (0, 12.5e6, "Download: x.zip")),
        ("rows: 1234it [00:05, 246.80it/s]", (1234, None, "rows")),
        ("100%|██████████| 3/3 [00:00<00:00, 99it/s, loss=1]", (3, 3, "")),
        ("the 37% | of people", None),
        ("done [00:01]", None),
        ("", None),
    ],
)
def test_bars_of_tqdm_are_read(line, expected):
    from spellbook_core.worker.bars import read_bar

    bar = read_bar(line)
    assert (bar and (bar.done, bar.total, bar.text)) == expected


@pytest.mark.skipif(importlib.util.find_spec("tqdm") is None, reason="needs tqdm")
def test_tqdm_itself(attempts):
    ended = attempts.run(
        body("""
        from tqdm import tqdm
        for _ in tqdm(range(3), desc='outer'):
            for _ in tqdm(range(50), desc='inner', leave=False):
                pass
        """)
    )
    found = metrics.read(ended.folder / "metrics.jsonl").progress
    assert (found.done, found.total, found.text) == (3, 3, "outer")
    assert [line["m"][:11] for line in ended.log] == ["outer: 100%"], ended.text
