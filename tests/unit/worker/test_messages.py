from __future__ import annotations

import json
import socket
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from spellbook_core.model.task import Environment
from spellbook_core.worker import api, preload
from spellbook_core.worker.crash import crash_frames, report_crash
from spellbook_core.worker.job import Ladder
from spellbook_core.worker.wire import Channel, task_from_json, task_to_json
from tests.unit.worker.test_call import task

TRACE = """Fatal Python error: Segmentation fault

Stack (most recent call first):
  File "/usr/lib/python3.11/ctypes/__init__.py", line 519 in string_at
  File "/w/projects/demo/custom/b.py", line 9 in inner
  File "/w/projects/demo/custom/b.py", line 4 in f
  File "/site-packages/spellbook_core/worker/call.py", line 91 in _run
"""
IN_OURS = """Fatal Python error: Segmentation fault

Stack (most recent call first):
  File "/site-packages/pyarrow/ipc.py", line 5 in write
  File "/site-packages/spellbook_core/{module}.py", line 7 in put
{caller}  File "/site-packages/spellbook_core/worker/call.py", line 91 in _run
  File "/site-packages/spellbook_core/worker/child.py", line 9 in serve
"""


def test_task_survives_json():
    made = replace(
        task(1, 2),
        variables={"at": datetime(2026, 1, 5, tzinfo=UTC), "days": [date(2026, 1, 5)], "n": None, "x": {"y": True}},
        environment=Environment(preload=("torch",)),
    )
    assert task_from_json(json.loads(json.dumps(task_to_json(made)))) == made


def test_channel_keeps_what_the_socket_does_not_take():
    left, right = map(Channel, socket.socketpair())
    for number in range(20_000):
        left.send({"n": number, "text": "x" * 50})
    assert left.has_unsent
    received = []
    while left.has_unsent:
        received += right.receive()
        left.flush()
    received += right.receive()
    assert [message["n"] for message in received] == list(range(20_000))
    left.close()
    assert right.receive() == []
    assert right.is_closed
    right.close()


def test_ladder_climbs_with_grace():
    ladder = Ladder(10.0, 2.0)
    assert [ladder.due(at) for at in (9.9, 10.0, 11.0, 12.0, 13.9, 14.0, 99.0)] == [None, 2, None, 15, None, 9, None]


def test_crash_trace_gives_the_users_frames():
    assert [(frame.function, frame.line) for frame in crash_frames(TRACE)] == [
        ("f", 4),
        ("inner", 9),
        ("string_at", 519),
    ]
    report = report_crash(-11, None, TRACE, block="b")
    assert report.message == "Block 'b' crashed: SIGSEGV in line 9 of its file."
    assert report.line == 9


def test_crash_below_a_call_of_ours_shows_who_called_it():
    caller = '  File "/w/projects/demo/custom/b.py", line 4 in f\n'
    trace = IN_OURS.format(module="worker/mage_shim/duck", caller=caller)
    assert [(frame.function, frame.line) for frame in crash_frames(trace)] == [("f", 4)]
    assert report_crash(-11, None, trace).line == 4


def test_crash_while_an_output_is_stored_marks_no_line():
    trace = IN_OURS.format(module="artifacts/local", caller="")
    assert crash_frames(trace) == ()
    assert report_crash(-11, None, trace, block="b").message == "Block 'b' crashed: SIGSEGV."
    own = '  File "/w/projects/demo/custom/b.py", line 6 in __reduce__\n'
    first, rest = trace.split("  File", 1)
    assert report_crash(-11, None, f"{first}{own}  File{rest}").line == 6


def test_crash_in_a_thread_marks_the_persons_line():
    start = '  File "/usr/lib/python3.11/threading.py", line 982 in run\n'
    trace = TRACE[: TRACE.index('  File "/site-packages')] + start
    assert report_crash(-11, None, trace).line == 9


@pytest.mark.parametrize(
    ("status", "reason", "code"),
    [
        (0, None, "SB-WRK-007"),
        (-9, None, "SB-WRK-008"),
        (-9, "timeout", "SB-WRK-009"),
        (-2, "cancelled", "SB-WRK-010"),
        (None, "worker lost", "SB-WRK-011"),
        (None, "cannot start: no such file", "SB-WRK-011"),
        (None, None, "SB-WRK-011"),
    ],
)
def test_every_end_has_its_reason(status, reason, code):
    report = report_crash(status, reason, None)
    assert report.code == code
    assert report.hint


def test_start_without_a_descriptor_left_names_the_limit():
    report = report_crash(None, "cannot start: [Errno 24] Too many open files", None, block="b")
    assert "ulimit -n" in report.hint


def test_preload_list_knows_its_packages():
    assert preload.preload_list(()) == preload.BASE
    assert preload.preload_list(("torch", "pandas", "polars", "my_project")) == (*preload.BASE, "torch")
    assert preload.smaller((*preload.BASE, "torch")) == preload.BASE
    assert preload.smaller(preload.BASE) == ()


def test_user_functions_do_nothing_outside_a_run():
    api.log_metric("loss", 0.5, step=1)
    api.progress(1, 2, "epoch")
    api.notice("nobody hears this")
    assert api.current_run() == api.CurrentRun()


def test_metrics_are_whole_lines(tmp_path):
    api.activate(api.CurrentRun(run_id=3), tmp_path / "metrics.jsonl", None)
    try:
        assert api.current_run().run_id == 3
        api.log_metric("loss", 0.5, step=1)
        api.progress(1, 2)
        api.keep_notice("once")
        api.keep_notice("once")
    finally:
        notices = api.deactivate()
    assert notices == ("once",)
    first, second = map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert (first["name"], first["value"], first["step"]) == ("loss", 0.5, 1)
    assert second["progress"] == {"done": 1, "total": 2, "text": ""}
