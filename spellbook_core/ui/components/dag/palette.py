"""Colours, signs and words of block states and block types, on light and on dark pages.

Every pair of text and fill has a contrast of at least 4.5 (WCAG 2.2 AA); a test computes it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Colours:
    """Of a box: `#rrggbb`."""

    fill: str
    border: str
    text: str


@dataclass(frozen=True, slots=True)
class State:
    """What a block's state looks like; the sign and the word say it without colour."""

    sign: str
    word: str
    light: Colours
    dark: Colours


@dataclass(frozen=True, slots=True)
class BlockLook:
    """What a block type looks like: its hue and its short word."""

    word: str
    hue: str


_GREEN = (Colours("#dcfce7", "#16a34a", "#14532d"), Colours("#12301f", "#22c55e", "#bbf7d0"))
_BLUE = (Colours("#dbeafe", "#2563eb", "#1e3a8a"), Colours("#152a4d", "#60a5fa", "#dbeafe"))
_RED = (Colours("#fee2e2", "#dc2626", "#7f1d1d"), Colours("#431818", "#f87171", "#fecaca"))
_AMBER = (Colours("#fef3c7", "#d97706", "#78350f"), Colours("#3b2a0b", "#f59e0b", "#fde68a"))
_ORANGE = (Colours("#ffedd5", "#ea580c", "#7c2d12"), Colours("#43230f", "#fb923c", "#fed7aa"))
_GREY = (Colours("#f8fafc", "#94a3b8", "#334155"), Colours("#232936", "#64748b", "#cbd5e1"))
_VIOLET = (Colours("#ede9fe", "#7c3aed", "#4c1d95"), Colours("#2a2150", "#a78bfa", "#ddd6fe"))

STATES: dict[str, State] = {
    "never_run": State("○", "never run", *_GREY),
    "not_run": State("–", "not run here", *_GREY),
    "left_out": State("–", "not in this run", *_GREY),
    "note": State("≡", "note", *_GREY),
    "fresh": State("✓", "fresh", *_GREEN),
    "stale": State("↻", "stale", *_AMBER),
    "initial": State("…", "queued", *_VIOLET),
    "queued": State("…", "queued", *_VIOLET),
    "preparing": State("◌", "preparing", *_BLUE),
    "running": State("●", "running", *_BLUE),
    "completed": State("✓", "completed", *_GREEN),
    "failed": State("✕", "failed", *_RED),
    "upstream_failed": State("✕", "upstream failed", *_ORANGE),
    "condition_failed": State("»", "skipped", *_GREY),
    "skipped": State("»", "skipped", *_GREY),
    "cancelled": State("■", "cancelled", *_AMBER),
}

TYPES: dict[str, BlockLook] = {
    "data_loader": BlockLook("loader", "#3b82f6"),
    "transformer": BlockLook("transformer", "#8b5cf6"),
    "custom": BlockLook("custom", "#f97316"),
    "data_exporter": BlockLook("exporter", "#22c55e"),
    "sensor": BlockLook("sensor", "#64748b"),
    "conditional": BlockLook("condition", "#64748b"),
    "callback": BlockLook("callback", "#64748b"),
    "chart": BlockLook("chart", "#0ea5e9"),
    "scratchpad": BlockLook("scratchpad", "#64748b"),
    "markdown": BlockLook("markdown", "#64748b"),
    "global_data_product": BlockLook("data product", "#64748b"),
    "dbt": BlockLook("dbt", "#64748b"),
    "ai": BlockLook("ai", "#64748b"),
    "extension": BlockLook("extension", "#64748b"),
}
