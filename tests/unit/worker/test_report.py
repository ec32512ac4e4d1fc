"""What a failure says: the lines that a person wrote, and none of Spellbook's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spellbook_core.worker.call import call_block
from spellbook_core.worker.log_calls import own_lines_told
from tests.unit.worker.test_call import MemoryArtifacts, task

SHIM = "from spellbook_core.worker.mage_shim"
BLOCK = "/w/projects/demo/custom/b.py"


def made(body):
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return task(source=f"@custom\ndef f(*args, **kwargs):\n{lines}")


def failure(body):
    return call_block(made(body), MemoryArtifacts()).error


def test_syntax_error_of_a_module_names_its_file_and_line():
    error = failure("exec(compile('x = 1\\ndef f(:\\n', '/w/projects/demo/utils/helper.py', 'exec'))")
    assert error.exception == "SyntaxError: invalid syntax (utils/helper.py, line 2)"
    assert error.message == f"Block 'b' raised {error.exception}"
    assert error.hint == "correct line 2 of utils/helper.py and run the block again."
    assert [(frame.file, frame.line, frame.text) for frame in error.frames][1:] == [
        ("/w/projects/demo/utils/helper.py", 2, "def f(:")
    ]
    assert error.line == 3


@pytest.mark.parametrize(
    ("body", "exception"),
    [
        (f"{SHIM}.config import ConfigFileLoader; ConfigFileLoader('no.yaml', 'x')", "ConfigurationFileError: no.yaml"),
        (f"{SHIM}.secrets import get_secret_value; get_secret_value(5)", "TypeError: str expected, not int"),
        ("raise type('Odd', (Exception,), {})('x')", "Odd: x"),
    ],
)
def test_frames_are_the_persons_own(body, exception):
    error = failure(body)
    assert {frame.file for frame in error.frames} == {BLOCK}
    assert error.exception.startswith(exception)


def test_module_that_the_project_should_have_is_not_to_be_installed(tmp_path):
    (tmp_path / "utils").mkdir()
    wrong = replace(made(""), project_root=str(tmp_path), source="raise ModuleNotFoundError(name='utils.gone')")
    assert "'utils' is the project's own" in call_block(wrong, MemoryArtifacts()).error.hint
    foreign = replace(wrong, source="raise ModuleNotFoundError(name='numpi.gone')")
    assert "spellbook install demo 'numpi'" in call_block(foreign, MemoryArtifacts()).error.hint


def test_frames_of_a_function_that_ours_calls_stay():
    error = failure("from spellbook_core.worker.call import _consumed\n_consumed(1 / 0 for _ in range(1))")
    assert [frame.function for frame in error.frames] == ["f", "<genexpr>"]


def test_wrong_log_call_is_told_by_the_persons_own_lines(capsys):
    wrong = replace(made("kwargs['logger'].info('%d', 'x')"), block="logs")  # pytest listens to loggers that it knows
    with own_lines_told(wrong):
        assert call_block(wrong, MemoryArtifacts()).error is None
    assert capsys.readouterr().err.splitlines() == [
        "--- Logging error ---",
        f'  File "{BLOCK}", line 3, in f',
        "    kwargs['logger'].info('%d', 'x')",
        "TypeError: %d format: a real number is required, not str",
        "Message: '%d'",
        "Arguments: ('x',)",
    ]
