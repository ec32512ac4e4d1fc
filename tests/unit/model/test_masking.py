"""A masked text holds no secret, whatever stands around it and however it is cut or encoded."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.model.masking import MASK, Masker

pytestmark = pytest.mark.guarantee("N31")

SECRETS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="*"), min_size=4, max_size=40)
AROUND = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.thorough
@given(st.lists(SECRETS, min_size=1, max_size=5), AROUND, AROUND)
def test_no_secret_is_left_in_a_text(secrets, before, behind):
    masker = Masker(secrets)
    for secret in secrets:
        masked = masker.text(before + secret + behind)
        assert MASK in masked
        assert secret not in masked.replace(MASK, "*" * len(secret))


@given(
    st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=9, max_size=40),
    st.binary(max_size=7),
    st.binary(max_size=7),
)
def test_no_secret_is_left_in_base64(secret, before, behind):
    """Cut out of any base64 text, at each of the three offsets, at most two characters of it remain at either end."""
    for encode, decode in (
        (base64.b64encode, base64.b64decode),
        (base64.urlsafe_b64encode, base64.urlsafe_b64decode),
    ):
        text = encode(before + secret.encode() + behind).decode()
        masked = Masker([secret]).text(text)
        assert MASK in masked
        for piece in masked.split(MASK):
            whole = piece.rstrip("=")
            readable = decode(whole[: len(whole) // 4 * 4])
            assert secret[2:-2].encode() not in readable


@given(SECRETS)
def test_escaped_forms_are_masked(secret):
    masker = Masker([secret])
    if len(quote(secret, safe="")) >= 6:
        assert masker.text(f"?k={quote(secret, safe='')}&x") == f"?k={MASK}&x"
    assert secret not in json.loads(json.dumps(masker.value({"a": [secret, {secret: 1}]})))["a"]


@given(st.text("abcdefgh", min_size=8, max_size=20), st.integers(4, 19))
def test_half_a_secret_at_a_cut_is_masked(secret, length):
    half = min(length, len(secret) - 1)
    masker = Masker([secret])
    assert masker.part("see " + secret[:half], ends_cut=True).endswith(MASK)
    assert masker.part(secret[-half:] + " seen", begins_cut=True).startswith(MASK)


def test_longer_secret_leaves_no_rest():
    masker = Masker(["hunter2", "hunter2-of-the-moon"])
    assert masker.text("hunter2-of-the-moon and hunter2") == f"{MASK} and {MASK}"


def test_lines_of_a_key_are_masked_one_by_one():
    masker = Masker(["-----BEGIN KEY-----\nMIIEowIBAAKCAQEA\nq83vEjRWeJq83vEj\n-----END KEY-----"])
    assert masker.text("MIIEowIBAAKCAQEA") == MASK
    assert masker.text("q83vEjRWeJq83vEj is the second") == f"{MASK} is the second"


def test_nothing_is_masked_without_a_secret_worth_it():
    masker = Masker(["", "abc", "42"])
    text = "abc 42 " * 3
    assert not masker
    assert masker.text(text) is text
    assert masker.value({"a": 1}) == {"a": 1}


def test_masked_names_stay_different():
    masker = Masker(["secret-a", "secret-b"])
    assert masker.names(["secret-a", "x", "secret-b", "secret-a"]) == [MASK, "x", f"{MASK} 2", f"{MASK} 3"]


def test_what_points_at_values_is_left_alone():
    masker = Masker(["pickle5"])
    found = masker.value({"format": "pickle5", "summary": "a pickle5"}, but=frozenset({"format"}))
    assert found == {"format": "pickle5", "summary": f"a {MASK}"}


def test_keys_of_our_own_documents_stay():
    masker = Masker(["test", "name"])
    document = {"tests": ["a test"], "type_name": {"name": "x"}, "kind": "test"}
    assert masker.value(document, but=frozenset({"kind"}), keys=False) == {
        "tests": ["a ***"],
        "type_name": {"name": "x"},
        "kind": "test",
    }
    assert masker.value({"test": 1}) == {"***": 1}
