"""A person's Markdown keeps its form and loses everything that reaches out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.ui.markdown_text import of_file, render

HOSTILE = "\n".join(
    [
        "![x](http://127.0.0.1:9/canary)",
        "![x][ref]",
        "[ref]: http://127.0.0.1:9/canary",
        "[a](javascript:alert(1)) <http://127.0.0.1:9/canary> http://127.0.0.1:9/canary www.host.net",
        "<img src=http://127.0.0.1:9/canary onerror=alert(1)> <script>alert(1)</script>",
        ":red[x] :material/home: :streamlit: $x^2$",
        "- ![x](http://127.0.0.1:9/canary)",
        "> # ![x](http://127.0.0.1:9/canary)",
        "| ![x](http://127.0.0.1:9/canary) | b |",
        "|---|---|",
        "**![x](http://127.0.0.1:9/canary)** *[a](http://127.0.0.1:9)* ~~<b>~~",
        "```x](http://127.0.0.1:9/canary)",
        "``",
        "![x](http://127.0.0.1:9/canary)",
        "```",
        "~~~",
        "```",
        "~~~",
        "![x](http://127.0.0.1:9/canary)",
    ]
)


def outside_code(shown: str) -> str:
    """Return what is not inside a fence or a code span of the result."""
    kept, fence = [], None
    for line in shown.split("\n"):
        mark = re.match(r"`{3,}", line)
        if fence is None and mark:
            fence = mark[0]
        elif fence is not None:
            fence = None if line == fence else fence
        else:
            kept.append(re.sub(r"(?<!\\)(`+)(.+?)(?<!`)\1(?!`)", "", line))
    return "\n".join(kept)


def is_inert(shown: str) -> bool:
    """Whether no bracket, picture, tag, directive or address is left that Markdown would act upon."""
    letters = outside_code(shown)
    return not re.search(r"[\[\]]|(?<!\\)[<$]|(?<!\\):|://|javascript:(?!\u2060)", letters.replace("\\:\u2060", ""))


@pytest.mark.guarantee("N19")
def test_hostile_text_is_shown_and_does_nothing():
    shown = render(HOSTILE)
    assert is_inert(shown), shown


@given(st.text(alphabet="![]()<>`~*_#|:-$ \n\tax1.", max_size=80))
@pytest.mark.guarantee("N19")
def test_no_text_reaches_out(text):
    assert not re.search(r"[\[\]]|(?<!\\)<", outside_code(render(text)))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("# Title #", "### Title"),
        ("##### Deep", "###### Deep"),
        ("a **b** *c* ~~d~~ `e*`", "a **b** *c* ~~d~~ `e*`"),
        ("- a\n  - b\n1. c", "- a\n  - b\n1. c"),
        ("> quoted", "> quoted"),
        ("|a|b|\n|--|:-:|\n|1|2|", " | a | b | \n|--|:-:|\n | 1 | 2 | "),
        ("snake_case_name", "snake\\_case\\_name"),
        ("[Site](https://example.org)", "Site (`https://example.org`)"),
        ("![Plan](plan.png)", "*Plan*"),
        ("```python\nx = 1\n```", "\n```python\nx = 1\n```\n"),
    ],
)
def test_forms_are_kept(text, shown):
    assert re.sub(r" *\| *", "|", render(text)) == re.sub(r" *\| *", "|", shown)


def test_python_files_show_their_texts():
    assert of_file('"""# Title\n\nText."""\n', "markdowns/a.py") == "# Title\n\nText."
    assert of_file("# # Title\n# Text.\n", "markdowns/a.py") == "# Title\nText."
    assert of_file("# Title", "markdowns/a.md") == "# Title"
    assert of_file("just ( text", "markdowns/a.py") == "just ( text"
