"""What a shell block wrote becomes its output whole, or is refused."""

from __future__ import annotations

import pytest

from spellbook_core.worker.shell_files import read_output
from spellbook_core.worker.shell_problems import CommandOutputError
from tests.unit.worker.test_call import task


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,x\n", [{"a": 1, "b": "x"}]),
        ("a,b\n", []),
        ("Sales,,\na,b,c\n1,2,3\n", [("a", "b", "c"), ("1", "2", "3")]),
        ("a,b\n1\n1,2,3\n", [("1",), ("1,2,3",)]),
        ("a,b\n" + "1,2\n" * 30_000 + "late,2\n", 30_001),
    ],
)
def test_no_line_of_a_csv_file_is_passed_over(tmp_path, text, rows):
    (tmp_path / "output.csv").write_text(text)
    found = read_output(tmp_path, task()).table
    if isinstance(rows, int):
        assert found.num_rows == rows
    elif rows and isinstance(rows[0], tuple):
        assert [tuple(row.values()) for row in found.to_pylist()] == rows
    else:
        assert found.to_pylist() == rows


def test_output_that_is_no_file_is_refused(tmp_path):
    assert read_output(tmp_path, task()) is None
    (tmp_path / "output.json").mkdir()
    with pytest.raises(CommandOutputError, match="that is no file"):
        read_output(tmp_path, task())
