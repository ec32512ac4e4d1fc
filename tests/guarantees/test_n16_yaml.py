"""N16, F21: YAML runs no code and exhausts nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from spellbook_core.project.metadata import load_pipeline, parse_pipeline
from spellbook_core.project.yaml_files import BadYamlError

PATH = Path("p/metadata.yaml")


@pytest.mark.guarantee("N16")
@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['touch {canary}']",
        "!!python/object/new:os.system ['touch {canary}']",
        "!!python/name:os.system",
        "!!python/module:os",
        "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch {canary}']",
        "!!binary aGk=",
        "!!set {{a}}",
        "!own 1",
    ],
)
@pytest.mark.parametrize("place", ["x: {value}", "blocks:\n- {value}", "blocks:\n- uuid: {value}\n  type: custom"])
def test_tags_are_refused_without_effect(tmp_path, value, place):
    canary = tmp_path / "canary"
    text = place.replace("{value}", value.format(canary=canary))
    with pytest.raises(BadYamlError, match=r"tag .* is refused"):
        parse_pipeline(text.encode(), PATH)
    assert not canary.exists()


@pytest.mark.guarantee("F21")
@pytest.mark.guarantee("N16")
@pytest.mark.parametrize(
    "data",
    [
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)),
        "a: &a " + "x" * 100_000 + "\nb: [" + ", ".join(["*a"] * 100) + "]\n",
        "a: &a\n" + "".join(f"  k{n:0>999}: 1\n" for n in range(100)) + "b: [" + ", ".join(["*a"] * 100) + "]\n",
        "a0: &a0 [[x]]\n" + "".join(f"a{n}: &a{n} [[*a{n - 1}]]\n" for n in range(1, 40)),
        "[" * 10_000,
        "a: " + "[" * 3_000_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "\n".join(" " * n + "a:" for n in range(2_000)),
        "? " * 50_000,
        "a: " + "x" * (5 * 1024 * 1024),
    ],
    ids=[
        "alias bomb",
        "long alias",
        "long keys",
        "deep alias",
        "10,000 brackets",
        "3M brackets",
        "maps",
        "dashes",
        "indents",
        "keys",
        "5 MB",
    ],
)
def test_bombs_are_refused_quickly(data):
    started = time.process_time()
    with pytest.raises(BadYamlError, match=r"metadata\.yaml:"):
        parse_pipeline(data.encode(), PATH)
    assert time.process_time() - started < 1.0


@pytest.mark.guarantee("F21")
@pytest.mark.guarantee("N16")
def test_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "metadata.yaml"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    with pytest.raises(ValueError, match="at most"):
        load_pipeline(path)
