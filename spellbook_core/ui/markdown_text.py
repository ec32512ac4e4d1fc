"""A person's Markdown made safe to show: the forms that are on a list stay, everything else becomes letters.

Streamlit's markdown fetches pictures, opens links and obeys directives. Headings, lists, quotes, tables, rules, code,
bold, italic and struck text are kept; a link shows its text and its address as code; a picture its description.
"""

from __future__ import annotations

import ast
import re

from spellbook_core.ui import text as inert

MAX_CHARS = 200_000
"""Longest text that is rendered; the rest is left out with a word about it."""

_LOWERED = 2
"""By how many levels headings are lowered: a card is a part of a page, and its title is not the page's."""

_ALL = 10_000
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})\s*(\w*)")
_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_BULLET = re.compile(r"^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$")
_QUOTE = re.compile(r"^\s*>\s?(.*)$")
_RULE = re.compile(r"^ {0,3}([-*_])(?:\s*\1){2,}\s*$")
_TABLE_RULE = re.compile(r"^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)+\|?\s*$")
_INLINE = re.compile(
    r"""
      (?P<ticks>`+)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)
    | !\[(?P<picture>[^\]]*)\](?:\((?P<source>[^)]*)\)|\[[^\]]*\])
    | \[(?P<link>[^\]]*)\]\((?P<address>[^)]*)\)
    | \*\*(?=\S)(?P<bold>.+?)(?<=\S)\*\*
    | (?<!\w)__(?=\S)(?P<strong>.+?)(?<=\S)__(?!\w)
    | ~~(?=\S)(?P<struck>.+?)(?<=\S)~~
    | \*(?=[^\s*])(?P<italic>[^*]+?)(?<=\S)\*
    | (?<!\w)_(?=[^\s_])(?P<slanted>[^_]+?)(?<=\S)_(?!\w)
    """,
    re.VERBOSE,
)


def of_file(text: str, path: str) -> str:
    """Return the Markdown in a block's file: the whole file, or of a `.py` file its texts and comments."""
    if not path.endswith(".py"):
        return text
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text
    found = [
        node.value.value
        for node in body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]
    comments = [line.removeprefix("#").removeprefix(" ") for line in text.splitlines() if line.startswith("#")]
    return "\n\n".join(found) if found else "\n".join(comments) if comments else text


def render(text: str) -> str:
    """Return Markdown that shows `text`, makes no request, opens no link and obeys no directive."""
    cut = text[:MAX_CHARS]
    lines = cut.replace("\r\n", "\n").split("\n")
    made: list[str] = []
    place, is_list = 0, False
    while place < len(lines):
        fence = _FENCE.match(lines[place])
        if fence is not None:
            place = _take_code(lines, place, fence, made)
            continue
        line = lines[place]
        is_list = bool(_BULLET.match(line)) or (is_list and line[:1] in {"", " ", "\t"})
        made.append(_line(line if is_list else line.lstrip()))
        place += 1
    if len(text) > len(cut):
        made += ["", "…"]
    return "\n".join(made)


def _take_code(lines: list[str], place: int, fence: re.Match[str], made: list[str]) -> int:
    """Append a fenced block with a fence of ours, which nothing in it can end; return where the text goes on."""
    mark = fence[1]
    end = next(
        (n for n in range(place + 1, len(lines)) if re.fullmatch(rf" {{0,3}}{mark[0]}{{{len(mark)},}}\s*", lines[n])),
        len(lines),
    )
    content = lines[place + 1 : end]
    longest = max((len(run) for line in content for run in re.findall("`+", line)), default=0)
    own = "`" * max(3, longest + 1)
    language = fence[2] if fence[2].isascii() else ""
    made += ["", f"{own}{language}", *content, own, ""]
    return end + 1


def _line(line: str) -> str:
    if not line.strip():
        return ""
    if _RULE.match(line):
        return "\n---\n"
    heading = _HEADING.match(line)
    if heading is not None:
        return f"{'#' * min(6, len(heading[1]) + _LOWERED)} {_inline(heading[2])}"
    quote = _QUOTE.match(line)
    if quote is not None:
        return f"> {_line(quote[1].lstrip())}" if len(line) < _ALL else _inline(line)
    bullet = _BULLET.match(line)
    if bullet is not None:
        return f"{bullet[1]}{bullet[2]} {_inline(bullet[3])}"
    if "|" in line:
        if _TABLE_RULE.match(line):
            return line.strip()
        return " | ".join(_inline(cell) for cell in line.strip().split("|"))
    indent = line[: len(line) - len(line.lstrip())]
    return indent + _inline(line.strip())


def _inline(text: str) -> str:
    made = []
    place = 0
    for match in _INLINE.finditer(text):
        made.append(_letters(text[place : match.start()]))
        made.append(_kept(match))
        place = match.end()
    made.append(_letters(text[place:]))
    return "".join(made)


def _kept(match: re.Match[str]) -> str:
    for name, mark in (("bold", "**"), ("strong", "**"), ("struck", "~~"), ("italic", "*"), ("slanted", "*")):
        if match[name]:
            return f"{mark}{_inline(match[name])}{mark}"
    if match["code"]:
        return inert.code_span(match["code"], max_chars=_ALL)
    if match["link"] is not None:
        address = (match["address"] or "").strip()
        shown = _letters(match["link"]) or "link"
        return f"{shown} ({inert.code_span(address, max_chars=_ALL)})" if address else shown
    return f"*{_letters(match['picture']) or 'picture'}*"


def _letters(text: str) -> str:
    """Return escaped text with the blanks at its ends kept."""
    escaped = inert.escape(text, max_chars=_ALL)
    if not escaped:
        return " " if text else ""
    return f"{' ' if text[0].isspace() else ''}{escaped}{' ' if text[-1].isspace() else ''}"
