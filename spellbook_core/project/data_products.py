"""`global_data_products.yaml` of a project: what each data product of mage stands for, and what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from spellbook_core.errors import NotFoundError, SpellbookError
from spellbook_core.model import products
from spellbook_core.model.block import Block
from spellbook_core.model.naming import names_hint
from spellbook_core.project import yaml_files
from spellbook_core.project.containment import read_inside
from spellbook_core.project.finding import Finding
from spellbook_core.project.layout import ProjectLayout
from spellbook_core.settings import MAX_YAML_BYTES

FILE = "global_data_products.yaml"


class DataProductError(SpellbookError, LookupError):
    """A global data product is not in the project's file, or stands for no pipeline of the project."""

    code = "SB-PRJ-021"


def entries_of(project: ProjectLayout) -> dict[str, Mapping[str, object]]:
    """Return product -> its entry; entries that hold no keys are left out, and there are none without the file.

    Raises:
        BadYamlError: The file cannot be read. [SB-PRJ-004]
    """
    path = project.root / FILE
    try:
        data = read_inside(project.root, path, max_bytes=MAX_YAML_BYTES)
    except NotFoundError:
        return {}
    document = yaml_files.read(data, path)[0] if data.strip() else {}
    return {name: entry for name, entry in document.items() if isinstance(entry, Mapping)}


def entry_of(project: ProjectLayout, product: str) -> Mapping[str, object]:
    """Return the entry of a product that stands for a pipeline which is there.

    Raises:
        BadYamlError: The file cannot be read. [SB-PRJ-004]
        DataProductError: Says what is wrong with the entry, or that there is none. [SB-PRJ-021]
    """
    known = entries_of(project)
    if product not in known:
        raise DataProductError(
            f"There is no global data product '{product}' in {FILE}.",
            hint=names_hint("there are", list(known), product),
            product=product,
        )
    entry = known[product]
    kind, pipeline = entry.get("object_type") or "pipeline", entry.get("object_uuid")
    if kind != "pipeline":
        raise DataProductError(
            f"The data product '{product}' stands for a {kind}, which is not offered.",
            hint="let it stand for a pipeline; its 'settings' choose the blocks.",
            product=product,
        )
    pipelines = cast("list[str]", project.pipeline_uuids())
    if pipeline not in pipelines:
        named = f"the pipeline '{pipeline}', which is not there" if pipeline else "no pipeline"
        raise DataProductError(
            f"The data product '{product}' of {FILE} names {named}.",
            hint="correct its 'object_uuid'; " + names_hint("the pipelines are", pipelines, str(pipeline or "")),
            product=product,
        )
    return entry


def finding_of(project: ProjectLayout, block: Block) -> Finding | None:
    """Return what keeps a block from handing on its data product; None when nothing can be told before the run."""
    try:
        entry_of(project, products.product_of(block) or block.uuid)
    except SpellbookError as error:
        line = error.facts.get("line")
        return Finding(
            error.code, "error", block.uuid, error.message, error.hint, FILE, line if isinstance(line, int) else None
        )
    return None
