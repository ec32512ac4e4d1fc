"""One table of what each status and block type looks like, used by every screen, chart and graph.

Colour is never alone: every look has an icon and a word.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """How a status or type is drawn.

    Attributes:
        word: For people, lower case for statuses (`running`), a noun for types (`Data loader`).
        icon: A Material icon in Streamlit's form.
        color: Streamlit's colour name, for badges and coloured text.
        hex: The strong colour, readable on white and on near-black.
        fill: The pale background of the light theme; `dark_fill` of the dark one.
    """

    word: str
    icon: str
    color: str
    hex: str
    fill: str
    dark_fill: str

    def fill_on(self, *, is_dark: bool) -> str:
        """Return the background of the theme, on which the theme's text is readable."""
        return self.dark_fill if is_dark else self.fill


def _look(word: str, icon: str, color: str) -> Look:
    strong, fill, dark_fill = _COLORS[color]
    return Look(word, f":material/{icon}:", color, strong, fill, dark_fill)


_COLORS = {
    "green": ("#16a34a", "#dcfce7", "#12351f"),
    "blue": ("#2563eb", "#dbeafe", "#16264a"),
    "red": ("#dc2626", "#fee2e2", "#451a1a"),
    "orange": ("#ea580c", "#ffedd5", "#43230f"),
    "yellow": ("#ca8a04", "#fef9c3", "#3d300a"),
    "violet": ("#7c3aed", "#ede9fe", "#2e1f52"),
    "gray": ("#94a3b8", "#f1f5f9", "#232a36"),
}

STATUSES: dict[str, Look] = {
    "completed": _look("completed", "check_circle", "green"),
    "preparing": _look("preparing", "hourglass_top", "blue"),
    "running": _look("running", "motion_photos_on", "blue"),
    "queued": _look("queued", "schedule", "violet"),
    "initial": _look("waiting", "hourglass_empty", "gray"),
    "failed": _look("failed", "error", "red"),
    "cancelled": _look("cancelled", "do_not_disturb_on", "gray"),
    "upstream_failed": _look("upstream failed", "link_off", "orange"),
    "condition_failed": _look("skipped by condition", "alt_route", "gray"),
    "never_run": _look("never run", "radio_button_unchecked", "gray"),
    "not_run": _look("not run here", "block", "gray"),
    "stale": _look("stale", "history", "orange"),
    "skipped": _look("skipped", "skip_next", "gray"),
    "broken": _look("cannot be read", "warning", "red"),
}
"""By the run store's words, and the few that only screens use (`never_run`, `stale`, `preparing`, `skipped`, ...)."""

TYPES: dict[str, Look] = {
    "data_loader": _look("Data loader", "download", "blue"),
    "transformer": _look("Transformer", "autorenew", "violet"),
    "custom": _look("Custom", "model_training", "orange"),
    "data_exporter": _look("Data exporter", "upload", "green"),
    "sensor": _look("Sensor", "sensors", "yellow"),
    "conditional": _look("Condition", "alt_route", "gray"),
    "callback": _look("Callback", "notifications", "gray"),
    "scratchpad": _look("Scratchpad", "edit_note", "gray"),
    "markdown": _look("Markdown", "notes", "gray"),
    "chart": _look("Chart", "bar_chart", "gray"),
    "global_data_product": _look("Data product", "public", "gray"),
    "dbt": _look("dbt model", "schema", "gray"),
    "ai": _look("AI block", "smart_toy", "gray"),
    "extension": _look("Extension", "extension", "gray"),
}


LANGUAGES = {"sql": "SQL", "shell": "Shell", "bash": "Shell", "r": "R", "yaml": "YAML"}
"""Languages that a card and a list name; Python, and the language of a text, go without saying."""


def language_word(block: object) -> str:
    """Return how a block's or template's language is called, empty for Python and Markdown."""
    language = str(getattr(block, "language", block))
    return LANGUAGES.get(language) or ("" if language in {"python", "markdown"} else language)


_ENDINGS = {"sql": "sql", "sh": "bash", "md": "markdown", "yaml": "yaml", "r": "r"}


def coloured_as(path: str) -> str:
    """Return the language in which Streamlit's code view shows a block file."""
    return _ENDINGS.get(path.rpartition(".")[2], "python")


def status_look(status: object) -> Look:
    """Return the look of a status; one that is not known is shown gray under its own word."""
    key = str(getattr(status, "value", status))
    return STATUSES.get(key) or _look(key.replace("_", " "), "help", "gray")


def type_look(block_type: object) -> Look:
    """Return the look of a block type; one that is not known is shown gray under its own word."""
    key = str(getattr(block_type, "value", block_type))
    return TYPES.get(key) or _look(key.replace("_", " ").capitalize(), "widgets", "gray")
