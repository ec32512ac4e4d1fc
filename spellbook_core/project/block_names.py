"""Names of new blocks: how a typed one becomes a uuid and a file, and when the file's name is taken."""

from __future__ import annotations

import os
from pathlib import Path

from spellbook_core.errors import AlreadyExistsError, BadNameError
from spellbook_core.model.naming import BlockUuid, clean_name, same_name_key, validate_uuid
from spellbook_core.project.layout import ProjectLayout


def clean_block_uuid(name: str) -> BlockUuid:
    """Return the uuid for a typed name. Raises BadNameError when nothing usable is left."""
    parts = name.replace("\\", "/").split("/")
    if any(part.strip() in {".", ".."} for part in parts) or name.lstrip().startswith(("/", "~")):
        raise BadNameError(
            f"'{ascii(name[:60])[1:-1]}' cannot name a block: it reads like a path to another folder.",
            hint="use letters, digits and _; a single / puts the block into a subfolder.",
        )
    uuid = clean_name(name, keep_slash=True)
    if not uuid.strip("_/"):
        raise BadNameError("A block needs a name.", hint="use letters, digits and _.")
    validate_uuid(uuid, "block", allow_slash=True)
    return BlockUuid(uuid)


def display_name(name: str) -> str:
    """Return a typed name as it is shown: its spaces made single."""
    return " ".join(name.split())


def refuse_taken_file(layout: ProjectLayout, path: Path) -> None:
    """Raise AlreadyExistsError when a file of that name, in any case or Unicode form, is there."""
    if not path.parent.is_dir():
        return
    for name in os.listdir(path.parent):
        if same_name_key(name) == same_name_key(path.name):
            raise AlreadyExistsError(
                f"The project already has a file {layout.relative(path.parent / name)}.",
                hint="choose another name, or add the existing block.",
                project=layout.name,
            )
