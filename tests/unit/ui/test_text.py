"""User text reaches Streamlit's markdown inert, and figures read as people say them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.ui import text


def test_escape_leaves_letters_alone():
    assert text.escape("타이타닉 load2") == "타이타닉 load2"


@pytest.mark.guarantee("N19")
@pytest.mark.parametrize(
    "hostile",
    [
        "![x](http://127.0.0.1:9/x)",
        "[a](http://127.0.0.1:9)",
        "<img src=x onerror=alert(1)>",
        ":red[x]",
        "$x$",
        "`code`",
        "# title",
    ],
)
def test_escape_protects_every_mark(hostile):
    escaped = text.escape(hostile)
    for position, char in enumerate(escaped):
        if char in "!<>:$`*_()|~":
            assert escaped[position - 1] == "\\"
    assert "[" not in escaped
    assert "]" not in escaped


@pytest.mark.parametrize("rewritten", [":smile:", ":material_home:", "http://host", "WWW.host.net", "a@host.net"])
def test_escape_parts_what_is_rewritten_after_parsing(rewritten):
    assert "\u2060" in text.escape(rewritten)


def test_escape_keeps_arrows_apart():
    assert text.escape("a -> b").count("\u2060") == 1
    assert text.escape("a -- b").count("\u2060") == 1


def test_escape_drops_direction_changes_and_newlines():
    assert text.escape("a\u202eb\nc\x00d") == "a b c d"


@given(st.text(max_size=200))
def test_escape_is_one_bounded_line(anything):
    escaped = text.escape(anything, max_chars=50)
    assert "\n" not in escaped
    assert len(text.one_line(anything, max_chars=50)) <= 50


@given(st.text(alphabet="ab`\n ", max_size=40))
def test_code_span_cannot_be_ended_from_inside(anything):
    span = text.code_span(anything)
    fence = span[: len(span) - len(span.lstrip("`"))]
    assert span.endswith(fence)
    assert fence not in span[len(fence) : -len(fence)]


def test_prose_shows_names_as_code_and_the_rest_as_letters():
    assert text.prose("Set `csv_path` to *x*.") == "Set `csv_path` to \\*x\\*\\."
    assert text.prose("![x](http://h) `a") == text.escape("![x](http://h) `a")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "–"),
        (0.0004, "0 ms"),
        (0.0142, "14 ms"),
        (0.9996, "1.0 s"),
        (12.34, "12.3 s"),
        (59.97, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_duration_reads_naturally(seconds, shown):
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("size", "shown"), [(None, "–"), (0, "0 B"), (999, "999 B"), (12_345, "12.3 KB"), (4e9, "4.0 GB")]
)
def test_size_reads_naturally(size, shown):
    assert text.size(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(1, "just now"), (30, "30 s ago"), (300, "5 min ago"), (90_000, "1 d ago")]
)
def test_ago_reads_naturally(seconds, shown):
    now = datetime(2026, 11, 21, tzinfo=UTC)
    assert text.ago(now - timedelta(seconds=seconds), now) == shown


def test_moment_uses_the_browsers_zone():
    at = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    assert text.moment(at, "Asia/Seoul") == "2026-11-21 18:00:00"
    assert text.moment(at, "No/Where") == "2026-11-21 09:00:00 UTC"


def test_count_agrees_with_its_number():
    assert [text.count(n, "block") for n in (0, 1, 1234)] == ["0 blocks", "1 block", "1,234 blocks"]
