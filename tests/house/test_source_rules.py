"""Rules that keep whole classes of attack out, read from the syntax trees."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

MAY_EXECUTE = {"worker/load.py", "worker/mage_shim"}
MAY_UNPICKLE = {"artifacts/formats"}
MAY_COMPARE = {"worker/source_only.py"}
"""Tells whose module a file is, which refuses and allows nothing."""


def calls(tree: ast.Module):
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def name_of(call: ast.Call) -> str:
    return ast.unparse(call.func)


def found(sources, wanted, allowed=frozenset()) -> list[str]:
    hits = []
    for path, (_, tree) in sources.items():
        where = str(path).split("spellbook_core/", 1)[-1]
        if any(where.startswith(prefix) for prefix in allowed):
            continue
        hits.extend(f"{where}:{node.lineno}" for node in calls(tree) if wanted(node))
    return hits


def keyword_is(call: ast.Call, name: str, value: object) -> bool:
    return any(k.arg == name and isinstance(k.value, ast.Constant) and k.value.value is value for k in call.keywords)


@pytest.mark.guarantee("N22")
def test_no_shell_is_started(sources):
    assert found(sources, lambda c: keyword_is(c, "shell", True) or name_of(c) in {"os.system", "os.popen"}) == []


@pytest.mark.guarantee("N27")
def test_text_is_executed_in_one_place_only(sources):
    assert found(sources, lambda c: name_of(c) in {"eval", "exec"}, MAY_EXECUTE) == []


@pytest.mark.guarantee("N25")
def test_unpickling_happens_in_formats_only(sources):
    wanted = {"pickle.loads", "pickle.load", "cloudpickle.loads", "cloudpickle.load", "pickle.Unpickler", "joblib.load"}
    assert found(sources, lambda c: name_of(c) in wanted, MAY_UNPICKLE) == []


@pytest.mark.guarantee("N26")
def test_torch_load_is_weights_only(sources):
    assert found(sources, lambda c: name_of(c) == "torch.load" and not keyword_is(c, "weights_only", True)) == []


@pytest.mark.guarantee("N16")
def test_yaml_is_read_by_safe_loaders_only(sources):
    wanted = {"yaml.full_load", "yaml.unsafe_load", "yaml.load_all", "yaml.full_load_all"}
    assert found(sources, lambda c: name_of(c) in wanted) == []
    plain = found(sources, lambda c: name_of(c) == "yaml.load" and len(c.args) + len(c.keywords) < 2)
    assert plain == []


@pytest.mark.guarantee("N18")
def test_no_data_becomes_html(sources):
    unsafe = found(sources, lambda c: keyword_is(c, "unsafe_allow_html", True) or "components.html" in name_of(c))
    assert unsafe == []


@pytest.mark.guarantee("N4")
def test_product_has_no_terminal(sources):
    modules = {"pty", "terminado", "ptyprocess", "pexpect"}
    imported = [
        str(path)
        for path, (_, tree) in sources.items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Import) and any(alias.name in modules for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and node.module in modules)
    ]
    assert imported == []


@pytest.mark.guarantee("N12")
def test_roots_are_not_checked_by_prefix(sources):
    def wanted(call: ast.Call) -> bool:
        prefix = name_of(call).endswith(".startswith") and any(
            "root" in ast.unparse(argument) for argument in call.args
        )
        return prefix or name_of(call).endswith("commonprefix")

    assert found(sources, wanted) == []


@pytest.mark.guarantee("N12")
def test_paths_are_not_compared_as_text(sources):
    """Whatever the root is called: no text is asked whether it begins with a path that is put together there."""

    def wanted(call: ast.Call) -> bool:
        put_together = any(isinstance(argument, ast.JoinedStr | ast.BinOp) for argument in call.args)
        return name_of(call).endswith(".startswith") and put_together

    assert found(sources, wanted, MAY_COMPARE) == []


@pytest.mark.guarantee("N12")
def test_names_are_joined_to_paths_without_comparing_text(sources):
    """Where containment is checked, only written-out beginnings are asked for."""

    def wanted(call: ast.Call) -> bool:
        elements = [each for argument in call.args for each in getattr(argument, "elts", [argument])]
        return name_of(call).endswith(".startswith") and not all(isinstance(each, ast.Constant) for each in elements)

    hits = found(sources, wanted)
    assert [
        hit for hit in hits if hit.startswith(("project/containment", "project/layout", "project/state_folder"))
    ] == []


def test_only_one_module_knows_the_state_folder(sources):
    """Paths inside the state folder are joined in one module, so containment is checked in one module."""
    hits = [
        str(path).split("spellbook_core/", 1)[-1]
        for path, (text, _) in sources.items()
        if "STATE_FOLDER" in text and path.name not in {"settings.py", "state_folder.py"}
    ]
    assert hits == []


def test_rules_see_a_violation():
    tree = ast.parse("import os\nos.system('x')\n")
    planted = {Path("spellbook_core/x.py"): ("", tree)}
    assert found(planted, lambda c: name_of(c) == "os.system") == ["x.py:2"]
