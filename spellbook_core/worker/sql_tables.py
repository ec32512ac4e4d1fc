"""What a SQL block's parents hand over, as Arrow tables: mapped from the store where they lie as such."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from spellbook_core.artifacts.formats.registry import ARROW_FORMATS
from spellbook_core.worker.items import read_input
from spellbook_core.worker.sql_parts import Table
from spellbook_core.worker.sql_problems import InputTableError

if TYPE_CHECKING:
    from spellbook_core.artifacts.store import ArtifactStore
    from spellbook_core.model.output import OutputInfo
    from spellbook_core.model.task import BlockInput, BlockTask

MAX_ROWS_AS_VALUES = 10_000
"""Most rows that `block_output` of a template hands over as values; a larger table belongs into FROM."""

_ALIKE = ({"int", "float"}, {"str"}, {"bool"})
"""Types of values that make one column."""


@dataclass(frozen=True, slots=True)
class Source:
    """A table that a block can read: its names, its columns as far as they are known, and how to get it."""

    names: tuple[str, ...]
    columns: tuple[str, ...]
    read: Callable[[], Any]


class Parents:
    """The parents of one SQL block: `df_1`, `df_2`, … in their order, and each by its own name."""

    def __init__(self, task: BlockTask, store: ArtifactStore) -> None:
        """Read nothing yet."""
        self._store = store
        self._inputs = task.inputs
        self._sources = [self._of(number, given) for number, given in enumerate(task.inputs, start=1)]

    def names(self) -> dict[str, Table]:
        """Return template name -> table; `df_1[1]` is the second output of the first parent."""
        found: dict[str, Table] = {}
        for number, sources in enumerate(self._sources, start=1):
            tables = [Table(source.names[0], source.columns) for source in sources]
            if tables:
                table = Table(tables[0].name, tables[0].columns, tuple(tables[1:]))
                found[f"df_{number}"] = found[table.name] = table
        return found

    def missing(self) -> dict[str, InputTableError]:
        """Return name of a table that a parent should have made and did not -> the error for who uses it."""
        empty = [(number, given) for number, given in enumerate(self._inputs, start=1) if _gave_nothing(given)]
        return {
            name: _no_table(name, f"df_{number}", given)
            for number, given in empty
            for name in (f"df_{number}", given.block)
        }

    def identifiers(self) -> set[str]:
        """Return the names that a value may choose: the parents' tables and their columns."""
        every = [source for sources in self._sources for source in sources]
        return {source.names[0] for source in every} | {column for source in every for column in source.columns}

    def mentioned(self, text: str) -> Iterator[tuple[str, Source]]:
        """Yield (name, table) for each name of a table that occurs in `text`, in any case."""
        folded = text.casefold()
        for sources in self._sources:
            for source in sources:
                for name in source.names:
                    if name.casefold() in folded:
                        yield name, source

    def _of(self, number: int, given: BlockInput) -> list[Source]:
        """Return the tables of a parent: one per output, of an item its own, of children their rows together."""
        own, short = given.block, f"df_{number}"
        if _gave_nothing(given):
            return []
        if given.item is not None:
            return [Source((own, short), (), lambda: self._made(read_input(given, self._store)[0], own))]
        if given.children is not None:
            return [Source((own, short), _columns(given.outputs), lambda: self._together(given))]
        found = [
            Source(
                (own, short) if output.index == 0 else (f"{own}_{output.index}",),
                _columns([output]),
                partial(self._table, output),
            )
            for output in given.outputs
        ]
        if _may_be_rows(given.outputs):
            found[0] = replace(found[0], read=partial(self._rows, given))
        return found

    def _rows(self, given: BlockInput) -> Any:
        """Return the list that a block returned, which is stored entry by entry.

        Dictionaries without a key in common are no rows of one table: of them it is the first.
        """
        values = [self._store.get(output.artifact) for output in given.outputs]
        records = [value for value in values if isinstance(value, Mapping)]
        if records and not set.intersection(*map(set, records)):
            return self._made(values[0], given.outputs[0].name)
        return self._made(values, given.block)

    def _together(self, given: BlockInput) -> Any:
        import pyarrow as pa

        return pa.concat_tables([self._table(output) for output in given.outputs], promote_options="permissive")

    def _table(self, output: OutputInfo) -> Any:
        """Return an output as a `pyarrow.Table`, its bytes checked."""
        from spellbook_core.artifacts.preview import open_shown

        if output.artifact.format in ARROW_FORMATS:
            self._store.verify(output.artifact)
            return _without_halves(open_shown(self._store, output.artifact)[0])
        return self._made(self._store.get(output.artifact), output.name)

    def _made(self, value: object, name: str) -> Any:
        try:
            return _made_table(value)
        except Exception as cause:  # noqa: BLE001  # pyarrow refuses in many ways
            raise InputTableError(
                f"'{name}' is a {type(value).__name__}, of which no table can be made: {cause}",
                hint="return a table from the parent, or use block_output('name') for a single value.",
            ) from None

    def value(self, block: str) -> object:
        """Return a parent's output as values: what it is, or the rows of a table as mappings.

        Raises:
            InputTableError: There is no such parent, or its table has too many rows. [SB-WRK-082]
        """
        given = next((given for given in self._inputs if given.block == block), None)
        if given is None:
            known = ", ".join(given.block for given in self._inputs) or "none"
            raise InputTableError(f"'{block[:60]}' is no parent of this block.", hint=f"its parents are: {known}.")
        if given.item is not None or given.children is not None:
            return read_input(given, self._store)[0]
        values = [self._value(output) for output in given.outputs]
        return values[0] if len(values) == 1 else values or None

    def _value(self, output: OutputInfo) -> object:
        if output.artifact.format not in ARROW_FORMATS:
            return self._store.get(output.artifact)
        if (output.rows or 0) > MAX_ROWS_AS_VALUES:
            raise InputTableError(
                f"'{output.name}' has {output.rows:,} rows; block_output hands over {MAX_ROWS_AS_VALUES:,} at most.",
                hint="read it as a table, in FROM.",
            )
        rows: list[object] = self._table(output).to_pylist()
        return rows


def _may_be_rows(outputs: Sequence[OutputInfo]) -> bool:
    """Return whether outputs are the entries of one list: all records, or all values of one kind."""
    if len(outputs) < 2 or any(output.artifact.format != "json" for output in outputs):
        return False
    kinds = {output.type_name for output in outputs}
    return kinds == {"dict"} or any(kinds <= {*alike, "NoneType"} for alike in _ALIKE)


def _gave_nothing(given: BlockInput) -> bool:
    return not given.outputs and given.item is None


def _no_table(name: str, short: str, given: BlockInput) -> InputTableError:
    why = "had no items to run for" if given.children == () else "returned None"
    return InputTableError(
        f"There is no table '{name}': its block '{given.block}' {why}.",
        hint=f"return a table in '{given.block}', or leave out what reads it, e.g. by {{% if {short} is defined %}}.",
    )


def _columns(outputs: Sequence[OutputInfo]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column.name for output in outputs for column in output.columns))


def _without_halves(table: Any) -> Any:
    """Return a table with half floats, which DuckDB does not know, as floats."""
    import pyarrow as pa

    for position, field in enumerate(table.schema):
        if pa.types.is_float16(field.type):
            table = table.set_column(position, field.name, table.column(position).cast(pa.float32()))
    return table


def _made_table(value: Any) -> Any:
    """Return a table of what a Python block returned without a table of its own: records, columns, a list, a value."""
    import pyarrow as pa

    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if type(value).__module__.startswith("pandas"):
        frame = value.to_frame() if hasattr(value, "to_frame") and not hasattr(value, "columns") else value
        return pa.Table.from_pandas(frame.rename(columns=str), preserve_index=False)
    if hasattr(value, "ndim"):
        columns = value.reshape(len(value), -1).T if value.ndim else [value.reshape(1)]
        return pa.table({f"c{n}" if len(columns) > 1 else "value": column for n, column in enumerate(columns)})
    if isinstance(value, Mapping):
        is_columns = bool(value) and all(isinstance(column, list) for column in value.values())
        return pa.table(dict(value)) if is_columns else pa.Table.from_pylist([dict(value)])
    if isinstance(value, (list, tuple)):
        if value and all(isinstance(row, Mapping) for row in value):
            names = dict.fromkeys(name for row in value for name in row)  # from_pylist takes those of the first row
            return pa.table({name: [row.get(name) for row in value] for name in names})
        return pa.table({"value": list(value)})
    return pa.table({"value": [value]})
