"""What speaks against running a pipeline, found without executing any of its code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import cast

from spellbook_core.errors import SpellbookError
from spellbook_core.model import not_run
from spellbook_core.model.block import FILELESS_TYPES, RUNNABLE_TYPES, Block, BlockType
from spellbook_core.model.graph import CycleError
from spellbook_core.model.naming import BlockUuid, same_name_key
from spellbook_core.project import data_products
from spellbook_core.project.blockfile import BlockSource, fit, inspect
from spellbook_core.project.concurrency import BadConcurrencyError, concurrency_of
from spellbook_core.project.containment import decode, read_inside
from spellbook_core.project.extensions import extensions_of
from spellbook_core.project.finding import Finding
from spellbook_core.project.import_check import ImportCheck, driver_of_sql
from spellbook_core.project.layout import ProjectLayout, configured_paths
from spellbook_core.project.mage_imports import MageOffer
from spellbook_core.project.metadata import PipelineFile
from spellbook_core.project.otherfiles import missing_table
from spellbook_core.project.own_callbacks import heard_by_name, with_own_callbacks
from spellbook_core.project.project_file import problems_of

LOCAL_EXECUTORS = frozenset({"local_python", "local_python_force"})
"""mage's words for a process on the machine that it runs on; all other executors are passed over, with a note."""

_MOST_NAMED = 5

WITHOUT_FILE = frozenset({"global_data_product"})
"""Block types that have no file of their own."""


def validate_pipeline(project: ProjectLayout, file: PipelineFile, mage: MageOffer | None = None) -> list[Finding]:
    """Return the findings of a pipeline that was read, errors first, each group in file order.

    Args:
        project: Where the files are.
        file: The pipeline.
        mage: What blocks may import of mage-ai; None when a real mage-ai is there.
    """
    pipeline = file.pipeline
    name = project.relative(file.path)
    found = [
        Finding("SB-PRJ-016", "warning", None, text, "save the pipeline to correct it.", name) for text in file.warnings
    ]
    found.extend(problems_of(project))
    kind = not_run.PIPELINES.get(pipeline.type)
    if kind is not None:
        message = f"Pipelines of type '{pipeline.type}' are shown and kept, but not run here: {kind.why}."
        found.append(Finding("SB-PRJ-014", "warning", None, message, kind.instead, name))
    found.extend(
        Finding(
            "SB-PRJ-014",
            "warning",
            each.uuid,
            f"The extension '{each.uuid}' of {each.kind} is shown and kept, but not run here.",
            not_run.EXTENSION.instead,
            name,
        )
        for each in extensions_of(file.document)
    )
    found.extend(_executors(file, name))
    found.extend(_concurrency(file, name))
    found.extend(_graph(file, name))
    imports = ImportCheck(project, pipeline.uuid, name, mage)
    found.extend(imports.problems)
    found.extend(_add_ons(project, file, imports))
    for block in pipeline.blocks:
        found.extend(_block(project, file, block, imports))
    return sorted(found, key=lambda finding: finding.severity != "error")


def _add_ons(project: ProjectLayout, file: PipelineFile, imports: ImportCheck) -> list[Finding]:
    """Return what speaks against conditions and callbacks, those that only `has_callback` tells of among them."""
    pipeline = with_own_callbacks(project, file)
    known = {callback.uuid for callback in pipeline.callbacks}
    found = [
        _not_called(project, name, block)
        for name, blocks in heard_by_name(file).items()
        if name not in known
        for block in blocks
    ]
    for add_on in (*pipeline.conditionals, *pipeline.callbacks):
        if add_on.language == "python" and any(pipeline.has(name) for name in add_on.upstream_blocks):
            found += _add_on(project, add_on, imports)
    return found


def _not_called(project: ProjectLayout, callback: BlockUuid, block: BlockUuid) -> Finding:
    """Return that a block asks for a callback whose file is not there: mage passes over it, and so does a run here."""
    relative = f"{project.type_folder(BlockType.CALLBACK)}/{callback}.py"
    message = f"Block '{block}' has `has_callback: true`, but {relative} is not there: nothing is called."
    hint = f"create {relative}, or write `has_callback: false`."
    return Finding("SB-PRJ-012", "warning", block, message, hint, relative)


def _add_on(project: ProjectLayout, block: Block, imports: ImportCheck) -> list[Finding]:
    relative = None
    try:
        path = project.block_file(block)
        relative = project.relative(path)
        if not path.is_file():
            message = f"The file of {block.type} '{block.uuid}' is not there: {relative}."
            hint = f"create {relative}, or take '{block.uuid}' out of the pipeline's {block.type}s."
            return [Finding("SB-PRJ-012", "error", block.uuid, message, hint, relative)]
        text = decode(read_inside(project.root, path), path)
        source = inspect(text, "", relative, language=block.language)
    except SpellbookError as error:
        return [_unreadable(block, error, relative)]
    if source.problem is not None:
        return _source(block, source, relative, 0)
    return imports.findings(block.uuid, text, relative)


def _executors(file: PipelineFile, name: str) -> list[Finding]:
    """Return one finding per executor of mage that is another than the local process."""
    entries = cast("list[Mapping[str, object]]", file.document.get("blocks") or [])
    wanted: dict[str, list[str | None]] = {}
    if file.document.get("executor_type"):
        wanted[str(file.document["executor_type"])] = [None]
    for block, entry in zip(file.pipeline.blocks, entries, strict=True):
        if entry.get("executor_type") and block.is_runnable:
            wanted.setdefault(str(entry["executor_type"]), []).append(block.uuid)
    found = []
    for executor, who in wanted.items():
        if executor not in LOCAL_EXECUTORS:
            names = ", ".join(f"'{each}'" for each in who[:_MOST_NAMED] if each) or "the pipeline"
            more = f" and {len(who) - _MOST_NAMED} more" if len(who) > _MOST_NAMED else ""
            message = f"The executor '{executor[:60]}' of {names}{more} is not used: blocks run on this machine."
            hint = "nothing, when that is meant; run it with mage where the executor is needed."
            found.append(Finding("SB-PRJ-064", "warning", who[0] if len(who) == 1 else None, message, hint, name))
    return found


def _concurrency(file: PipelineFile, name: str) -> list[Finding]:
    """Return what is wrong with the limits on runs; such a pipeline does not run."""
    try:
        concurrency_of(file.document)
    except BadConcurrencyError as wrong:
        return [Finding(wrong.code, "error", None, wrong.message, wrong.hint, name)]
    return []


def _graph(file: PipelineFile, name: str) -> list[Finding]:
    pipeline = file.pipeline
    found = []
    counts = Counter(same_name_key(block.uuid) for block in pipeline.blocks)
    for block in pipeline.blocks:
        if counts[same_name_key(block.uuid)] > 1:
            found.append(
                Finding(
                    "SB-PRJ-018",
                    "error",
                    block.uuid,
                    f"The name '{block.uuid}' is there {counts.pop(same_name_key(block.uuid))} times.",
                    "rename or remove all but one.",
                    name,
                )
            )
    known = {block.uuid for block in pipeline.blocks}
    for block in pipeline.blocks:
        for parent in block.upstream_blocks:
            if parent not in known:
                found.append(
                    Finding(
                        "SB-PRJ-017",
                        "warning",  # mage passes over such a link, and so does a run here
                        block.uuid,
                        f"Block '{block.uuid}' has the parent '{parent}', which is not in the pipeline: no link.",
                        f"add '{parent}', or remove the link.",
                        name,
                    )
                )
    try:
        pipeline.run_order()
    except CycleError as error:
        found.append(Finding(error.code, "error", None, error.message, error.hint, name))
    return found


def _block(project: ProjectLayout, file: PipelineFile, block: Block, imports: ImportCheck) -> list[Finding]:
    unsupported = _unsupported(block, project.relative(file.path))
    if unsupported is not None:
        return [unsupported]
    if block.type in FILELESS_TYPES:
        product = data_products.finding_of(project, block)
        return [product] if product is not None else []
    if block.type not in RUNNABLE_TYPES:
        return []
    found = [
        _outside(block, text, project.relative(file.path))
        for text in configured_paths(block)
        if _is_outside(project, text)
    ]
    relative = None
    try:
        path = project.block_file(block)
        relative = project.relative(path)
        if not path.is_file():
            hint = f"create {relative}, restore it from git, or remove the block."
            message = f"The file of block '{block.uuid}' is not there: {relative}."
            return [*found, Finding("SB-PRJ-012", "error", block.uuid, message, hint, relative)]
        text = decode(read_inside(project.root, path), path)
        source = inspect(text, block.type, relative, language=block.language)
    except SpellbookError as error:
        return [*found, _unreadable(block, error, relative)]
    parents = len([parent for parent in block.upstream_blocks if file.pipeline.has(parent)])
    found += _source(block, source, relative, parents, file.pipeline.variables)
    missing = missing_table(text, parents) if block.language == "sql" else None
    if missing is not None:
        message = f"Block '{block.uuid}' reads {{{{ df_{missing} }}}}, but it has {parents} parent(s)."
        found.append(Finding("SB-PRJ-013", "warning", block.uuid, message, "link that parent.", relative))
    if block.language == "sql" and (driver := driver_of_sql(block, relative)) is not None:
        found.append(driver)
    return found + (imports.findings(block.uuid, text, relative) if block.language == "python" else [])


def _source(
    block: Block, source: BlockSource, relative: str, parents: int, named: Collection[str] = ()
) -> list[Finding]:
    if source.problem is not None:
        problem = source.problem
        return [Finding(problem.code, "error", block.uuid, problem.message, problem.hint, relative, problem.line)]
    found = [
        Finding(
            "SB-PRJ-019", "warning", block.uuid, text, "move the others to a block of their own.", relative, source.line
        )
        for text in source.warnings
    ]
    mismatch = fit(source, parents, named)
    if mismatch is not None:
        hint = "match the function's parameters to the block's parents."
        found.append(Finding("SB-PRJ-013", "warning", block.uuid, mismatch, hint, relative, source.line))
    return found


def _unreadable(block: Block, error: SpellbookError, relative: str | None) -> Finding:
    line = error.facts.get("line")
    return Finding(
        error.code, "error", block.uuid, error.message, error.hint, relative, line if isinstance(line, int) else None
    )


def _unsupported(block: Block, name: str) -> Finding | None:
    found = not_run.of_block(block)
    if found is None:
        return None
    message = f"Block '{block.uuid}' is shown and kept, but not run here: {found.why}."
    return Finding("SB-PRJ-014", "warning", block.uuid, message, found.instead, name)


def _is_outside(project: ProjectLayout, text: str) -> bool:
    try:
        project.contained(text)
    except SpellbookError:
        return True
    return False


def _outside(block: Block, text: str, name: str) -> Finding:
    return Finding(
        "SB-PRJ-020",
        "warning",
        block.uuid,
        f"Block '{block.uuid}' names the file '{ascii(text[:80])[1:-1]}', outside the project; it is not read.",
        "name a file inside the project.",
        name,
    )
