"""Which modules of a project a block reaches, as its worker would find them."""

from __future__ import annotations

import os
import stat

import pytest

from spellbook_core.project.closure import CodeIndex, index_of
from spellbook_core.project.installed import environment_of
from spellbook_core.project.layout import Workspace
from spellbook_core.project.otherfiles import facts_in
from spellbook_core.project.sourcefacts import facts_of
from tests.conftest import make_project

FILES = {
    "utils/__init__.py": "",
    "utils/variables.py": "EPOCHS = 3\n",
    "utils/frames.py": "from .variables import EPOCHS\nfrom . import names\nimport pandas\n",
    "utils/names.py": "from titanic.utils import frames\n",
    "utils/deep/__init__.py": "from ..variables import EPOCHS\n",
    "utils/deep/one.py": "",
    "utils/deep/two.py": "",
    "plain/thing.py": "",
    "alone.py": "import plain.thing\n",
    "json.py": "",
    "transformers/fill.py": "",
}
SHARED = "shared/__init__.py"
INIT, VARIABLES = "utils/__init__.py", "utils/variables.py"
RING = {INIT, VARIABLES, "utils/frames.py", "utils/names.py"}


@pytest.fixture
def project(tmp_path):
    make_project(tmp_path, name="titanic", files=FILES)
    make_project(tmp_path, name="other", files={"shared/__init__.py": "", "shared/x.py": "Y = 1\n"})
    return Workspace.open(tmp_path).project("titanic")


def reached(project, text: str):
    index = index_of(project)
    index.look()
    return index.closure(facts_of(text).imports)


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("from titanic.utils.variables import EPOCHS", {"__init__.py", INIT, VARIABLES}),
        ("from default_repo.utils.variables import EPOCHS", {"__init__.py", INIT, VARIABLES}),
        ("import utils.variables", {INIT, VARIABLES}),
        ("from utils import variables", {INIT, VARIABLES}),
        ("from utils import EPOCHS", {INIT}),
        ("import utils.frames", {*RING, "__init__.py"}),
        ("import utils.deep", {INIT, VARIABLES, "utils/deep/__init__.py"}),
        (
            "from utils.deep import *",
            {INIT, VARIABLES, "utils/deep/__init__.py", "utils/deep/one.py", "utils/deep/two.py"},
        ),
        ("import plain.thing", {"plain/thing.py"}),
        ("import alone", {"alone.py", "plain/thing.py"}),
        ("import json", set()),
        ("import pandas, torch.nn", set()),
        ("from .utils import variables", set()),
        ("import utils.missing.thing", {INIT}),
        ("import missing", set()),
        (
            "from other.shared.x import Y",
            {"../other/__init__.py", "../other/shared/__init__.py", "../other/shared/x.py"},
        ),
        ("import titanic", {"__init__.py"}),
        ("import importlib\nimportlib.import_module('plain.thing')", {"plain/thing.py"}),
    ],
)
def test_imports_are_followed(project, text, members):
    assert set(reached(project, text).members) == members


def test_packages_from_outside_are_named(project):
    assert reached(project, "import torch.nn, json\nimport utils.frames").packages == {"torch", "pandas"}


def test_change_of_a_module_changes_the_digest_at_once(project):
    text = "import utils.variables"
    before = reached(project, text).digest
    (project.root / VARIABLES).write_text("EPOCHS = 4\n")
    changed = reached(project, text).digest
    (project.root / VARIABLES).write_text("EPOCHS = 3  # again\n")
    assert reached(project, text).digest == before != changed


def test_new_module_is_noticed(project):
    text = "from utils import EPOCHS"
    before = reached(project, text)
    (project.root / "utils/EPOCHS.py").write_text("")
    assert set(reached(project, text).members) - set(before.members) == {"utils/EPOCHS.py"}


def test_change_with_kept_time_and_size_is_noticed(project):
    text = "import utils.variables"
    before = reached(project, text).digest
    path = project.root / VARIABLES
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    path.write_text("EPOCHS = 4\n")
    os.utime(path, ns=times)
    assert reached(project, text).digest != before


def test_meanings_name_the_changed_name(project):
    closure = reached(project, "import utils.variables")
    assert closure.digest in closure.meanings
    assert "EPOCHS" in closure.meanings[closure.members[VARIABLES].digest]


def test_file_outside_of_the_projects_is_not_read(project, tmp_path):
    secret = tmp_path / "secret.py"
    secret.write_text("PASSWORD = 1\n")
    (project.root / "utils/link.py").symlink_to(secret)
    facts = reached(project, "import utils.link").members["utils/link.py"]
    assert facts.names == {}


def test_named_pipe_is_no_module(project):
    """Nor for Python; reading it would wait for somebody to write."""
    os.mkfifo(project.root / "utils/pipe.py")
    assert reached(project, "import utils.pipe").members.keys() == {INIT}
    assert index_of(project).data(str(project.root / "utils/pipe.py")) is None


def test_single_project_looks_into_no_neighbour(tmp_path):
    make_project(tmp_path, name="other", files={"x.py": ""})
    (tmp_path / "projects" / "alone").mkdir()
    index = CodeIndex(tmp_path / "projects" / "alone", None)
    assert index.closure(facts_of("import other.x").imports).members == {}


def test_broken_module_counts_by_its_bytes(project):
    (project.root / VARIABLES).write_text("def broken(:\n")
    before = reached(project, "import utils.variables").digest
    (project.root / VARIABLES).write_text("def broken(: #\n")
    assert reached(project, "import utils.variables").digest != before


def test_environment_names_lock_file_and_versions(project):
    before = environment_of(project, frozenset({"sklearn"}))
    assert {"Python", "platform", "pandas", "pyarrow"} <= before.keys()
    (project.root / "requirements.txt").write_text("pandas\n")
    after = environment_of(project, frozenset())
    assert set(after) - set(before) == {"requirements.txt"}


def test_packages_of_a_made_environment_count_by_their_versions(project):
    python = project.workspace.environment_dir("ab" * 16) / "bin" / "python"
    assert set(environment_of(project, frozenset({"requests"}), str(python))) == {"environment", "platform"}
    site = python.parent.parent / "lib/python3.11/site-packages"
    (site / "requests-2.30.0.dist-info").mkdir(parents=True)
    (python.parent.parent / "spellbook-environment.json").write_text("{}")
    assert environment_of(project, frozenset({"requests"}), str(python))["requests"] == "2.30.0"
    (site / "requests-2.30.0.dist-info").rename(site / "requests-2.31.0.dist-info")
    assert environment_of(project, frozenset({"requests"}), str(python))["requests"] == "2.31.0"


def asks(project, text: str) -> dict[str, str]:
    """Return what stands for secrets in the environment of a block with that text."""
    facts = facts_of(text)
    index = CodeIndex(project.root, project.root.parent)
    packages = index.closure(facts.imports).packages
    return {name: value for name, value in environment_of(project, packages).items() if name.startswith("secret ")}


def test_secret_counts_for_blocks_that_name_it_and_its_value_is_nowhere(project):
    (project.root / ".env").write_text("API_KEY=first value\nother_token=another value\nPLAIN=x\n")
    (project.root / "utils/client.py").write_text("import os\nKEY = os.environ['API_KEY']\n")
    direct = asks(project, "from spellbook_core import secret\nsecret('API_KEY')")
    assert set(direct) == {"secret API_KEY"}
    assert asks(project, "import utils.client") == direct
    assert asks(project, "secret = 'API KEY'") == {}
    assert set(asks(project, "from mage_ai.io.config import ConfigFileLoader")) == {
        "secret API_KEY",
        "secret other_token",
        "secret PLAIN",
    }
    (project.root / ".env").write_text("API_KEY=second value\n")
    assert asks(project, "import utils.client") != direct
    (project.root / ".env").write_text("API_KEY=first value\n")
    assert asks(project, "import utils.client") == direct
    key = project.workspace.state_dir / "secret.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.unlink()
    assert asks(project, "import utils.client") != direct, "without the key no value can be tried against a digest"


VARIABLE = "variable "


@pytest.mark.parametrize(
    ("text", "language", "names"),
    [
        ("import os\nos.environ['MODE']", "python", {"MODE"}),
        ("from os import environ as e\ne['MODE']", "python", {"MODE"}),
        ("import os\nos.getenv('quiet_mode')", "python", {"quiet_mode"}),
        ("import os\nos.getenv('DB')", "python", {"DB"}),
        ("import os\nimport utils.modes\nos.environ[utils.modes.NAME]", "python", {"MODE"}),
        ("import utils.modes", "python", set()),
        ("frame['MODE']", "python", set()),
        ("import os\nos.environ['NOT_THERE']", "python", set()),
        ("echo $quiet_mode ${MODE}", "shell", {"MODE", "quiet_mode"}),
        ("select {{ env_var('MODE') }}", "sql", {"MODE"}),
        ("select MODE, 'MODE'", "sql", set()),
    ],
)
def test_variable_of_the_environment_counts_where_it_is_named_and_read(project, monkeypatch, text, language, names):
    (project.root / "utils/modes.py").write_text("NAME = 'MODE'\n")

    def found() -> dict[str, str]:
        facts = facts_in(text, language)
        packages = CodeIndex(project.root, project.root.parent).closure(facts.imports).packages
        told = environment_of(project, packages | {ref.module for ref in facts.imports})
        return {name: value for name, value in told.items() if name.startswith(VARIABLE)}

    monkeypatch.setenv("MODE", "dev")
    monkeypatch.setenv("quiet_mode", "1")
    monkeypatch.setenv("DB", "1")
    before = found()
    assert {name.removeprefix(VARIABLE) for name in before} == names
    assert "dev" not in before.values()
    monkeypatch.setenv("MODE", "prod")
    assert (found() != before) == ("MODE" in names)


def test_reader_of_io_config_depends_on_all_of_it(project, monkeypatch):
    def found() -> str | None:
        packages = {ref.module for ref in facts_of("from mage_ai.io.config import ConfigFileLoader").imports}
        return environment_of(project, frozenset(packages)).get("io_config.yaml")

    config = project.root / "io_config.yaml"
    assert found() is None
    config.write_text("default:\n  POSTGRES_HOST: \"{{ env_var('DATABASE_HOST') }}\"\n")
    before = found()
    monkeypatch.setenv("DATABASE_HOST", "elsewhere")
    assert len({before, found()}) == 2
    config.write_text("default:\n  POSTGRES_HOST: here\n")
    assert found() not in {before, None}


def test_module_in_another_encoding_is_read_as_python_reads_it(project):
    module, digests = project.root / "utils/names.py", set()
    for byte in (b"\xe8", b"\xe9"):
        module.write_bytes(b"# -*- coding: latin-1 -*-\nfrom .deep import one\nNAME = 'caf" + byte + b"'\n")
        found = reached(project, "import utils.names")
        digests.add(found.digest)
        assert "utils/deep/one.py" in found.members
    assert len(digests) == 2
    module.write_bytes(b"\xef\xbb\xbffrom .deep import two\n")  # with a byte order mark
    assert "utils/deep/two.py" in reached(project, "import utils.names").members
    for byte in (b"\xe8", b"\xe9"):
        module.write_bytes(b"NAME = '" + byte + b"'\n")  # no text that Python reads: known by its bytes
        digests.add(reached(project, "import utils.names").digest)
    assert len(digests) == 4
