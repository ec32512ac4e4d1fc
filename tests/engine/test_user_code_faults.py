"""What a block may do to itself, and what is said and kept then. Guarantees F28-F46; one shared executor."""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from spellbook_core.artifacts.local import LocalArtifactStore
from spellbook_core.executors.process import ProcessExecutor
from spellbook_core.model.task import BlockInput, BlockTask
from spellbook_core.project.layout import Workspace
from spellbook_core.settings import MAX_LOG_BYTES, Settings
from spellbook_core.worker.crash import report_crash
from tests.contract.executor_contract import Attempts, Ended

INTERPRETER_DEPTH = 100_000


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attempts]:
    workspace = Workspace.open(tmp_path_factory.mktemp("faults"), create=True)
    workspace.ensure_state_dir()
    executor = ProcessExecutor(workspace, Settings())
    yield Attempts(workspace, executor)
    executor.close()


def body(text: str) -> str:
    """Return a block whose function has the given body; the body begins on line 3."""
    return "@custom\ndef f(*args, **kwargs):\n" + textwrap.indent(textwrap.dedent(text).strip("\n"), "    ") + "\n"


def report(ended: Ended) -> object:
    """Return the error that the engine would store."""
    if ended.outcome is not None:
        return ended.outcome.error
    return report_crash(ended.exited.exit_status, ended.exited.reason, ended.exited.crash_trace, block="b")


PRINTED_MB = 1024


@pytest.mark.guarantee("F28")
def test_huge_output_is_capped_with_both_ends(attempts):
    attempts.run(body("pass"))
    [reader] = [psutil.Process(each["pid"]) for each in attempts.executor.describe()]
    before = reader.memory_info().rss
    ended = attempts.run(
        body(f"""
        import os
        print('the first line')
        block = b'0123456789abcde\\n' * 65536
        for _ in range({PRINTED_MB}):
            os.write(1, block)
        print('the last line')
        """)
    )
    assert ended.outcome.error is None
    assert (ended.folder / "log.jsonl").stat().st_size <= MAX_LOG_BYTES
    assert reader.memory_info().rss - before < 50 * 2**20
    log = ended.log
    assert log[0]["m"] == "the first line"
    assert log[-1]["m"] == "the last line"
    [notice] = [line for line in log if line["s"] == "engine"]
    kept = sum(len(line["m"]) + 1 for line in log if line["s"] == "stdout")
    assert notice["dropped"] == PRINTED_MB * 2**20 + len("the first line\nthe last line\n") - kept


@pytest.mark.guarantee("F29")
def test_odd_bytes_are_shown_as_text(attempts):
    ended = attempts.run(
        body(r"""
        import os, sys
        os.write(1, b'\x1b[31mred\x1b[0m \x00 \xff end\n')
        os.write(1, b'x' * 3_000_000 + b'\n')
        for n in range(5):
            os.write(2, b'\repoch %d' % n)
        os.write(2, b'\n')
        print('lone \ud800 surrogate')
        """)
    )
    assert ended.outcome.error is None
    out = [line["m"] for line in ended.log if line["s"] == "stdout"]
    assert out[0] == "red \\x00 \N{REPLACEMENT CHARACTER} end"
    assert out[1].startswith("xxx")
    assert out[1].endswith("bytes of this line dropped")
    assert out[2] == "lone \\ud800 surrogate"
    assert [(line["m"], line.get("p")) for line in ended.log if line["s"] == "stderr"] == [("epoch 4", True)]


@pytest.mark.guarantee("F29")
def test_print_is_live(attempts):
    task = attempts.task(
        body("""
        import pathlib, time
        print('I am here')
        while not pathlib.Path('go').exists():
            time.sleep(0.01)
        """)
    )
    attempts.submit(task)
    attempts.logged(task, "I am here")
    (attempts.root.parent / "go").touch()
    assert attempts.wait(task).outcome.error is None
    (attempts.root.parent / "go").unlink()


@pytest.mark.guarantee("F30")
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import os\nos._exit(0)", "exited without a result (exit status 0)"),
        ("raise SystemExit(0)", "called sys.exit(0) instead of returning"),
        ("import sys\nsys.exit()", "called sys.exit(None) instead of returning"),
        ("import sys\nsys.exit('stop')", "called sys.exit('stop') instead of returning"),
    ],
)
def test_exit_is_a_failure(attempts, source, message):
    assert message in report(attempts.run(body(source))).message


@pytest.mark.guarantee("F31")
@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        (body("raise KeyboardInterrupt"), "was interrupted", 3),
        (body("class Odd(BaseException): pass\nraise Odd('x')"), "raised f.<locals>.Odd: x", 4),
        (body("def again(): return again()\nagain()"), "RecursionError: maximum recursion depth exceeded", 3),
        (body("raise MemoryError"), "raised MemoryError", 3),
        (body("return (("), "is no valid Python: '(' was never closed (line 3)", 3),
        ("x = " + "(" * 100_000 + ")" * 100_000, "is no valid Python: too many nested parentheses", 1),
        ("import nothing_of_that_name\n" + body("pass"), "No module named 'nothing_of_that_name'", 1),
        (body("1 / 0"), "raised ZeroDivisionError: division by zero", 3),
    ],
)
def test_exception_names_reason_and_line(attempts, source, message, line):
    ended = attempts.run(source)
    error = report(ended)
    assert (error.exception or error.message) in ended.text
    assert message in error.message
    assert error.line == line
    assert all(os.sep + "spellbook_core" + os.sep not in frame.file for frame in error.frames)


@pytest.mark.guarantee("F32")
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import ctypes\nctypes.string_at(0)", "crashed: SIGSEGV in line 4"),
        ("import os\nos.abort()", "crashed: SIGABRT in line 4"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "was killed (SIGKILL): out of memory?"),
    ],
)
def test_crash_names_the_signal_and_line(attempts, source, message):
    ended = attempts.run(body(source))
    assert ended.outcome is None
    assert message in report(ended).message
    assert message in ended.text


@pytest.mark.guarantee("F33")
def test_leftover_processes_are_ended_and_reported(attempts):
    ended = attempts.run(
        body("""
        import os, subprocess, time
        subprocess.Popen(['sleep', '600'])                                # keeps stdout open
        subprocess.Popen(['sleep', '601'], start_new_session=True)        # leaves the group
        between = os.fork()
        if between == 0:                                                  # a daemon that was never started anew
            os.setsid()
            if os.fork() == 0:
                time.sleep(602)
            os._exit(0)
        os.waitpid(between, 0)                                            # else it may be left running too
        print(kwargs['block_uuid'])
        """)
    )
    assert ended.outcome.error is None
    assert "Ended 3 process(es) that the block left running" in ended.text
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if command in {"sleep 600", "sleep 601"}]


@pytest.mark.guarantee("F33")
def test_leftovers_of_a_parallel_block_are_spared(attempts):
    other = attempts.task(
        body("""
        import os, subprocess, time
        child = subprocess.Popen(['sleep', '603'], start_new_session=True)
        print('ready')
        while not os.path.exists('go2'):
            time.sleep(0.01)
        assert child.poll() is None, 'somebody ended my child'
        child.kill()
        """)
    )
    attempts.submit(other)
    attempts.logged(other, "ready")
    assert attempts.run(body("import subprocess\nsubprocess.Popen(['sleep', '604'])")).outcome.error is None
    (attempts.root.parent / "go2").touch()
    assert attempts.wait(other).outcome.error is None


@pytest.mark.guarantee("F34")
def test_cancel_ends_a_block_that_ignores_signals(attempts):
    task = attempts.task(
        body("""
        import signal, time
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print('deaf')
        while True:
            time.sleep(1)
        """)
    )
    attempts.submit(task)
    handle = attempts.started(task).handle
    attempts.logged(task, "deaf")
    asked = time.monotonic()
    attempts.executor.cancel(handle, 0.2)
    ended = attempts.wait(task)
    assert time.monotonic() - asked < 5
    assert ended.exited.reason == "cancelled"
    assert ended.exited.exit_status == -9
    assert report(ended).code == "SB-WRK-010"


@pytest.mark.guarantee("F34")
def test_cancel_lets_a_block_clean_up(attempts):
    task = attempts.task(
        body("""
        import time
        try:
            print('begun')
            time.sleep(600)
        finally:
            print('cleaned up')
        """)
    )
    attempts.submit(task)
    attempts.logged(task, "begun")
    attempts.executor.cancel(attempts.started(task).handle, 5.0)
    ended = attempts.wait(task)
    assert ended.exited.reason == "cancelled"
    assert "cleaned up" in ended.text


@pytest.mark.guarantee("F35")
def test_time_limit_ends_a_block(attempts):
    ended = attempts.run(body("import time\ntime.sleep(600)"), timeout_s=0.3)
    assert ended.exited.reason == "timeout"
    error = report_crash(ended.exited.exit_status, ended.exited.reason, None, block="b", timeout_s=0.3)
    assert error.message == "Block 'b' took longer than its time limit of 0.3 s and was ended."


@pytest.mark.guarantee("F37")
def test_reading_the_keyboard_fails_at_once(attempts):
    error = report(attempts.run(body("input('name? ')")))
    assert error.exception.startswith("EOFError")
    assert "pipeline variables" in error.hint


@pytest.mark.guarantee("F38")
@pytest.mark.parametrize(
    ("returned", "summaries"),
    [
        ("None", []),
        ("(n for n in [1, 2])", ["1", "2"]),
        ("(1, None)", ["1", "null"]),
        ("[]", None),
        ("lambda: 1", None),
    ],
)
def test_odd_return_values_have_a_stated_result(attempts, returned, summaries):
    ended = attempts.run(body(f"return {returned}"))
    assert ended.outcome.error is None
    if summaries is None:
        assert len(ended.outcome.outputs) == 1
    else:
        assert len(ended.outcome.outputs) == len(summaries)


@pytest.mark.guarantee("F38")
@pytest.mark.parametrize(
    ("returned", "type_name"), [("__import__('threading').Lock()", "lock"), ("open('/dev/null')", "TextIOWrapper")]
)
def test_what_cannot_be_stored_is_named(attempts, returned, type_name):
    error = report(attempts.run(body(f"return {returned}")))
    assert error.code.startswith("SB-ART-")
    assert type_name in error.message


@pytest.mark.guarantee("F40")
def test_block_cannot_change_the_next_one(attempts):
    first = body("""
        import builtins, os, random, sys
        os.chdir('/')
        os.umask(0o777)
        os.environ['LEFT'] = 'behind'
        sys.path.clear()
        builtins.len = lambda _: 0
        random.seed(1)
        """)
    second = body("""
        import os, sys
        assert 'LEFT' not in os.environ
        assert len('abc') == 3
        mask = os.umask(0)
        os.umask(mask)
        return [os.getcwd(), mask, os.environ.get('OPENBLAS_NUM_THREADS'), os.environ.get('MPLBACKEND')]
        """)
    assert attempts.run(first).outcome.error is None
    ended = attempts.run(second)
    assert ended.outcome.error is None
    mask = os.umask(0)
    os.umask(mask)
    summaries = [output.summary for output in ended.outcome.outputs]
    assert str(attempts.root.parent) in summaries[0]
    assert summaries[1] == str(mask)
    assert "Agg" in summaries[3]


@pytest.mark.guarantee("F40")
def test_two_blocks_draw_different_random_numbers(attempts):
    source = body("import numpy\nreturn float(numpy.random.rand())")
    drawn = {attempts.run(source).outcome.outputs[0].summary for _ in range(3)}
    assert len(drawn) == 3


@pytest.mark.guarantee("F41")
def test_mutated_input_leaves_the_stored_one(attempts):
    made = attempts.run(body("import pandas\nreturn pandas.DataFrame({'a': [1, 2, 3]})"))
    inputs = (BlockInput("made", made.outcome.outputs),)
    change = "@custom\ndef f(df, **kwargs):\n    df.loc[:, 'a'] = 0\n    return int(df['a'].sum())\n"
    assert attempts.run(change, inputs=inputs).outcome.outputs[0].summary == "0"
    again = "@custom\ndef f(df, **kwargs):\n    return int(df['a'].sum())\n"
    assert attempts.run(again, inputs=inputs).outcome.outputs[0].summary == "6"


@pytest.mark.guarantee("F42")
def test_endless_thread_and_exit_handler_hold_nothing_up(attempts):
    ended = attempts.run(
        body("""
        import atexit, threading, time
        threading.Thread(target=lambda: time.sleep(600)).start()
        atexit.register(lambda: time.sleep(600))
        return 1
        """),
        timeout_s=30,
    )
    assert ended.exited.reason is None
    assert ended.outcome.error is None


def test_forked_copy_of_a_block_has_no_say(attempts):
    """A block forks and lets the copy return too: one outcome, of the process that was asked."""
    ended = attempts.run(
        body("""
        import os
        asked = os.getpid()
        if os.fork():
            os.wait()
        return os.getpid() == asked
        """)
    )
    assert [output.summary for output in ended.outcome.outputs] == ["True"]


def test_sealed_process_that_does_not_end_is_killed(attempts):
    """A block freezes its process at the moment of its exit: the result is told at once, and the process is ended."""
    task = attempts.task(
        body("""
        import os, signal
        os._exit = lambda status: os.kill(os.getpid(), signal.SIGSTOP)
        return 'done'
        """)
    )
    attempts.submit(task)
    assert attempts.sealed(task).reason is None
    ended = attempts.wait(task)
    assert ended.exited.exit_status == -9
    assert ended.outcome.error is None


@pytest.mark.guarantee("F43")
def test_pool_of_processes_works(attempts):
    ended = attempts.run(
        body("""
        import multiprocessing
        with multiprocessing.Pool(2) as pool:
            return sum(pool.map(abs, [-1, -2, -3]))
        """)
    )
    assert ended.outcome.error is None
    assert ended.outcome.outputs[0].summary == "6"


@pytest.mark.guarantee("F45")
def test_edited_project_module_is_read_anew(attempts):
    module = attempts.root / "utils" / "values.py"
    module.parent.mkdir(exist_ok=True)
    source = (
        "from demo.utils.values import X\nfrom utils.values import X as same\nimport default_repo.utils.values as d\n"
    )
    source += body("assert X == same == d.X\nreturn X")
    for value in (1, 22):
        module.write_text(f"X = {value}\n")
        ended = attempts.run(source)
        assert ended.outcome.error is None
        assert ended.outcome.outputs[0].summary == str(value)
        assert ended.outcome.modules == ("utils/values.py",)


@pytest.mark.guarantee("F46")
@pytest.mark.parametrize("name", ["random", "torch", "test", "json"])
def test_block_named_like_a_module_shadows_nothing(attempts, name):
    folder = attempts.root / "custom"
    folder.mkdir(exist_ok=True)
    source = body("import json, random\nreturn [random.Random(1).random() > 0, json.dumps({})]")
    (folder / f"{name}.py").write_text(source)
    ended = attempts.run(None, block=name)
    assert ended.outcome.error is None
    assert ended.outcome.outputs[0].summary.lower() == "true"


@pytest.mark.guarantee("F46")
def test_project_named_spellbook_imports_itself(tmp_path):
    workspace = Workspace.open(tmp_path, create=True)
    executor = ProcessExecutor(workspace, Settings())
    attempts = Attempts(workspace, executor, project="spellbook")
    (attempts.root / "utils").mkdir()
    (attempts.root / "utils" / "variables.py").write_text("X_COLS = ['Age']\n")
    source = "from spellbook.utils.variables import X_COLS\nfrom spellbook_core import log_metric\n" + body(
        "return X_COLS[0]"
    )
    ended = attempts.run(source)
    executor.close()
    assert ended.outcome.error is None


def test_failing_test_keeps_the_outputs(attempts):
    source = body("return 7") + "@test\ndef test_ok(output, *args):\n    assert output == 7\n"
    source += "@test\ndef test_bad(output):\n    assert output == 8, 'not eight'\n"
    ended = attempts.run(source)
    assert [(t.name, t.passed, t.message) for t in ended.outcome.tests] == [
        ("test_ok", True, ""),
        ("test_bad", False, "not eight"),
    ]
    assert ended.outcome.error.code == "SB-WRK-005"
    assert ended.outcome.error.line == 9
    assert len(ended.outcome.outputs) == 1


def test_mage_imports_work_without_mage(attempts):
    source = "from mage_ai.data_preparation.decorators import custom\nfrom mage_ai.settings.repo import get_repo_path\n"
    source += "from mage_ai.data_preparation.repo_manager import get_repo_path as same\n"
    ended = attempts.run(source + body("assert get_repo_path() == same()\nreturn get_repo_path()"))
    assert ended.outcome.error is None
    error = report(attempts.run("from mage_ai.io.oracledb import OracleDB\n" + body("pass")))
    assert "mage_ai.io" in error.message
    assert error.line == 1


def test_unreadable_file_is_named(attempts):
    error = report(attempts.run(None, block="not_there"))
    assert error.code == "SB-WRK-013"
    assert "not_there" in error.message


def test_class_of_a_block_reaches_its_child(attempts):
    source = "class Box:\n    value = 3\n" + body("box = Box()\nbox.more = 4\nreturn box")
    child = "@custom\ndef f(box, **kwargs):\n    return [type(box).__name__, box.value + box.more]\n"
    *_, last = attempts.chain(source, child)
    assert last.outcome.error is None
    assert [output.summary for output in last.outcome.outputs][1] == "7"


def test_snapshot_of_the_source_runs(attempts):
    task: BlockTask = attempts.task(body("return 'from the snapshot'"))
    path = Path(task.source_path)
    path.parent.mkdir(exist_ok=True)
    path.write_text(body("raise ValueError('from the file')"))
    task = replace(task, block="snapshot")
    attempts.submit(task)
    assert attempts.wait(task).outcome.error is None


def test_metrics_and_notices_reach_files(attempts):
    ended = attempts.run(
        "from spellbook_core import current_run, log_metric, notice, progress\n"
        + body("""
        import warnings
        for step in range(3):
            log_metric('loss', 1 / (step + 1), step=step)
        progress(3, 3, 'epoch')
        notice('sample data were used')
        warnings.warn('this is old')
        return current_run().block
        """)
    )
    assert ended.outcome.error is None
    assert len((ended.folder / "metrics.jsonl").read_text().splitlines()) == 4
    assert ended.outcome.warnings == ("sample data were used", "UserWarning: this is old")
    assert any(getattr(event, "what", None) == "metric" for event in ended.events)
    assert ended.log[0]["l"] == "warning"


@pytest.mark.guarantee("F36")
@pytest.mark.parametrize(
    "source",
    [
        "x = bytearray(3_000_000_000)",
        "import numpy\nx = numpy.ones(400_000_000)",
        "x = []\nwhile True:\n    x.append(bytearray(1_000_000))",
    ],
)
def test_block_above_its_memory_limit_fails_alone(attempts, source):
    sibling = attempts.task(
        body("import pathlib, time\nwhile not pathlib.Path('go36').exists():\n    time.sleep(0.01)\nreturn 1")
    )
    attempts.submit(sibling)
    ended = attempts.run(body(source), configuration={"memory_limit": "200MB"})
    error = report(ended)
    assert error.code == "SB-WRK-051", error
    assert "limit of 200 MB" in error.message
    assert error.facts["peak_bytes"] > 0
    (attempts.root.parent / "go36").touch()
    assert attempts.wait(sibling).outcome.error is None
    (attempts.root.parent / "go36").unlink()


@pytest.mark.guarantee("F36")
def test_memory_of_child_processes_counts(attempts):
    child = "x = bytearray(b'1') * 400_000_000; import time; time.sleep(600)"
    ended = attempts.run(
        body(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])"),
        configuration={"memory_limit": "200MB"},
    )
    error = report(ended)
    assert error.code == "SB-WRK-051", error
    assert "and was ended" in error.message
    assert error.message in ended.text.replace("The block", "Block 'b'")


@pytest.mark.guarantee("F36")
def test_inputs_do_not_count_as_consumption(attempts):
    """A frame larger than the limit may be read in pieces: what is mapped from a file belongs to nobody."""
    make = body("import numpy, pyarrow\nreturn pyarrow.table({'a': numpy.ones(40_000_000)})")
    use = "@custom\ndef f(table, **kwargs):\n    import pyarrow.compute\n"
    use += "    return sum(pyarrow.compute.sum(chunk).as_py() for chunk in table['a'].chunks)\n"
    made, used = attempts.chain(make, use, configuration={})
    assert used.outcome.outputs[0].summary == "40000000.0"
    again = attempts.run(
        use, inputs=(BlockInput("made", made.outcome.outputs),), configuration={"memory_limit": "100MB"}
    )
    assert again.outcome.error is None, again.outcome.error


@pytest.mark.guarantee("F36")
def test_project_may_limit_all_its_blocks(attempts):
    settings = attempts.root / "metadata.yaml"
    settings.write_text("project_type: standalone\nmemory_limit: 150 MB  # each\n")
    ended = attempts.run(body("x = bytearray(800_000_000)"))
    own = attempts.run(body("x = bytearray(800_000_000)"), configuration={"memory_limit": "4GB"})
    settings.unlink()
    assert "limit of 150 MB" in report(ended).message
    assert report(ended).line == 3
    assert own.outcome.error is None


def test_limit_that_is_no_size_is_named(attempts):
    error = report(attempts.run(body("pass"), configuration={"memory_limit": "lots"}))
    assert error.code == "SB-WRK-050"
    assert "memory_limit: lots" in error.message


@pytest.mark.guarantee("F40")
def test_environment_of_one_block_is_its_own(attempts):
    (attempts.root / ".env").write_text("OUT_OF_FILE=from-the-file\n")
    asked = {"MODE": "fast", "COPIES": 3, "IS_ON": True, "TOLD": "<{{ secret('OUT_OF_FILE') }}>"}
    show = body("import os\nreturn {n: os.environ.get(n) for n in ('MODE', 'COPIES', 'IS_ON', 'TOLD')}")
    first = attempts.run(show, configuration={"env": asked})
    second = attempts.run(show)
    (attempts.root / ".env").unlink()
    assert first.outcome.error is None, first.outcome.error
    values = [
        LocalArtifactStore(attempts.workspace.artifacts_dir).get(ended.outcome.outputs[0].artifact)
        for ended in (first, second)
    ]
    assert values[0] == {"MODE": "fast", "COPIES": "3", "IS_ON": "1", "TOLD": "<from-the-file>"}
    assert set(values[1].values()) == {None}


def test_environment_that_is_none_is_named(attempts):
    error = report(attempts.run(body("pass"), configuration={"env": {"A B": "x"}}))
    assert error.code == "SB-WRK-052"
    assert "'A B'" in error.message
