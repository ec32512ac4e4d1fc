"""A pipeline as a value, and its edits: each returns a new pipeline or says why it cannot be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from spellbook_core.errors import AlreadyExistsError, NotFoundError
from spellbook_core.model import graph
from spellbook_core.model.block import Block
from spellbook_core.model.naming import BlockUuid, PipelineUuid, names_hint, same_name_key
from spellbook_core.model.values import YamlValue


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Blocks, their links and the variables they share.

    Attributes:
        uuid: The stable name; the folder under `pipelines/`.
        name: What the person sees.
        type: `python`, or a mage type that is only shown.
        blocks: In file order, which is the notebook's order and not the run order.
        callbacks: Add-on blocks, outside the graph of runs; likewise `conditionals` and `widgets` (charts).
        variables: Values every block receives, with their YAML types.
        retry_config: As the file has it; blocks have their own over it.
        concurrency_config: As the file has it; `project.concurrency` reads it.
        environment: `executor_config.env`: variables of every block's process; blocks have their own over it.
    """

    uuid: PipelineUuid
    name: str
    type: str = "python"
    description: str = ""
    tags: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    callbacks: tuple[Block, ...] = ()
    conditionals: tuple[Block, ...] = ()
    widgets: tuple[Block, ...] = ()
    variables: Mapping[str, YamlValue] = field(default_factory=dict)
    retry_config: Mapping[str, YamlValue] = field(default_factory=dict)
    environment: Mapping[str, YamlValue] = field(default_factory=dict)
    concurrency_config: Mapping[str, YamlValue] = field(default_factory=dict)

    def configuration_of(self, block: Block) -> Mapping[str, YamlValue]:
        """Return the configuration that a block runs with: its own, its `env` laid over the pipeline's."""
        own = block.configuration.get("env")
        if not self.environment or not (own is None or isinstance(own, Mapping)):
            return block.configuration
        return {**block.configuration, "env": {**self.environment, **(own or {})}}

    def has(self, uuid: str) -> bool:
        """Return whether a block of this uuid is in `blocks`."""
        return any(block.uuid == uuid for block in self.blocks)

    def block(self, uuid: str) -> Block:
        """Return the block named `uuid`.

        Raises:
            NotFoundError: Names the blocks there are. [SB-SYS-002]
        """
        for block in self.blocks:
            if block.uuid == uuid:
                return block
        raise NotFoundError(
            f"Pipeline '{self.uuid}' has no block '{uuid}'.",
            hint=names_hint("its blocks are", [block.uuid for block in self.blocks], uuid),
            pipeline=self.uuid,
            block=uuid,
        )

    def parents(self) -> dict[BlockUuid, tuple[BlockUuid, ...]]:
        """Return block -> parents that are in this pipeline, in argument order; blocks in file order."""
        known = {block.uuid for block in self.blocks}
        return {
            block.uuid: tuple(parent for parent in block.upstream_blocks if parent in known) for block in self.blocks
        }

    def children(self) -> dict[BlockUuid, tuple[BlockUuid, ...]]:
        """Return block -> direct children, in file order."""
        return graph.children_of(self.parents())

    def run_order(self) -> list[BlockUuid]:
        """Return all blocks, parents first. Raises CycleError."""
        return graph.topological_order(self.parents())


def add_block(pipeline: Pipeline, block: Block, *, position: int | None = None) -> Pipeline:
    """Return the pipeline with `block` at `position` (end when None).

    Raises:
        AlreadyExistsError: A block of that name, in any case or Unicode form, is there already. [SB-SYS-003]
        NotFoundError: It names a parent that is not in the pipeline. [SB-SYS-002]
        CycleError: Its links close a circle. [SB-PIP-001]
    """
    for other in pipeline.blocks:
        if same_name_key(other.uuid) == same_name_key(block.uuid):
            raise AlreadyExistsError(
                f"Pipeline '{pipeline.uuid}' already has a block '{other.uuid}'.",
                hint="choose another name.",
                pipeline=pipeline.uuid,
                block=other.uuid,
            )
    blocks = list(pipeline.blocks)
    blocks.insert(len(blocks) if position is None else position, block)
    return _checked(replace(pipeline, blocks=tuple(blocks)), block.uuid)


def replace_block(pipeline: Pipeline, block: Block) -> Pipeline:
    """Return the pipeline with the block of the same uuid replaced; links are checked as in `add_block`."""
    pipeline.block(block.uuid)
    blocks = tuple(block if old.uuid == block.uuid else old for old in pipeline.blocks)
    return _checked(replace(pipeline, blocks=blocks), block.uuid)


def remove_block(pipeline: Pipeline, uuid: str) -> Pipeline:
    """Return the pipeline without block `uuid` and without links to it."""
    pipeline.block(uuid)
    kept = (block for block in pipeline.blocks if block.uuid != uuid)
    return replace(pipeline, blocks=tuple(_without_parent(block, uuid) for block in kept))


def set_parents(pipeline: Pipeline, uuid: str, parents: Iterable[str]) -> Pipeline:
    """Return the pipeline in which `uuid` has exactly these parents, in this order."""
    names = tuple(BlockUuid(parent) for parent in dict.fromkeys(parents))
    return replace_block(pipeline, replace(pipeline.block(uuid), upstream_blocks=names))


def toggle_parent(pipeline: Pipeline, child: str, parent: str) -> Pipeline:
    """Return the pipeline with the link parent -> child added at the end, or removed when it was there."""
    current = pipeline.block(child).upstream_blocks
    if parent in current:
        return set_parents(pipeline, child, [name for name in current if name != parent])
    return set_parents(pipeline, child, [*current, parent])


def rename_block(pipeline: Pipeline, uuid: str, new_uuid: str, new_name: str) -> Pipeline:
    """Return the pipeline with the block and every link to it renamed, position kept."""
    old = pipeline.block(uuid)
    if new_uuid != uuid and any(
        same_name_key(b.uuid) == same_name_key(new_uuid) for b in pipeline.blocks if b.uuid != uuid
    ):
        raise AlreadyExistsError(
            f"Pipeline '{pipeline.uuid}' already has a block '{new_uuid}'.",
            hint="choose another name.",
            pipeline=pipeline.uuid,
            block=new_uuid,
        )
    renamed = replace(old, uuid=BlockUuid(new_uuid), name=new_name)
    blocks = (renamed if block.uuid == uuid else block for block in pipeline.blocks)
    return replace(pipeline, blocks=tuple(_with_parent_renamed(block, uuid, new_uuid) for block in blocks))


def move_block(pipeline: Pipeline, uuid: str, by: int) -> Pipeline:
    """Return the pipeline with the block moved `by` places in the notebook's order (negative: up), within bounds."""
    blocks = list(pipeline.blocks)
    block = pipeline.block(uuid)
    position = blocks.index(block)
    blocks.insert(max(0, min(len(blocks) - 1, position + by)), blocks.pop(position))
    return replace(pipeline, blocks=tuple(blocks))


def _checked(pipeline: Pipeline, uuid: str) -> Pipeline:
    known = {block.uuid for block in pipeline.blocks}
    for parent in pipeline.block(uuid).upstream_blocks:
        if parent not in known:
            raise NotFoundError(
                f"Block '{uuid}' cannot have '{parent}' as a parent: the pipeline has no such block.",
                hint="add it to the pipeline first.",
                pipeline=pipeline.uuid,
                block=uuid,
            )
    pipeline.run_order()
    return pipeline


def _without_parent(block: Block, parent: str) -> Block:
    if parent not in block.upstream_blocks:
        return block
    return replace(block, upstream_blocks=tuple(name for name in block.upstream_blocks if name != parent))


def _with_parent_renamed(block: Block, old: str, new: str) -> Block:
    if old not in block.upstream_blocks:
        return block
    names = tuple(BlockUuid(new) if name == old else name for name in block.upstream_blocks)
    return replace(block, upstream_blocks=names)
