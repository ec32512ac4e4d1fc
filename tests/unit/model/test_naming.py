"""Names: cleaned as mage does, refused when they would be unsafe."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.errors import BadNameError
from spellbook_core.model.naming import clean_name, same_name_key, validate_uuid


@pytest.mark.parametrize(
    ("typed", "cleaned"),
    [
        ("타이타닉 로드", "타이타닉_로드"),
        ("Load Data!", "load_data_"),
        ("2nd try", "letter_2nd_try"),
        ("api/load", "api_load"),
        (' "quoted" ', "quoted"),
        (unicodedata.normalize("NFD", "한글"), "한글"),
        ("✨", "_"),
        ("", ""),
    ],
)
def test_name_is_cleaned_as_mage_does(typed, cleaned):
    assert clean_name(typed) == cleaned


def test_blocks_keep_their_folders():
    assert clean_name("API//Load me/", keep_slash=True) == "api/load_me"


@given(st.text(max_size=50))
def test_cleaned_name_stays_as_it_is(text):
    assert clean_name(clean_name(text)) == clean_name(text)


@given(st.text(max_size=50))
def test_refused_name_offers_a_usable_one(text):
    try:
        validate_uuid(text, "block")
    except BadNameError as error:
        offered = error.hint.removeprefix("use '").removesuffix("'.")
        if error.hint.startswith("use '"):
            assert validate_uuid(offered, "block") == offered


@pytest.mark.parametrize(
    "name", ["..", "a/b", ".env", "con", "NUL.txt", "a\0", "x ", "x.", "-rf", "~", "%2e", "가" * 90]
)
def test_unsafe_name_is_refused(name):
    with pytest.raises(BadNameError, match="cannot name a pipeline"):
        validate_uuid(name, "pipeline")


def test_names_that_a_disk_confuses_have_one_key():
    assert same_name_key("Ä") == same_name_key(unicodedata.normalize("NFD", "ä"))
