"""What SQL and shell files ask of their surroundings, from their text alone."""

from __future__ import annotations

import pytest

from spellbook_core.project.blockfile import inspect
from spellbook_core.project.otherfiles import facts_in, headline, missing_table


def test_sql_sees_the_variables_in_its_braces():
    facts = facts_in("select {{ least }}, most, '{{ ds }}' {% if env == 'dev' %}{% endif %}", "sql")
    assert {"least", "ds", "env"} <= facts.keywords
    assert "most" not in facts.keywords
    assert facts.mentions == {"ds", "env"}
    assert facts_in("select {{ variables(name) }}", "sql").keywords is None
    assert facts_in("select 1", "sql").keywords == frozenset()


def test_every_byte_of_another_language_counts():
    for language in ("sql", "shell", "r"):
        assert facts_in("a", language).digest != facts_in("a ", language).digest
    assert facts_in("echo $SPELLBOOK_EXECUTION_DATE", "shell").mentions == {"execution_date"}


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("-- Title.\n-- More.\nselect 1", "sql", "Title.\nMore."),
        ("#!/bin/bash\n# Title.\ntrue", "shell", "Title."),
        ("select 1 -- no", "sql", ""),
    ],
)
def test_headline_is_the_comment_at_the_top(text, language, expected):
    assert headline(text, language) == expected


@pytest.mark.parametrize(
    ("text", "parents", "missing"),
    [("{{ df_1 }} {{ df_2[0] }}", 2, None), ("{{ df_2 }}", 1, 2), ("{{ df_0 }}", 1, 0), ("df_9", 0, None)],
)
def test_table_without_a_parent_is_found(text, parents, missing):
    assert missing_table(text, parents) == missing


def test_malformed_expression_is_found_with_its_line():
    problem = inspect("select\n{{ a", "transformer", "a.sql", language="sql").problem
    assert problem is not None
    assert (problem.code, problem.line) == ("SB-PRJ-010", 2)
    assert inspect("select {{ nix }} '{' %}", "transformer", "a.sql", language="sql").problem is None
    assert inspect("-- Title.\nselect 1", "transformer", "a.sql", language="sql").docstring == "Title."
