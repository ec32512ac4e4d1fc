"""Findings about what block files import: packages that are missing, names of mage-ai that are not offered."""

from __future__ import annotations

import sys

from spellbook_core.errors import SpellbookError
from spellbook_core.model.block import Block
from spellbook_core.project.finding import Finding
from spellbook_core.project.layout import ProjectLayout
from spellbook_core.project.mage_imports import MageOffer, not_offered
from spellbook_core.project.missing import MissingImports, Surroundings
from spellbook_core.project.packages import CLIENT_DRIVERS

SQL_SERVERS = frozenset({"postgres", "mysql", "mssql", "snowflake"})
"""Database servers that SQL blocks can ask."""


class ImportCheck:
    """Checks the imports of one pipeline's blocks; what they have in common is looked up once.

    Attributes:
        problems: Findings about the pipeline's Python itself.
    """

    def __init__(self, project: ProjectLayout, pipeline: str, file: str, mage: MageOffer | None) -> None:
        """Look up the pipeline's Python; `file` is named in findings about it."""
        self._project, self._mage = project, mage
        self._imports: MissingImports | None = None
        self.problems: list[Finding] = []
        try:
            self._imports = MissingImports(project, pipeline)
        except SpellbookError as error:
            self.problems.append(Finding(error.code, "error", None, error.message, error.hint, file))
            return
        if not self._imports.surroundings.is_made:
            message = "The Python environment of this pipeline is not made yet; the first run makes it."
            hint = f"spellbook install {project.name}"
            self.problems.append(Finding("SB-PRJ-062", "warning", None, message, hint, file))

    def findings(self, block: str, text: str, relative: str) -> list[Finding]:
        """Return what a block imports in vain.

        Args:
            block: Its uuid.
            text: Of its file.
            relative: The file.
        """
        found = []
        if self._imports is not None:
            for missing in self._imports.of(text, relative):
                what = f"'{missing.imported}', which"
                if missing.client:
                    what = f"'{missing.client}', whose driver '{missing.package}'"
                found.append(
                    Finding(
                        "SB-PRJ-015",
                        "warning",
                        block,
                        f"Block '{block}' imports {what} is not installed.",
                        f"spellbook install {self._project.name} '{missing.package}'",
                        missing.file,
                        missing.line,
                    )
                )
        if self._mage is not None:
            for name, line in not_offered(text, self._mage):
                message = f"Block '{block}' imports '{name}', which Spellbook does not offer."
                found.append(Finding("SB-PRJ-063", "warning", block, message, self._mage.advice(name), relative, line))
        return found


def driver_of_sql(block: Block, relative: str) -> Finding | None:
    """Return that a SQL block's database is not offered, or has no driver where SQL blocks run: in our own Python."""
    provider = str(block.configuration.get("data_provider") or "").lower()
    if provider in {"", "duckdb"}:
        return None
    if provider not in SQL_SERVERS:
        message = f"Block '{block.uuid}' asks the database '{provider[:40]}', which SQL blocks do not offer."
        known = ", ".join(["duckdb", *sorted(SQL_SERVERS)])
        hint = f"set 'data_provider' to one of {known}, or use the database's own package in a Python block."
        return Finding("SB-PRJ-014", "warning", block.uuid, message, hint, relative)
    package, *modules = CLIENT_DRIVERS[f"mage_ai.io.{provider}"]
    if Surroundings().has_driver(package, modules):
        return None
    message = f"Block '{block.uuid}' asks the database '{provider}', whose driver '{package}' is not installed."
    hint = f"{sys.executable} -m pip install '{package}'"
    return Finding("SB-PRJ-015", "warning", block.uuid, message, hint, relative)
