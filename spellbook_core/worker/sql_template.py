"""A SQL block's text with `{{ }}` in it, turned into statements whose values are bound and never become SQL.

Jinja evaluates the expressions in its sandbox. What an expression gives does not go into the text: a hole takes its
place, and `statements` fills the holes with markers for bound values and with quoted names that are on the allow-list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from spellbook_core.errors import SpellbookError
from spellbook_core.worker.sql_parts import Identifier, Statement, Table, Value, bindable
from spellbook_core.worker.sql_problems import TemplateError

NONE_MISSING: Mapping[str, SpellbookError] = MappingProxyType({})
"""For `statements`: nothing is missed."""

_HOLE = re.compile(r"\x00V(\d+)\x00")
_LINE = re.compile(r"\x00L(\d+)\x00")

_TOKEN = re.compile(
    r"""
      (?P<hole>\x00V\d+\x00)
    | (?P<comment>--[^\n]*)
    | (?P<block>/\*)
    | (?P<escaped>\b[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z))
    | (?P<text>'(?:[^']|'')*(?:'|\Z))
    | (?P<name>"(?:[^"]|"")*(?:"|\Z))
    | (?P<dollar>\$(?P<tag>[A-Za-z_]*)\$.*?(?:\$(?P=tag)\$|\Z))
    | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_COMMENT = re.compile(r"/\*|\*/")
_TYPED = re.compile(r"\b(DATE|TIMESTAMPTZ|TIMESTAMP|TIME|INTERVAL)\s*\Z", re.IGNORECASE)
_LIST = re.compile(r"\bIN\s*\(\s*\Z", re.IGNORECASE)


def statements(
    text: str,
    names: Mapping[str, object],
    *,
    identifiers: Collection[str] = (),
    missing: Mapping[str, SpellbookError] = NONE_MISSING,
) -> list[Statement]:
    """Return the statements of a SQL text, comments kept, empty ones left out.

    Args:
        text: The block's file.
        names: What expressions may use: tables, values, functions.
        identifiers: Names of columns and tables that may be chosen by a value, inside double quotes or by
            `identifier(...)`.
        missing: Names that are not defined though one would expect them -> what using one raises.

    Raises:
        SpellbookError: An expression uses one of `missing`.
        TemplateError: An expression is wrong, names what is not there, or stands where no value can. [SB-WRK-081]
    """
    if "\x00" in text:
        raise TemplateError("The text holds a NUL character.", hint="delete it.")
    rendered, holes = _render(text, names, identifiers, missing)
    return list(_Reader(rendered, holes, identifiers).statements())


def _render(
    text: str, names: Mapping[str, object], identifiers: Collection[str], missing: Mapping[str, SpellbookError]
) -> tuple[str, list[object]]:
    from jinja2 import StrictUndefined, nodes, pass_context
    from jinja2 import TemplateError as JinjaError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    holes: list[object] = []

    @pass_context  # keeps the compiler from calling it for constants, once and for all
    def hole(context: Any, value: object) -> str:
        holes.append(value)
        return f"\x00V{len(holes) - 1}\x00"

    environment = ImmutableSandboxedEnvironment(autoescape=False, undefined=StrictUndefined, finalize=hole)
    environment.globals.clear()
    allowed = (nodes.Output, nodes.If, nodes.For, nodes.Assign)
    try:
        tree = environment.parse(text)
        for node in tree.find_all(nodes.Stmt):
            if not isinstance(node, allowed):
                _refuse(f"{{% {type(node).__name__.lower()} %}}", node.lineno)
        for data in tree.find_all(nodes.TemplateData):
            data.data = _with_lines(data.data, data.lineno)
        template = environment.from_string(tree)
        absent = {name: StrictUndefined(name=name, exc=_raising(problem)) for name, problem in missing.items()}
        known = {"range": range, "identifier": _identifier(identifiers), **absent, **names}
        return template.render(known), holes
    except JinjaError as cause:
        why = str(cause.message).rstrip(".")
        raise TemplateError(
            f"An expression in {{{{ }}}} cannot be filled in: {why}.",
            hint=_hint(names, text),
            line=_line_of(cause),
        ) from None
    except SpellbookError as problem:  # of a function of ours: a secret that is not there, a foreign name
        problem.facts.setdefault("line", _line_of(problem) or 1)
        raise
    except Exception as cause:  # noqa: BLE001  # the person's expression: 1 / 0, a missing key, a wrong argument
        raise TemplateError(
            f"An expression in {{{{ }}}} raised {type(cause).__name__}: {str(cause).rstrip('.')}.",
            hint="correct the expression.",
            line=_line_of(cause),
        ) from None


def _raising(problem: SpellbookError) -> Any:
    """Return what Jinja calls, with a message of its own, for what the use of an undefined name raises."""
    return lambda message: problem


def _hint(names: Mapping[str, object], text: str) -> str:
    if "lambda" in text:
        return "use block_output('name')['key'] or block_output('name')[0]['column']; there are no lambdas here."
    shown = ", ".join(sorted(names)[:20])
    return f"the names are: {shown}, identifier." if shown else "correct the expression."


def _line_of(cause: BaseException) -> int | None:
    """Return the template's line that an exception comes from."""
    line = getattr(cause, "lineno", None)
    trace = cause.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line if isinstance(line, int) else None


def _refuse(what: str, line: int | None) -> NoReturn:
    raise TemplateError(
        f"{what} is not offered in SQL blocks.", hint="use {{ }}, {% if %}, {% for %} and {% set %}.", line=line
    )


def _with_lines(data: str, first: int) -> str:
    return "".join(f"\x00L{first + n}\x00{line}" for n, line in enumerate(data.splitlines(keepends=True)))


def _identifier(allowed: Collection[str]) -> Callable[[object], Identifier]:
    def identifier(name: object) -> Identifier:
        if isinstance(name, Table):
            return Identifier(name.name)
        if not isinstance(name, str) or name not in allowed:
            shown = ", ".join(sorted(allowed)[:20]) or "none"
            raise TemplateError(
                f"{str(name)[:60]!r} is not on the list of names that a value may choose.",
                hint=f"the names are: {shown}. List further ones in the block's configuration, as 'identifiers'.",
            )
        return Identifier(name)

    return identifier


class _Reader:
    """Reads a rendered text as SQL and puts each hole where it stands: in code, a literal, a name or a comment."""

    def __init__(self, rendered: str, holes: list[object], identifiers: Collection[str]) -> None:
        self._holes = holes
        self._choose = _identifier(identifiers)
        self._text, self._lines = _without_lines(rendered)
        self._pieces: list[str | Value | Identifier] = []
        self._line = 0

    def statements(self) -> Iterator[Statement]:
        place, self._line, self._has_code = 0, 0, False
        first = 0
        while True:
            match = _TOKEN.search(self._text, place)
            end = len(self._text) if match is None else match.start()
            self._code(self._text[place:end])
            if match is None:
                break
            place = match.end()
            kind = match.lastgroup if match.lastgroup != "tag" else "dollar"
            if kind == "block":
                place = self._end_of_comment(match.end())
            token = self._text[match.start() : place]
            self._line = self._text.count("\n", 0, match.start())
            if kind == "end":
                if self._has_code:
                    yield self._taken(first)
                self._pieces, self._has_code = [], False
                first = self._line
            else:
                self._token(kind or "", token)
        if self._has_code:
            yield self._taken(first)

    def _taken(self, first: int) -> Statement:
        pieces = list(self._pieces)
        while pieces and isinstance(pieces[0], str):  # a database counts lines from the first word
            kept = pieces[0].lstrip()
            first += pieces[0][: len(pieces[0]) - len(kept)].count("\n")
            if kept:
                pieces[0] = kept
                break
            del pieces[0]
        return Statement(tuple(pieces), tuple(self._lines[first:]) or (1,))

    def _end_of_comment(self, place: int) -> int:
        depth = 1
        while depth:
            match = _BLOCK_COMMENT.search(self._text, place)
            if match is None:
                return len(self._text)
            depth += 1 if match[0] == "/*" else -1
            place = match.end()
        return place

    def _token(self, kind: str, token: str) -> None:
        if kind in {"comment", "block"}:
            self._pieces.append(_HOLE.sub("", token))
            return
        self._has_code = True
        if kind == "hole":
            self._in_code(self._value(token))
        elif "\x00" not in token:
            self._pieces.append(token)
        elif kind == "text":
            self._in_literal(token)
        elif kind == "name":
            self._in_name(token)
        else:
            form = "E'…'" if kind == "escaped" else "$$…$$"
            self._refuse(f"A value cannot stand inside {form}.", "write it outside, or inside plain quotes '…'.")

    def _code(self, text: str) -> None:
        if text:
            self._has_code = self._has_code or bool(text.strip())
            self._pieces.append(text)

    def _value(self, token: str) -> object:
        from jinja2 import Undefined

        found = _HOLE.fullmatch(token)
        value = self._holes[int(found[1])] if found else None
        if isinstance(value, Undefined):
            try:
                str(value)
            except SpellbookError as problem:
                problem.facts.setdefault("line", self._here())
                raise
            except Exception as cause:  # noqa: BLE001  # its own error says what is not there, or not allowed
                why = str(cause).rstrip(".")
                self._refuse(f"An expression in {{{{ }}}} cannot be filled in: {why}.", "correct it.")
        return value

    def _in_code(self, value: object) -> None:
        if isinstance(value, (Table, Identifier)):
            self._pieces.append(Identifier(value.name))
            return
        before = "".join(piece if isinstance(piece, str) else "?" for piece in self._pieces[-2:])
        if isinstance(value, (list, tuple)) and _LIST.search(before):
            for number, item in enumerate(value or [None]):
                self._pieces += [", "] if number else []
                self._pieces.append(Value(self._bindable(item)))
            return
        self._pieces.append(Value(self._bindable(value)))

    def _in_literal(self, token: str) -> None:
        """Write `'a {{ x }}'` as `('a ' || x)`, and `DATE '{{ x }}'` as a cast of x."""
        parts = _HOLE.split(token[1:-1] if token.endswith("'") else token[1:])
        texts = [self._as_text(f"\x00V{number}\x00") for number in parts[1::2]]
        kind = None
        last = self._pieces[-1] if self._pieces else ""
        typed = _TYPED.search(last) if isinstance(last, str) else None
        if typed is not None and isinstance(last, str):
            kind = typed[1]
            self._pieces[-1] = last[: typed.start()] + "\n" * typed[0].count("\n")
        made: list[str | Value | Identifier] = []
        for number, part in enumerate(parts[::2]):
            if part or (len(parts) > 3 and number == 0):
                made += [" || "] if made else []
                made.append(f"'{part}'")
            if number < len(texts):
                made += [" || "] if made else []
                made.append(Value(texts[number], is_text=True))
        whole = made if len(made) == 1 else ["(", *made, ")"]
        self._pieces += whole if kind is None else ["CAST(", *whole, f" AS {kind.upper()})"]

    def _as_text(self, token: str) -> str:
        value = self._value(token)
        if isinstance(value, (Table, Identifier)):
            self._refuse("A table or column cannot stand inside quotes '…'.", "write it without quotes.")
        if isinstance(value, (list, tuple, dict, bytes)):
            self._refuse(f"A {type(value).__name__} cannot stand inside quotes '…'.", "write it without quotes.")
        if isinstance(value, bool):
            return str(value).lower()
        return "" if value is None else str(self._bindable(value))

    def _in_name(self, token: str) -> None:
        name = ""
        for number, part in enumerate(_HOLE.split(token[1:-1] if token.endswith('"') else token[1:])):
            if number % 2 == 0:
                name += part.replace('""', '"')
                continue
            value = self._value(f"\x00V{part}\x00")
            try:
                name += value.name if isinstance(value, (Table, Identifier)) else self._choose(value).name
            except TemplateError as problem:
                self._refuse(problem.message, problem.hint)
        self._pieces.append(Identifier(name))

    def _bindable(self, value: object) -> object:
        bound = bindable(value)
        if bound is NotImplemented:
            self._refuse(
                f"A value of type {type(value).__name__} cannot be bound.",
                "bind numbers, texts, dates, lists and mappings of them.",
            )
        return bound

    def _refuse(self, message: str, hint: str) -> NoReturn:
        raise TemplateError(message, hint=hint, line=self._here())

    def _here(self) -> int:
        return self._lines[min(self._line, len(self._lines) - 1)]


def _without_lines(rendered: str) -> tuple[str, list[int]]:
    """Return the text without its marks of lines, and for each of its lines the line of the file."""
    lines = [1]
    is_known = False
    parts: list[str] = []
    for number, part in enumerate(_LINE.split(rendered)):
        if number % 2:
            if not is_known:
                lines[-1], is_known = int(part), True
            continue
        parts.append(part)
        for _ in range(part.count("\n")):
            lines.append(lines[-1] + 1)
            is_known = False
    return "".join(parts), lines
