"""What a new pipeline can start from: blocks made of the shipped templates, linked to a chain."""

from __future__ import annotations

from dataclasses import dataclass

from spellbook_core.atomic import ABSENT, write_atomically
from spellbook_core.errors import NotFoundError, SpellbookError
from spellbook_core.model.block import Block
from spellbook_core.model.naming import BlockUuid
from spellbook_core.project.containment import decode, read_inside
from spellbook_core.project.layout import ProjectLayout
from spellbook_core.project.library import template
from spellbook_core.project.moves import make_folder


@dataclass(frozen=True, slots=True)
class PipelineTemplate:
    """A pipeline template as a card shows it."""

    id: str
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Starter:
    """A pipeline template and its blocks: (uuid, template id), each the parent of the next."""

    template: PipelineTemplate
    chain: tuple[tuple[str, str], ...] = ()

    @property
    def description(self) -> str:
        """What the new pipeline says of itself; an empty one says nothing."""
        return self.template.description if self.chain else ""

    def add_files(self, project: ProjectLayout) -> tuple[Block, ...]:
        """Write the block files and return the linked blocks.

        A file of the same name and text is shared; one of the same name and other text is left alone, and the new one
        gets a number.
        """
        blocks: list[Block] = []
        for name, template_id in self.chain:
            item = template(template_id)
            uuid = place_file(project, item.block_type, name, item.source)
            parents = (blocks[-1].uuid,) if blocks else ()
            blocks.append(Block(uuid, uuid, item.block_type, upstream_blocks=parents))
        return tuple(blocks)


_STARTERS = (
    Starter(
        PipelineTemplate("titanic", "Train a PyTorch model", "Load the Titanic passengers, fill gaps, train, export."),
        (
            ("load_passengers", "data_loader/titanic"),
            ("fill_in_missing_values", "transformer/fill_missing"),
            ("train_classifier", "custom/torch_binary_classifier"),
            ("export_predictions", "data_exporter/csv"),
        ),
    ),
    Starter(
        PipelineTemplate("table_report", "Report on a table", "Make sample orders, clean them, sum them up, export."),
        (
            ("load_orders", "data_loader/sample_orders"),
            ("clean_orders", "transformer/drop_duplicates"),
            ("sum_up_orders", "transformer/aggregate"),
            ("export_report", "data_exporter/csv"),
        ),
    ),
    Starter(PipelineTemplate("blank", "Blank pipeline", "No blocks yet.")),
)


def starters() -> tuple[Starter, ...]:
    """Return the pipeline templates, in the order in which they are offered."""
    return _STARTERS


def starter(template_id: str) -> Starter:
    """Return one by its id.

    Raises:
        NotFoundError: Names those there are. [SB-SYS-002]
    """
    for item in _STARTERS:
        if item.template.id == template_id:
            return item
    known = ", ".join(item.template.id for item in _STARTERS)
    raise NotFoundError(f"There is no pipeline template '{template_id}'.", hint=f"the templates are: {known}.")


def place_file(project: ProjectLayout, block_type: str, name: str, source: str) -> BlockUuid:
    """Write a block file under `name`, or `name_2`, … when another text has it, and return its uuid."""
    for number in range(1, 1000):
        uuid = BlockUuid(name if number == 1 else f"{name}_{number}")
        path = project.default_block_file(block_type, uuid)
        if path.exists():
            try:
                if decode(read_inside(project.root, path), path) == source:
                    return uuid
            except SpellbookError:  # unreadable: leave it alone and take the next number
                pass
            continue
        make_folder(path.parent)
        write_atomically(path, source.encode("utf-8"), expected_hash=ABSENT)
        return uuid
    raise NotFoundError(f"There is no free name for '{name}'.", hint="rename some blocks.")
