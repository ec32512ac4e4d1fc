"""Projects: which there are, and making one."""

from __future__ import annotations

import keyword
import sys
from dataclasses import dataclass
from pathlib import Path

from spellbook_core.atomic import ABSENT, write_atomically
from spellbook_core.errors import AlreadyExistsError, BadNameError, SpellbookError
from spellbook_core.model.naming import ProjectName, clean_name, same_name_key
from spellbook_core.project.containment import read_inside
from spellbook_core.project.layout import HasWorkspace
from spellbook_core.project.moves import make_folder

_METADATA = "project_type: standalone\nvariables_retention_period: 90d\n"
_IO_CONFIG = """version: 0.1.1
default:
  # Connections that blocks share, one upper-case key per line, such as
  # DUCKDB_DATABASE: data/warehouse.duckdb
"""
_REQUIREMENTS = "# Packages that the blocks of this project import, one per line, such as\n# scikit-learn>=1.5\n"
_GITIGNORE = "__pycache__/\n*.py[cod]\n.env\n.spellbook/\noutput/\n"

_TAKEN_MODULES = frozenset({"torch", "pandas", "numpy", "duckdb", "pyarrow", "sklearn", "spellbook_core", "mage_ai"})
"""Packages that a project of the same name would hide from its own blocks."""


@dataclass(frozen=True, slots=True)
class ProjectSummary:
    """A project as a list shows it; `description` is the first paragraph of its README."""

    name: ProjectName
    root: Path
    pipelines: int
    description: str


def list_projects(ctx: HasWorkspace) -> list[ProjectSummary]:
    """Return the projects of the workspace, by name."""
    found = []
    for name in ctx.workspace.project_names():
        project = ctx.workspace.project(name)
        found.append(ProjectSummary(name, project.root, len(project.pipeline_uuids()), _first_paragraph(project.root)))
    return found


def create_project(ctx: HasWorkspace, name: str) -> ProjectName:
    """Make a project with the files that mage expects of one, and return its cleaned name.

    Raises:
        AlreadyExistsError: One of that name, in any case or Unicode form, is there. [SB-SYS-003]
        BadNameError: Nothing usable is left of the name. [SB-SYS-001]
        StorageError: The disk refused. [SB-SYS-006]
    """
    cleaned = clean_name(name)
    if not cleaned.strip("_"):
        raise BadNameError("A project needs a name.", hint="use letters, digits and _.")
    if not cleaned.isidentifier() or keyword.iskeyword(cleaned) or cleaned in _TAKEN_MODULES | sys.stdlib_module_names:
        raise BadNameError(
            f"A project cannot be called '{cleaned}': blocks import the project by its name, and Python has that name "
            "for something else.",
            hint=f"use '{cleaned}_project'.",
        )
    project = ctx.workspace.new_project(cleaned)
    taken = {same_name_key(path.name): path.name for path in ctx.workspace.projects_dir.iterdir()}
    if same_name_key(project.name) in taken:
        raise AlreadyExistsError(
            f"There is already a project '{taken[same_name_key(project.name)]}'.", hint="choose another name."
        )
    make_folder(project.root / "utils")
    make_folder(project.pipelines_dir)
    title = " ".join(name.split())[:200]
    for relative, text in {
        "__init__.py": "",
        "utils/__init__.py": "",
        "metadata.yaml": _METADATA,
        "io_config.yaml": _IO_CONFIG,
        "requirements.txt": _REQUIREMENTS,
        "README.md": f"# {title}\n",
        ".gitignore": _GITIGNORE,
    }.items():
        write_atomically(project.root / relative, text.encode("utf-8"), expected_hash=ABSENT)
    return project.name


def _first_paragraph(root: Path) -> str:
    try:
        text = read_inside(root, root / "README.md").decode("utf-8", "replace")
    except SpellbookError:
        return ""
    for paragraph in text.split("\n\n"):
        lines = [line for line in paragraph.strip().splitlines() if not line.startswith(("#", "<", "!["))]
        if lines:
            return " ".join(lines)[:300]
    return ""
