"""Adding packages to a metadata.yaml changes their lines only."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from spellbook_core.project.environment_edit import with_packages
from spellbook_core.project.yaml_files import BadYamlError

PLACE = Path("demo/metadata.yaml")
SECTION = "spellbook:\n  environment:\n    packages:\n    - numpy\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", SECTION),
        ("# only words\n", f"# only words\n{SECTION}"),
        ("a: 1  # one\n\n# two\nb: 2", f"a: 1  # one\n\n# two\nb: 2\n{SECTION}"),
        (
            "a: 1\nspellbook:\n  environment:\n    packages: [old]\n\n# about b\nb: 2\n",
            f"a: 1\n{SECTION}\n# about b\nb: 2\n",
        ),
        (
            "spellbook:\n  other: {x: 1}\n  environment:\n    requirements: r.txt\n",
            "spellbook:\n  other:\n    x: 1\n  environment:\n    requirements: r.txt\n    packages:\n    - numpy\n",
        ),
        ("spellbook: {environment: {inherit: true}}\nz: 1\n", None),
    ],
)
def test_only_its_own_lines_change(before, after):
    text = with_packages(before, PLACE, ["numpy"])
    assert after is None or text == after
    found = yaml.safe_load(text)
    assert found.pop("spellbook")["environment"]["packages"] == ["numpy"]
    kept = yaml.safe_load(before) or {}
    kept.pop("spellbook", None)
    assert found == kept


def test_file_that_cannot_be_read_is_left_alone():
    with pytest.raises(BadYamlError, match=r"metadata\.yaml:2:1"):
        with_packages("a: [\n", PLACE, ["numpy"])
