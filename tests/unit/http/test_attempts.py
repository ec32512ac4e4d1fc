"""Wrong tokens are counted per address."""

from __future__ import annotations

from spellbook_core.http.attempts import MAX_CLIENTS, MAX_WRONG, WINDOW_S, Attempts


class Ticks:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_tenth_wrong_token_makes_wait():
    ticks = Ticks()
    attempts = Attempts(ticks)
    for _ in range(MAX_WRONG):
        assert attempts.wait_s("a") == 0
        attempts.failed("a")
    assert attempts.wait_s("a") == WINDOW_S
    assert attempts.wait_s("b") == 0


def test_waiting_ends_after_a_minute():
    ticks = Ticks()
    attempts = Attempts(ticks)
    for _ in range(MAX_WRONG):
        attempts.failed("a")
        ticks.now += 1
    assert attempts.wait_s("a") == WINDOW_S - MAX_WRONG
    ticks.now += WINDOW_S - MAX_WRONG
    assert attempts.wait_s("a") == 0


def test_memory_is_bounded():
    attempts = Attempts(Ticks())
    for number in range(MAX_CLIENTS + 50):
        attempts.failed(str(number))
    assert len(attempts._wrong) == MAX_CLIENTS
