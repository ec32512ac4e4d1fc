"""The root of every error that Spellbook raises on purpose, and its one shape.

An error says what happened (`message`, with names and values), the next action (`hint`, ready to paste or press) and
where (`facts`: project, pipeline, block, run, path, line ...). Log, command line and screens all render the same dict.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

Fact: TypeAlias = "str | int | float | bool | None | list[str]"


class SpellbookError(Exception):
    """Something went wrong that a person can act on.

    Subclasses set `code` (`SB-<area>-<number>`, never reused) and inherit the fitting builtin too, so callers may
    catch either. Instances survive pickling, because errors cross processes.

    Attributes:
        message: What happened, with the names and values.
        hint: The next action.
        facts: Where it happened; plain JSON values only.
    """

    code: ClassVar[str] = "SB-SYS-000"

    def __init__(self, message: str, *, hint: str, **facts: Fact) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts: dict[str, Fact] = {name: value for name, value in facts.items() if value is not None}

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.hint, self.facts)

    def to_dict(self) -> dict[str, object]:
        """Return the one shape that log, command line and screens share: code, message, hint, facts."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "facts": dict(self.facts)}


def _rebuild(cls: type[SpellbookError], message: str, hint: str, facts: dict[str, Fact]) -> SpellbookError:
    return cls(message, hint=hint, **facts)


def render_error(error: dict[str, object]) -> str:
    """Return the three lines a person reads for an error dict: what happened, what to do, code and place."""
    facts = error.get("facts")
    place = ""
    if isinstance(facts, dict) and facts:
        place = " · ".join(f"{name} {value}" for name, value in facts.items() if not isinstance(value, list))
    lines = [str(error["message"])]
    if error.get("hint"):
        lines.append(f"  Do this: {error['hint']}")
    lines.append(f"  {error['code']}   {place}".rstrip())
    return "\n".join(lines)


class BadNameError(SpellbookError, ValueError):
    """A name cannot be used for a project, pipeline, block or file."""

    code = "SB-SYS-001"


class NotFoundError(SpellbookError, LookupError):
    """A project, pipeline, block, run or file that was named does not exist."""

    code = "SB-SYS-002"


class AlreadyExistsError(SpellbookError, FileExistsError):
    """A project, pipeline, block or file of that name is there already."""

    code = "SB-SYS-003"


class ChangedOnDiskError(SpellbookError):
    """A file was changed by someone else since it was read; nothing was written."""

    code = "SB-SYS-004"


class BadSettingError(SpellbookError, ValueError):
    """A setting in the environment or a file has a value that cannot be used."""

    code = "SB-SYS-005"


class StorageError(SpellbookError, OSError):
    """The disk refused a read or write (full, read-only, permission)."""

    code = "SB-SYS-006"
