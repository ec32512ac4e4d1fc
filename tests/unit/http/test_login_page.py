"""The page that asks for the token, and where it sends people afterwards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.http.login import login_page, safe_next


@given(st.text())
def test_next_is_always_a_path_of_ours(url):
    safe = safe_next(url)
    assert safe.startswith("/")
    assert not safe.startswith("//")
    assert "\\" not in safe


@pytest.mark.parametrize("url", ["/", "/editor?pipeline=x&block=y", "/한글?a=b#c"])
def test_own_paths_are_kept(url):
    assert safe_next(url) == url


def test_page_loads_nothing_and_escapes_what_it_shows():
    page = login_page('/x?a="><script>alert(1)</script>', "<b>wrong</b>")
    assert "<script" not in page
    assert "<b>" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert " src=" not in page
    assert "spellbook token" in page
