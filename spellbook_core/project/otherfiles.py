"""What a block file in another language than Python asks of its surroundings, read from its text alone."""

from __future__ import annotations

import re
from importlib.util import decode_source

from spellbook_core.model.block import SHELL_LANGUAGES
from spellbook_core.project.sourcefacts import (
    MOMENTS,
    NAMED,
    READS_VARIABLES,
    ImportRef,
    SourceFacts,
    facts_of,
    named,
    raw_facts,
)

_HOLES = re.compile(r"\{\{(.*?)\}\}|\{%(.*?)%\}", re.DOTALL)
_EXPANDED = re.compile(r"\$\{?([A-Za-z_]\w*)")
_ENGINE_OF_SQL = ImportRef(0, "duckdb")

SHELL_MOMENTS = {
    "SPELLBOOK_EXECUTION_DATE": "execution_date",
    "SPELLBOOK_RUN_ID": "pipeline_run_id",
    "SPELLBOOK_TRIGGER": "trigger_name",
}
"""Environment variable of a shell block -> the fact of a run that it tells."""


def text_of(data: bytes) -> str:
    """Return the text of a module as Python reads it; bytes that are none stay told from one another."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        return decode_source(data)  # by the encoding that it names
    except (SyntaxError, ValueError, LookupError):
        return data.decode("utf-8", "surrogateescape")


def facts_in(text: str, language: str) -> SourceFacts:
    """Return the facts of a block's text in its language."""
    if language == "python":
        return facts_of(text)
    if language == "sql":
        return sql_facts(text)
    return shell_facts(text) if language in SHELL_LANGUAGES else raw_facts(text)


def sql_facts(text: str) -> SourceFacts:
    """Return the facts of a SQL text: every byte counts, and it sees the variables that its expressions name."""
    words = words_in_holes(text)
    is_open = "variables" in words and not re.search(r"variables\(\s*['\"]", text)
    return SourceFacts(
        raw_facts(text).digest,
        imports=frozenset({_ENGINE_OF_SQL, *named(words)}),
        keywords=None if is_open else words,
        mentions=MOMENTS & words,
    )


def shell_facts(text: str) -> SourceFacts:
    """Return the facts of a shell script: every byte counts, and it may see all variables of the run."""
    seen = frozenset(moment for name, moment in SHELL_MOMENTS.items() if name in text)
    variables = {ImportRef(0, f"{NAMED}{name}") for name in _EXPANDED.findall(text)}
    imports = frozenset({ImportRef(0, READS_VARIABLES), *variables, *named(re.findall(r"\w+", text))})
    return SourceFacts(raw_facts(text).digest, imports=imports, mentions=seen)


def words_in_holes(text: str) -> frozenset[str]:
    """Return every word inside `{{ }}` and `{% %}`: a superset of the names that the template looks at."""
    inside = [part for found in _HOLES.findall(text) for part in found]
    return frozenset(word for part in inside for word in re.findall(r"\w+", part))


def missing_table(text: str, parents: int) -> int | None:
    """Return the number of the first `df_N` in the braces of a SQL text for which there is no parent, or None."""
    numbers = sorted(int(word[3:]) for word in words_in_holes(text) if re.fullmatch(r"df_[0-9]{1,4}", word))
    return next((number for number in numbers if not 0 < number <= parents), None)


def headline(text: str, language: str) -> str:
    """Return the comment lines that a text begins with, without their marks; empty when it begins otherwise."""
    mark = "--" if language == "sql" else "#"
    lines: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#!") and not lines:
            continue
        if not stripped.startswith(mark):
            break
        lines.append(stripped.removeprefix(mark).strip())
    return "\n".join(lines).strip()
