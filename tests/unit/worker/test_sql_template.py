"""What `{{ }}` of a SQL block becomes: places for bound values and quoted names, whatever the values are."""

from __future__ import annotations

import datetime
import types

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.worker.sql_parts import Table
from spellbook_core.worker.sql_problems import TemplateError
from spellbook_core.worker.sql_template import statements

HOSTILE = ("1; DROP TABLE t", "'; DROP TABLE t; --", "a' OR '1'='1", "$p1", "{{ x }}", "\\'; DROP TABLE t")
ORDERS = Table("api/orders", ("age", 'odd"name'))


def written(text, identifiers=("age", 'odd"name', "api/orders"), **names):
    """Return (text, values) of each statement."""
    found = statements(text, {"df_1": ORDERS, **names}, identifiers=identifiers)
    return [one.written(lambda number: f"$p{number}") for one in found]


def asked(text, **names):
    """Return what DuckDB answers to the one statement of `text`."""
    ((sql, values),) = written(text, **names)
    bound = {f"p{number}": value for number, value in enumerate(values, start=1)}
    with duckdb.connect(":memory:") as connection:
        return connection.execute(sql, bound or None).fetchall()


@pytest.mark.parametrize(
    ("text", "sql", "values"),
    [
        ("select {{ x }}", "select $p1", ["1; DROP TABLE t"]),
        ("select '{{ x }}'", "select $p1", ["1; DROP TABLE t"]),
        ("select 'a {{ x }} b''c'", "select ('a ' || $p1 || ' b''c')", ["1; DROP TABLE t"]),
        ("select DATE '{{ day }}'", "select CAST($p1 AS DATE)", ["2026-01-05"]),
        ("select * from {{ df_1 }}", 'select * from "api/orders"', []),
        ('select "{{ name }}"', 'select "odd""name"', []),
        ("select {{ identifier(name) }}", 'select "odd""name"', []),
        ("select 1 in ({{ few }}), {{ few }}", "select 1 in ($p1, $p2), $p3", [1, 2, [1, 2]]),
        ("select 1 in ({{ none }})", "select 1 in ($p1)", [None]),
        ("select {{ nothing }}, '{{ nothing }}'", "select $p1, $p2", [None, ""]),
        ("select {{ day | upper }}", "select $p1", ["2026-01-05"]),
        ("-- {{ nix }}\nselect 1", "-- \nselect 1", []),
        ("/* {{ nix }} /* ; */ */ select 1", "/*  /* ; */ */ select 1", []),
        ("select ';', $$;$$, \"a;b\"", "select ';', $$;$$, \"a;b\"", []),
        ("{% for c in df_1.columns %}{{ identifier(c) }},{% endfor %} 1", '"age","odd""name", 1', []),
    ],
)
def test_expressions_become_places(text, sql, values):
    names = {
        "x": "1; DROP TABLE t",
        "day": "2026-01-05",
        "name": 'odd"name',
        "few": [1, 2],
        "none": [],
        "nothing": None,
    }
    assert written(text, **names) == [(sql, values)]


@pytest.mark.guarantee("N21")
@pytest.mark.parametrize(
    "text",
    [
        "select {{ ''.__class__ }}",
        "select {{ ''.__class__.__mro__[1].__subclasses__() }}",
        "select {{ x | attr('__class__') }}",
        "select {{ '%s'.format.__globals__ }}",
        "select {{ '{0.__class__}'.format(x) }}",
        "select {{ env('HOME') }}",
        "select {{ env_var('HOME') }}",
        "select {{ lipsum.__globals__ }}",
        "select {{ self.__init__ }}",
        "select {{ cycler.__init__.__globals__.os }}",
        "select {{ range.__self__ }}",
        "select {{ module }}",
        "select {{ module.sep }}",
        "{% include 'x' %}",
        "{% import 'os' as os %}",
        "{% macro f() %}{% endmacro %}select 1",
        'select "{{ x }}"',
        "select {{ identifier(x) }}",
        "select * from {{ identifier('secrets') }}",
        "select E'{{ x }}'",
        "select $${{ x }}$$",
        "select $tag${{ x }}$tag$",
        "select '{{ df_1 }}'",
        "select {{ x.nix.nix }}",
        "select {{ x ",
        "select {{ 1 / 0 }}",
        "select \x00V0\x00",
    ],
)
def test_expressions_reach_nothing_else(text):
    with pytest.raises(TemplateError, match=r"\S") as caught:
        written(text, x="1; DROP TABLE t", module=types)
    assert caught.value.hint


@pytest.mark.guarantee("N21")
def test_hostile_values_leave_the_table():
    with duckdb.connect(":memory:") as connection:
        connection.execute("create table t as select 'a' as x")
        for hostile in (
            "1; DROP TABLE t",
            "'; DROP TABLE t; --",
            "a' OR '1'='1",
            "$p1",
            "{{ x }}",
            "\\'; DROP TABLE t",
        ):
            for text in (
                "select x from t where x = {{ v }}",
                "select x from t where x like '%{{ v }}%' or x = '{{ v }}'",
            ):
                ((sql, values),) = written(text, v=hostile)
                bound = {f"p{number}": value for number, value in enumerate(values, start=1)}
                assert connection.execute(sql, bound).fetchall() == []
        assert connection.execute("select count(*) from t").fetchall() == [(1,)]


@pytest.mark.thorough
@given(value=st.text().filter(lambda text: max(text, default="a") < "\ud800" and "\x00" not in text))
@pytest.mark.guarantee("N21")
def test_any_text_comes_back_as_it_is(value):
    assert asked("select {{ v }}, '{{ v }}', 'a{{ v }}b'", v=value) == [(value, value, f"a{value}b")]


def test_values_keep_their_types():
    day = datetime.date(2026, 1, 5)
    assert asked("select {{ a }} + 1, {{ day }} + 1, {{ m }}.k, {{ l }}[1]", a=1, day=day, m={"k": 2}, l=[3]) == [
        (2, datetime.date(2026, 1, 6), 2, 3)
    ]
    assert asked("select date '2026-01-05' = '{{ day }}', interval '{{ n }} days'", day=day, n=2) == [
        (True, datetime.timedelta(days=2))
    ]


def test_lines_are_those_of_the_file():
    text = "-- a\n\n{% for n in range(3) %}\nselect\n  {{ n }};\n{% endfor %}\nselect 'x\ny', {{ 1 }}\n  , 2"
    found = statements(text, {})
    assert [(one.lines[0], one.line(2)) for one in found] == [(1, 2), (4, 5), (4, 5), (7, 8)]
    assert found[-1].line(3) == 9
    with pytest.raises(TemplateError) as caught:
        statements("select\n{% if true %}\n1, {{ nix }}\n{% endif %}", {})
    assert caught.value.facts["line"] == 3
