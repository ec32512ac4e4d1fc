"""The project's modules run as their files say now, whatever bytecode lies beside them."""

from __future__ import annotations

import json
import os
import py_compile
import subprocess
import sys

import pytest

from spellbook_core.worker.source_only import SourceLoader

PROGRAM = """
import json, sys
from pathlib import Path
from spellbook_core.worker.load import extend_import_path

extend_import_path(Path(sys.argv[1]))
found = {}
for name in sys.argv[2:]:
    module = __import__(name, fromlist=["*"])
    found[name] = [module.VALUE, module.__file__]
print(json.dumps(found))
"""


LOOK = "import importlib.util; sys.path.append(str(Path(sys.argv[1]).parent)); importlib.util.find_spec('nothing')\n"
"""Python's own finder of the projects' folder is remembered then."""

FORGET = "from spellbook_core.worker.source_only import forget_folders; forget_folders()\n"


def imported(project, *names, before=""):
    """Import modules in a Python that may write bytecode; return what each says its value is.

    Args:
        project: Its folder.
        names: Of the modules.
        before: Statements that run before the project is made importable.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    program = PROGRAM.replace("extend_import_path(Path", f"{before}\nextend_import_path(Path")
    ended = subprocess.run(
        [sys.executable, "-c", program, project, *names],
        cwd=project.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return {name: value for name, (value, _) in json.loads(ended.stdout).items()}


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"VALUE = {value}\n")
    os.utime(path, (1_700_000_000, 1_700_000_000))


@pytest.mark.guarantee("F45")
def test_an_edit_of_equal_size_within_the_same_second_is_seen(tmp_path):
    project, names = tmp_path / "demo", ("demo", "demo.lib.rates", "rates", "other.shared")
    files = [project / "__init__.py", project / "lib/rates.py", project / "rates.py", tmp_path / "other/shared.py"]
    for number in (1, 2):
        for file in files:
            write(file, number)
        assert imported(project, *names) == dict.fromkeys(names, number)
    assert list(tmp_path.rglob("*.pyc")) == []


def test_bytecode_that_others_left_is_not_believed(tmp_path):
    project = tmp_path / "demo"
    write(project / "rates.py", 1)
    py_compile.compile(str(project / "rates.py"), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    write(project / "rates.py", 2)
    assert imported(project, "rates", "demo.rates") == {"rates": 2, "demo.rates": 2}


@pytest.mark.parametrize("before", [LOOK, LOOK + FORGET, FORGET + LOOK, LOOK + FORGET + LOOK])
def test_folder_that_was_looked_at_before_is_read_from_source_too(tmp_path, before):
    """As a warm process may have, by its own imports or those of a rehearsal, before it or its child gets a block."""
    project = tmp_path / "demo"
    write(tmp_path / "other.py", 1)
    py_compile.compile(str(tmp_path / "other.py"), invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    write(tmp_path / "other.py", 2)
    write(project / "rates.py", 1)
    assert imported(project, "other", before=before) == {"other": 2}


def test_broken_bytecode_stops_nobody(tmp_path):
    project = tmp_path / "demo"
    write(project / "rates.py", 1)
    kept = py_compile.compile(str(project / "rates.py"))
    with open(kept, "r+b") as file:
        file.truncate(20)  # as Python 3.11 leaves it when the disk is full
    assert imported(project, "demo.rates") == {"demo.rates": 1}


def test_packages_that_are_installed_below_the_projects_keep_their_bytecode(tmp_path):
    project, folder = tmp_path / "demo", tmp_path / "demo/.venv/lib/python3/site-packages"
    write(folder / "installed_one.py", 1)
    write(project / "rates.py", 1)
    (project / "__init__.py").write_text(f"import sys\nsys.path.append({str(folder)!r})\nVALUE = 0\n")
    assert imported(project, "demo", "installed_one", "rates") == {"demo": 0, "installed_one": 1, "rates": 1}
    assert [path.name.split(".")[0] for path in tmp_path.rglob("*.pyc")] == ["installed_one"]


def test_module_that_is_no_text_is_named(tmp_path):
    path = tmp_path / "rates.py"
    path.write_bytes(b"VALUE = 1\0\n")
    with pytest.raises(SyntaxError) as raised:
        SourceLoader("rates", str(path)).get_code("rates")
    assert raised.value.filename == str(path)
