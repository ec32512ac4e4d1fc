from __future__ import annotations

import json
from datetime import UTC, datetime

from spellbook_core.runs import logs, metrics

AT = datetime(2026, 1, 5, 2, 0, tzinfo=UTC)


def entry(text: str, **fields) -> dict[str, object]:
    return {"t": AT.timestamp(), "s": "stdout", "l": "info", "m": text, **fields}


def write(path, entries, end="\n"):
    with path.open("a", encoding="utf-8") as file:
        file.write("\n".join(json.dumps(found, ensure_ascii=False) for found in entries) + end)
    return path


def test_missing_log_is_empty(tmp_path):
    assert logs.read_lines(tmp_path / "log.jsonl") == logs.LogPage((), 0)
    assert logs.tail(tmp_path / "log.jsonl") == logs.LogPage((), 0)


def test_reading_goes_on_where_it_ended(tmp_path):
    path = write(tmp_path / "log.jsonl", [entry("one"), entry("두"), entry("three")])
    first = logs.read_lines(path, limit=2)
    assert [line.text for line in first.lines] == ["one", "두"]
    assert first.lines[0] == logs.LogLine(AT, "stdout", "info", "one")
    write(path, [entry("four")])
    rest = logs.read_lines(path, offset=first.next_offset)
    assert [line.text for line in rest.lines] == ["three", "four"]
    assert logs.read_lines(path, offset=rest.next_offset).lines == ()


def test_unfinished_line_waits(tmp_path):
    path = write(tmp_path / "log.jsonl", [entry("whole")])
    with path.open("a") as file:
        file.write('{"t": 1, "m": "ha')
    page = logs.read_lines(path)
    assert [line.text for line in page.lines] == ["whole"]
    with path.open("a") as file:
        file.write('lf"}\n')
    assert [line.text for line in logs.read_lines(path, offset=page.next_offset).lines] == ["half"]
    assert [line.text for line in logs.tail(path).lines] == ["whole", "half"]


def test_lines_are_filtered(tmp_path):
    path = write(tmp_path / "log.jsonl", [entry("Fine"), entry("Bad FILE", l="error"), entry("file")])
    assert [line.text for line in logs.read_lines(path, search="file").lines] == ["Bad FILE", "file"]
    assert [line.text for line in logs.read_lines(path, level="error").lines] == ["Bad FILE"]


def test_damaged_line_is_left_out(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('no json\n[1]\n{"m": "no time"}\n' + json.dumps(entry("good", p=True)) + "\n")
    (line,) = logs.read_lines(path).lines
    assert (line.text, line.is_progress) == ("good", True)


def test_tail_reads_the_end_of_a_long_log(tmp_path):
    path = write(tmp_path / "log.jsonl", [entry(f"{number} {'x' * 200}") for number in range(5000)])
    page = logs.tail(path, 3)
    assert [line.text.split()[0] for line in page.lines] == ["4997", "4998", "4999"]
    assert page.next_offset == path.stat().st_size


def test_metrics_become_series(tmp_path):
    time = AT.timestamp()
    path = write(
        tmp_path / "metrics.jsonl",
        [
            {"t": time, "name": "loss", "value": 0.7, "step": 1},
            {"t": time, "name": "loss", "value": 0.6, "step": 2},
            {"t": time, "name": "rate", "value": 3},
            {"t": time, "name": "rate", "value": 4},
            {"t": time, "progress": {"done": 3, "total": 100, "text": "epoch"}},
            {"t": time, "name": "bad", "value": "text"},
        ],
    )
    found = metrics.read(path)
    assert found.series["loss"] == ((1.0, 0.7, AT), (2.0, 0.6, AT))
    assert found.series["rate"] == ((0.0, 3.0, AT), (1.0, 4.0, AT))
    assert found.progress == metrics.Progress(3.0, 100.0, "epoch")


def test_missing_metrics_are_empty(tmp_path):
    assert metrics.read(tmp_path / "metrics.jsonl") == metrics.Metrics()
