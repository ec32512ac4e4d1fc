"""Ready-made code: the templates that the package ships and the shared blocks of a checkout's `blocks/`."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from spellbook_core.errors import NotFoundError
from spellbook_core.project.layout import TYPE_FOLDERS, library_root
from spellbook_core.project.otherfiles import headline

TEMPLATES_FOLDER = Path(__file__).parent / "templates"
TEMPLATE_SUFFIXES = {".py.txt": "python", ".sql.txt": "sql", ".sh.txt": "shell", ".md.txt": "markdown"}
"""Ending of a template's file -> its language, Python first. They are data: the ending keeps linters,
importers and packagers from taking them for modules of ours."""

BLANK = "blank"


@dataclass(frozen=True, slots=True)
class Template:
    """A starting point for a new block.

    Attributes:
        id: `<block type>/<name>`; every type has a `blank`.
        title: The first line of the module docstring or of the comment at the top, without its full stop.
        description: The rest of it.
    """

    id: str
    block_type: str
    title: str
    description: str
    source: str
    language: str = "python"


@dataclass(frozen=True, slots=True)
class LibraryBlock:
    """A working block of the shared library; `id` is `<folder>/<name>`."""

    id: str
    block_type: str
    title: str
    description: str
    source: str


@lru_cache(maxsize=1)
def _all_templates() -> tuple[Template, ...]:
    found = []
    for block_type in TYPE_FOLDERS:
        folder = TEMPLATES_FOLDER / block_type
        for suffix, language in TEMPLATE_SUFFIXES.items():
            paths = sorted(folder.glob(f"*{suffix}"), key=lambda path: (not path.name.startswith(BLANK), path.name))
            for path in paths:
                source = path.read_text(encoding="utf-8")
                name = path.name.removesuffix(suffix)
                title, description = _headline(source, name, language)
                found.append(Template(f"{block_type}/{name}", block_type, title, description, source, language))
    return tuple(found)


def templates(block_type: str | None = None, language: str | None = None) -> list[Template]:
    """Return the shipped templates, the blank one of each type first; all types and languages when None."""
    return [
        item for item in _all_templates() if block_type in (None, item.block_type) and language in (None, item.language)
    ]


def template(template_id: str) -> Template:
    """Return the template of that id.

    Raises:
        NotFoundError: Names those there are. [SB-SYS-002]
    """
    for item in _all_templates():
        if item.id == template_id:
            return item
    known = ", ".join(item.id for item in _all_templates())
    raise NotFoundError(f"There is no template '{template_id}'.", hint=f"the templates are: {known}.")


def library_blocks() -> list[LibraryBlock]:
    """Return the blocks of the shared `blocks/` folder, by type and name; none in an installed package."""
    found = []
    root = library_root()
    for block_type, folder in TYPE_FOLDERS.items():
        for path in sorted((root / folder).glob("*.py")):
            if path.name.startswith(("_", ".")) or not path.resolve().is_relative_to(root.resolve()):
                continue
            source = path.read_text(encoding="utf-8")
            title, description = _headline(source, path.stem)
            found.append(LibraryBlock(f"{folder}/{path.stem}", block_type, title, description, source))
    return found


def library_block(item_id: str) -> LibraryBlock:
    """Return the shared block of that id.

    Raises:
        NotFoundError: There is none. [SB-SYS-002]
    """
    for item in library_blocks():
        if item.id == item_id:
            return item
    raise NotFoundError(
        f"The library has no block '{item_id}'.", hint="open the library page, which lists what there is."
    )


def _headline(source: str, name: str, language: str = "python") -> tuple[str, str]:
    """Return title and description from the module docstring, or from the comment at the top."""
    if language == "markdown":
        return "Text", "A heading and a few lines, shown as they will look."
    try:
        doc = (ast.get_docstring(ast.parse(source)) or "") if language == "python" else headline(source, language)
    except SyntaxError:
        doc = ""
    title, _, rest = doc.partition("\n")
    return title.strip().rstrip(".") or name.replace("_", " "), rest.strip()
