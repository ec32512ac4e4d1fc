"""What the command line prints cannot be forged by names and logs, and reads well."""

from __future__ import annotations

import pytest

from spellbook_core.cli.output import clean, seconds
from spellbook_core.cli.running import parse_variables
from spellbook_core.errors import BadNameError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 한글", "plain 한글"),
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("a\tb", "a    b"),
    ],
)
@pytest.mark.guarantee("N32")
def test_control_characters_are_shown_not_obeyed(text, shown):
    assert clean(text) == shown


@pytest.mark.parametrize(("value", "shown"), [(None, ""), (0.0142, "14 ms"), (3.21, "3.2 s"), (125.0, "2 min 5 s")])
def test_durations_read_well(value, shown):
    assert seconds(value) == shown


def test_variables_are_json_or_text():
    assert parse_variables(["n=3", "name=x", "on=true", "list=[1, 2]", "empty=", "a=b=c"]) == {
        "n": 3,
        "name": "x",
        "on": True,
        "list": [1, 2],
        "empty": "",
        "a": "b=c",
    }


@pytest.mark.parametrize("text", ["n", "=3", " =3"])
def test_variable_without_name_is_refused(text):
    with pytest.raises(BadNameError, match="is no NAME=VALUE"):
        parse_variables([text])
