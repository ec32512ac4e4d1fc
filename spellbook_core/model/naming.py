"""Names of projects, pipelines and blocks: how a typed name becomes a stable one, and which are refused."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NewType

from spellbook_core.errors import BadNameError

ProjectName = NewType("ProjectName", str)
PipelineUuid = NewType("PipelineUuid", str)
BlockUuid = NewType("BlockUuid", str)
RunId = NewType("RunId", int)
BlockRunId = NewType("BlockRunId", int)

MAX_NAME_CHARS = 200
"""Longest name, in characters. ext4 and APFS allow 255 bytes per path part; Korean takes 3 bytes per character, so
`validate_uuid` also checks bytes."""

MAX_NAMES_SHOWN = 12
"""Most names that an error lists."""

_DEVICE = "Windows keeps that name for a device"

MAX_PART_BYTES = 240
"""Longest path part, in UTF-8 bytes: 255 less room for an extension and a temporary name."""

_STRIPPED = dict.fromkeys(map(ord, '\ufeff"$\n\r\t'))
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))]
)


def clean_name(text: str, *, keep_slash: bool = False) -> str:
    """Return the stable name that mage would make of what a person typed.

    Args:
        text: Any text; Unicode letters and digits survive, so Korean names do.
        keep_slash: Blocks may live in subfolders (`api/load`); pipelines and projects may not.

    Returns:
        NFC, lower case, every other character than a letter, digit or underscore as `_`, `letter_` before a leading
        digit; empty when nothing is left.

    Source:
        `clean_name` of mage-ai 0.9.80, described in its block and pipeline models.
    """
    name = unicodedata.normalize("NFC", text).translate(_STRIPPED).strip()
    name = re.sub(r"[^\w/]" if keep_slash else r"\W", "_", name)
    if keep_slash:
        name = "/".join(part for part in name.split("/") if part)
    if name[:1].isdigit():
        name = f"letter_{name}"
    return name.lower()


def validate_uuid(uuid: str, what: str, *, allow_slash: bool = False) -> str:
    """Return `uuid` when it may name a `what` (and so a file), else raise.

    Existing mage names are looser than `clean_name` makes them (capitals, dashes, dots, spaces inside), so this checks
    only what would be unsafe or ambiguous as a path part: empty, too long, separators, `.` and `..`, control
    characters, a leading dot or dash, a trailing dot or space, characters with a meaning to a shell, a URL or Windows,
    and Windows device names.

    Raises:
        BadNameError: Says which rule and offers the cleaned name. [SB-SYS-001]
    """
    reason = _objection(uuid, allow_slash)
    if reason:
        shown = ascii(uuid[:60])[1:-1]
        suggestion = clean_name(uuid[:MAX_NAME_CHARS], keep_slash=allow_slash).strip("_/")
        raise BadNameError(
            f"'{shown}' cannot name a {what}: {reason}.",
            hint=f"use '{suggestion}'."
            if suggestion and not _objection(suggestion, allow_slash)
            else "use letters, digits and _.",
        )
    return uuid


def _objection(uuid: str, allow_slash: bool) -> str | None:
    if not uuid or not uuid.strip():
        return "it is empty"
    if len(uuid) > MAX_NAME_CHARS:
        return f"it has more than {MAX_NAME_CHARS} characters"
    if uuid.isascii() and uuid.isidentifier():  # as most are: no rule but that of Windows can be against it
        return _DEVICE if uuid.lower() in _RESERVED else None
    parts = uuid.split("/") if allow_slash else [uuid]
    for part in parts:
        if not part or part in {".", ".."}:
            return "a part of it is empty or made of dots"
        if len(part.encode("utf-8", "surrogatepass")) > MAX_PART_BYTES:
            return f"it has more than {MAX_PART_BYTES} bytes"
        if part[0] in ".-~ " or part[-1] in ". ":
            return "it begins with a dot, dash, tilde or space, or ends with a dot or space"
        if any(unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in part):
            return "it has a control or invisible character"
        if any(char in "\\/:*?\"<>|%$`;&'" for char in part):
            return "it has one of \\ / : * ? \" < > | % $ ` ; & '"
        if part.split(".")[0].lower() in _RESERVED:
            return _DEVICE
    return None


def names_hint(what: str, names: Sequence[str], wanted: str) -> str:
    """Return the next action where `wanted` is not there: the nearest name, and the first dozen of those there are.

    Args:
        what: How the list begins, e.g. `its pipelines are`.
        names: What there is.
        wanted: What was asked for.
    """
    from difflib import get_close_matches  # only an error needs it

    shown = ", ".join(names[:MAX_NAMES_SHOWN]) or "none"
    more = f" and {len(names) - MAX_NAMES_SHOWN} more" if len(names) > MAX_NAMES_SHOWN else ""
    near = get_close_matches(wanted[:MAX_NAME_CHARS], names, 1)
    return (f"did you mean '{near[0]}'? " if near else "") + f"{what}: {shown}{more}."


def same_name_key(uuid: str) -> str:
    """Return a key that is equal for names that some file system cannot tell apart (case, Unicode form)."""
    return unicodedata.normalize("NFC", uuid).casefold()
