"""What blocks import in vain is told before they run, from texts and names of files alone."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from spellbook_core.project.environment import BadEnvironmentError, interpreter_of, settings_of
from spellbook_core.project.layout import Workspace
from spellbook_core.project.packages import CLIENT_DRIVERS, REQUIREMENT, required
from spellbook_core.project.site_packages import importable, site_folders
from spellbook_core.services import environments, pipelines
from spellbook_core.services.wiring import open_context
from tests.conftest import BlockFile, chain, make_project

HEAD = "project_type: standalone\nspellbook:\n  environment:\n"


def block(imports: str) -> str:
    return f"{imports}\n@data_loader\ndef load(*args, **kwargs):\n    return 1\n"


def findings(tmp_path: Path, code: str, **project) -> list:
    make_project(tmp_path, **project)
    context = open_context(tmp_path)
    return [found for found in pipelines.validate(context, "demo", "main") if found.code == code]


def environment(project: Path, *packages: str) -> str:
    """Lay out the folders of an environment with these packages; nothing in it can run."""
    (project / "venv/bin").mkdir(parents=True)
    python = project / "venv/bin/python"
    python.write_text("#!/bin/false\n")
    python.chmod(0o755)
    (project / "venv/pyvenv.cfg").write_text("home = /nowhere/bin\ninclude-system-site-packages = false\n")
    site = project / "venv/lib/python3.12/site-packages"
    site.mkdir(parents=True)
    for name in packages:
        if name.endswith(("-info", ".py", ".so")):
            (site / name).touch()
        else:
            (site / name).mkdir()
    return "    python: venv/bin/python\n"


def test_missing_package_is_named_as_it_is_installed(tmp_path):
    source = block("import no_such_package\nfrom sklearn_of_nobody.tree import x\nimport cv2, os, pandas")
    found = findings(tmp_path, "SB-PRJ-015", blocks={"a": source})
    assert [(each.block, each.line) for each in found] == [("a", 1), ("a", 2), ("a", 3)]
    assert "imports 'cv2'" in found[2].message
    assert found[2].hint == "spellbook install demo 'opencv-python'"


def test_version_of_requirements_txt_is_asked_for(tmp_path):
    files = {"requirements.txt": "# all\nno-such.package>=1.5,<2  # why\n-r more.txt\n"}
    [found] = findings(tmp_path, "SB-PRJ-015", blocks={"a": block("import no_such_package")}, files=files)
    assert found.hint == "spellbook install demo 'no-such.package>=1.5,<2'"


def test_import_of_a_module_that_the_block_imports_counts(tmp_path):
    files = {"utils/__init__.py": "", "utils/more.py": "\nimport no_such_package\n"}
    [found] = findings(tmp_path, "SB-PRJ-015", blocks={"a": block("from demo.utils.more import x")}, files=files)
    assert (found.block, found.file, found.line) == ("a", "utils/more.py", 2)


@pytest.mark.parametrize(
    "imports",
    [
        "try:\n    import no_such_package\nexcept ImportError:\n    no_such_package = None",
        "try:\n    import no_such_package\nexcept (ValueError, ModuleNotFoundError):\n    pass",
        "try:\n    import no_such_package\nexcept:\n    pass",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import no_such_package",
        "from . import no_such_package",
        "import demo, default_repo, mage_ai",
        "import",
    ],
)
def test_what_may_be_missing_is_not_told(tmp_path, imports):
    assert findings(tmp_path, "SB-PRJ-015", blocks={"a": block(imports)}) == []


def test_import_in_a_try_that_forgives_nothing_is_told(tmp_path):
    imports = "try:\n    import no_such_package\nexcept ValueError:\n    pass"
    assert len(findings(tmp_path, "SB-PRJ-015", blocks={"a": block(imports)})) == 1


def test_named_python_is_looked_into_without_starting_it(tmp_path):
    source = block("import pandas, one, two, three, four, absent_one, PIL")
    project = make_project(tmp_path, blocks={"a": source})
    line = environment(project, "one", "two.py", "three.cpython-312-x86_64-linux-gnu.so", "Four-1.0.dist-info")
    (project / "metadata.yaml").write_text(HEAD + line)
    found = pipelines.validate(open_context(tmp_path), "demo", "main")
    names = {each.message.split("'")[3] for each in found if each.code == "SB-PRJ-015"}
    assert names == {"pandas", "absent_one", "PIL"}  # Spellbook's own pandas is not there


def test_environment_that_is_not_made_yet_is_told_once(tmp_path):
    project = make_project(tmp_path, blocks={"a": block("import no_such_package"), "b": block("import another")})
    (project / "requirements.txt").write_text("no-such-package\n")
    (project / "metadata.yaml").write_text(HEAD + "    requirements: requirements.txt\n")
    found = pipelines.validate(open_context(tmp_path), "demo", "main")
    assert [(each.code, each.hint) for each in found] == [("SB-PRJ-062", "spellbook install demo")]


def test_promised_packages_are_not_missing(tmp_path):
    project = make_project(tmp_path, blocks={"a": block("import no_such_package, another_one")})
    (project / "metadata.yaml").write_text(HEAD + "    packages: [No.Such-Package>=2]\n")
    found = pipelines.validate(open_context(tmp_path), "demo", "main")
    assert [each.code for each in found] == ["SB-PRJ-062", "SB-PRJ-015"]
    assert "another_one" in found[1].message


def test_names_that_the_shim_lacks_are_told(tmp_path):
    imports = (
        "from mage_ai.data_preparation.decorators import data_loader, no_such_mark\nimport mage_ai.streaming.sources\n"
        "from mage_ai.io.file import FileIO\nfrom mage_ai.io import file, nothing\nfrom mage_ai.settings.repo import *"
    )
    found = findings(tmp_path, "SB-PRJ-063", blocks={"a": block(imports)})
    assert [(each.message.split("'")[3], each.line) for each in found] == [
        ("mage_ai.data_preparation.decorators.no_such_mark", 1),
        ("mage_ai.streaming.sources", 2),
        ("mage_ai.io.nothing", 4),
    ]
    assert "streaming is not run here" in found[1].hint


def test_driver_of_a_client_of_mage_is_named_before_the_run(tmp_path):
    """`mage_ai.io.x` itself is always there: what a run would miss is the driver that it is made over."""
    imports = "from mage_ai.io.mongodb import MongoDB\nimport mage_ai.io.snowflake\nfrom mage_ai.io import s3, duckdb"
    source = block(imports)
    project = make_project(tmp_path, blocks={"a": source, "b": source, "c": block("import boto3")})
    line = environment(project, "pandas", "snowflake_connector_python-4.0.dist-info", "duckdb")
    (project / "metadata.yaml").write_text(HEAD + line)
    context = open_context(tmp_path)
    found = [each for each in pipelines.validate(context, "demo", "main") if each.code == "SB-PRJ-015"]
    assert [(each.block, each.line, each.message.split("', ")[1]) for each in found] == [
        ("a", 1, "whose driver 'pymongo' is not installed."),
        ("a", 3, "whose driver 'boto3' is not installed."),
        ("b", 1, "whose driver 'pymongo' is not installed."),
        ("b", 3, "whose driver 'boto3' is not installed."),
        ("c", 1, "which is not installed."),
    ]
    assert found[0].hint == "spellbook install demo 'pymongo'"
    assert [each.package for each in environments.missing(context, "demo", "main")] == ["pymongo", "boto3"]


@pytest.mark.parametrize(("there", "is_told"), [("psycopg2", False), ("psycopg", False), ("", True)])
def test_any_driver_that_the_client_takes_will_do(there, is_told, tmp_path):
    project = make_project(tmp_path, blocks={"a": block("from mage_ai.io.postgres import Postgres")})
    (project / "metadata.yaml").write_text(HEAD + environment(project, *([there] if there else [])))
    found = [each.hint for each in pipelines.validate(open_context(tmp_path), "demo", "main")]
    assert found == (["spellbook install demo 'psycopg[binary]'"] if is_told else [])


def test_driver_that_a_sql_block_needs_goes_where_sql_blocks_run(tmp_path, monkeypatch):
    monkeypatch.setitem(CLIENT_DRIVERS, "mage_ai.io.snowflake", ("no-such-driver", "no_such_driver"))
    made = make_project(tmp_path, blocks={"q": BlockFile("SELECT 1", "data_loader")})
    (made / "data_loaders" / "q.sql").write_text("SELECT 1\n")
    file = made / "pipelines" / "main" / "metadata.yaml"
    given = "  configuration: {data_provider: Snowflake}\n  downstream_blocks"
    text = file.read_text().replace("language: python", "language: sql")
    file.write_text(text.replace("  downstream_blocks", given))
    [found] = [each for each in pipelines.validate(open_context(tmp_path), "demo", "main") if each.block == "q"]
    assert (found.code, found.severity) == ("SB-PRJ-015", "warning")
    assert "'no-such-driver'" in found.message
    assert found.hint == f"{sys.executable} -m pip install 'no-such-driver'"


def test_database_that_sql_blocks_do_not_offer_is_told(tmp_path):
    made = make_project(tmp_path, blocks={"q": BlockFile("SELECT 1", "data_loader")})
    (made / "data_loaders" / "q.sql").write_text("SELECT 1\n")
    file = made / "pipelines" / "main" / "metadata.yaml"
    given = "  configuration: {data_provider: bigquery}\n  downstream_blocks"
    text = file.read_text().replace("language: python", "language: sql")
    file.write_text(text.replace("  downstream_blocks", given))
    [found] = pipelines.validate(open_context(tmp_path), "demo", "main")
    assert (found.code, found.severity) == ("SB-PRJ-014", "warning")
    assert "'bigquery', which SQL blocks do not offer" in found.message


@pytest.mark.thorough
def test_500_blocks_are_checked_within_a_second(tmp_path):
    source = "import pandas as pd, nothing_{0}\nfrom demo.utils.more import x\n" + (
        "@transformer\ndef f(data, *args, **kwargs):\n    y = {0}\n"
    )
    blocks = {name: BlockFile(source.format(number), "transformer") for number, name in enumerate(chain(500))}
    make_project(tmp_path, blocks=blocks, files={"utils/__init__.py": "", "utils/more.py": "import yaml\nx = 1\n"})
    context = open_context(tmp_path)
    begun = time.process_time()
    found = pipelines.validate(context, "demo", "main")
    assert time.process_time() - begun < 1.0
    assert sum(each.code == "SB-PRJ-015" for each in found) == 500


# -- the settings


@pytest.mark.parametrize(
    ("section", "what"),
    [
        ("    pyhton: 3.12\n", "no mapping of python"),
        ("    python: [a]\n", "'spellbook.environment.python'"),
        ("    packages: numpy\n", "'spellbook.environment.packages'"),
        ("    packages: ['--index-url=http://evil']\n", "no name with an optional version"),
        ("    packages: ['x @ https://evil/x.whl']\n", "no name with an optional version"),
        ("    packages: ['../evil']\n", "no name with an optional version"),
        ("    packages: [numpy]\n    inherit: maybe\n", "'spellbook.environment.inherit'"),
    ],
)
def test_bad_setting_is_told_by_its_key(tmp_path, section, what):
    project = make_project(tmp_path)
    (project / "metadata.yaml").write_text(HEAD + section)
    layout = Workspace.open(tmp_path).project("demo")
    with pytest.raises(BadEnvironmentError, match=what):
        settings_of(layout)


@pytest.mark.guarantee("N11")
@pytest.mark.parametrize("path", ["../outside.txt", "/etc/passwd", ".hidden"])
def test_requirements_stay_in_the_project(tmp_path, path):
    project = make_project(tmp_path)
    (tmp_path / "projects" / "outside.txt").write_text("x\n")
    (project / "metadata.yaml").write_text(HEAD + f"    requirements: {path}\n")
    from spellbook_core.project.containment import OutsideProjectError

    with pytest.raises(OutsideProjectError, match=r"."):
        interpreter_of(Workspace.open(tmp_path).project("demo"))


def test_environment_is_named_by_what_it_is_made_from(tmp_path):
    project = make_project(tmp_path, files={"requirements.txt": "-r more.txt\n", "more.txt": "x==1\n"})
    (project / "metadata.yaml").write_text(HEAD + "    requirements: requirements.txt\n")
    layout = Workspace.open(tmp_path).project("demo")
    first = interpreter_of(layout)
    assert first == interpreter_of(layout)
    assert first.path == f"{tmp_path}/.spellbook/environments/{first.recipe.digest}/bin/python"
    (project / "more.txt").write_text("x==2\n")
    assert interpreter_of(layout).recipe.digest != first.recipe.digest


def test_file_without_the_key_need_not_be_readable(tmp_path):
    project = make_project(tmp_path)
    (project / "metadata.yaml").write_text("a: [\n")
    assert interpreter_of(Workspace.open(tmp_path).project("demo")) is None


@pytest.mark.parametrize("text", ["numpy", "scikit-learn>=1.5,<2", "uvicorn[standard]==0.3.*", "a ~= 1.2", "A.b_c!=1"])
def test_names_with_versions_can_be_asked_for(text):
    assert REQUIREMENT.fullmatch(text)


@pytest.mark.parametrize(
    "text",
    [
        "-r x",
        "--pre",
        "-e .",
        "http://x/y.whl",
        "a @ file:///x",
        "./a",
        "a b",
        "a;b",
        "a\n-r b",
        "",
        "a>=1 --hash=x",
        "-a",
    ],
)
def test_options_addresses_and_paths_cannot(text):
    assert not REQUIREMENT.fullmatch(text)


def test_plain_lines_of_requirements_are_read():
    text = "\n".join(["numpy==1 # c", "-e .", "x @ https://y", "Foo.Bar>2 ; python_version < '3'", "--pre", "./w.whl"])
    assert required(text) == {"numpy": "numpy==1", "foo_bar": "Foo.Bar>2"}


def test_folder_of_a_venv_on_the_system_packages(tmp_path):
    base = tmp_path / "base/lib/python3.12/site-packages"
    venv = tmp_path / "venv/lib/python3.12/site-packages"
    for folder, name in ((base, "below"), (venv, "above")):
        (folder / name).mkdir(parents=True)
    (tmp_path / "venv/pyvenv.cfg").write_text(f"home = {tmp_path}/base/bin\ninclude-system-site-packages = true\n")
    folders = site_folders(f"{tmp_path}/venv/bin/python")
    assert folders == (str(venv), str(base))
    assert {"above", "below"} <= importable(folders)
