"""Which Host and Origin headers are ours."""

from __future__ import annotations

import pytest

from spellbook_core.http.hosts import HostRule, is_loopback, is_same_origin, split_host


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"])
def test_loopback_is_recognised(address):
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.1", "example.com", "127.0.0.1.example.com", ""])
def test_everything_else_is_not_loopback(address):
    assert not is_loopback(address)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost:8501", "localhost"),
        ("LocalHost", "localhost"),
        ("[::1]:8501", "::1"),
        ("example.com.", "example.com"),
        ("", None),
        ("a@b", None),
        ("a/b", None),
        ("a:b", None),
        ("a:99999", None),
        ("a b", None),
        ("[::1", None),
    ],
)
def test_host_header_is_split_strictly(header, name):
    assert split_host(header) == name


def test_loopback_rule_answers_loopback_names_only():
    rule = HostRule(remote=False)
    assert rule.allows("127.0.0.1:1")
    assert not rule.allows("192.0.2.1")
    assert not rule.allows(None)


def test_remote_rule_adds_addresses_and_given_names():
    rule = HostRule(remote=True, extra=["Pipelines.Example"])
    assert rule.allows("192.0.2.1:8501")
    assert rule.allows("[2001:db8::1]:8501")
    assert rule.allows("pipelines.example")
    assert not rule.allows("evil.example")


@pytest.mark.parametrize(
    ("origin", "host", "is_same"),
    [
        ("http://127.0.0.1:8501", "127.0.0.1:8501", True),
        ("https://pipelines.example", "pipelines.example", True),
        ("http://127.0.0.1:8502", "127.0.0.1:8501", False),
        ("http://localhost:8501", "127.0.0.1:8501", False),
        ("null", "127.0.0.1:8501", False),
        ("file://127.0.0.1:8501", "127.0.0.1:8501", False),
        ("http://127.0.0.1:8501/x", "127.0.0.1:8501", False),
        ("http://[", "127.0.0.1:8501", False),
        ("", "", False),
    ],
)
def test_same_origin_is_name_and_port(origin, host, is_same):
    assert is_same_origin(origin, host) is is_same
