"""pickle5 for any other value whose classes the next process can import; cloudpickle, by value, for those it cannot.

Both are read with `pickle.load`, which runs code: only blocks of this workspace read them, and only what it wrote.
"""

from __future__ import annotations

import pickle
import sys
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

from spellbook_core.artifacts.formats import describe, refuse
from spellbook_core.artifacts.formats.encoded import Encoded, UseFallbackError
from spellbook_core.artifacts.problems import UnreadableArtifactError, UnstorableValueError
from spellbook_core.artifacts.sketch import describe_shortly, type_name

PICKLE_FORMAT = "pickle5"
CLOUDPICKLE_FORMAT = "cloudpickle"

_by_value: set[str] = set()


class _RefusedError(Exception):
    """Something that no block can hand to another was reached."""

    def __init__(self, value: object, fix: str) -> None:
        super().__init__(fix)
        self.value = value
        self.fix = fix


class _ReferencePickler(pickle.Pickler):
    """pickle5 that stops at what must not be kept, and at what can be kept by value only."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=5)
        self._by_value = _modules_by_value()
        self.last: object = None

    def reducer_override(self, value: object) -> Any:
        self.last = value
        _refuse(value)
        if isinstance(value, (type, types.FunctionType)) and not self._is_importable(value):
            raise UseFallbackError
        return NotImplemented

    def _is_importable(self, value: Any) -> bool:
        module = getattr(value, "__module__", None)
        if not isinstance(module, str) or module in self._by_value or module == "__main__":
            return False
        found: Any = sys.modules.get(module)
        for name in value.__qualname__.split("."):
            found = getattr(found, name, None)
        return found is value or value is type(None)


def encode(value: object, *, within: object = None) -> Encoded:
    """Return how to store any value that can be pickled; what cannot is told by its `write`.

    Args:
        value: The value.
        within: What the block returned, when `value` is only some of it: places are told in that.
    """
    shown = describe.describe(value)
    told = value if within is None else within
    by_reference = Encoded(
        format=PICKLE_FORMAT,
        suffix="pkl",
        kind=shown.kind,
        type_name=type_name(value),
        summary=shown.summary,
        write=lambda file: _write(value, _ReferencePickler(file), told),
        preview=shown.preview,
        rows=shown.rows,
        columns=shown.columns,
        warnings=shown.warnings,
        facts=shown.facts,
    )
    by_value = replace(
        by_reference, format=CLOUDPICKLE_FORMAT, write=lambda file: _write(value, _value_pickler(file), told)
    )
    return replace(by_reference, fallback=by_value)


def decode(path: Path) -> object:
    """Return a new value. Runs code of whoever wrote the file: the store checks the mark of the workspace first.

    Raises:
        UnreadableArtifactError: A module or class that it needs is not here. [SB-ART-007]
    """
    try:
        with path.open("rb") as file:
            return pickle.load(file)  # noqa: S301  # signed by this workspace, checked by the store
    except (ImportError, AttributeError) as cause:
        needed = getattr(cause, "name", None)
        raise UnreadableArtifactError(
            f"The stored value cannot be rebuilt here: {cause}.",
            hint=f"install or restore '{needed}', then run again; or run the block that made the value again."
            if needed
            else "run the block that made the value again.",
        ) from cause


def keep_by_value(module: types.ModuleType) -> None:
    """Have the classes and functions of `module` stored whole: no later process can import it."""
    _by_value.add(module.__name__)
    try:
        import cloudpickle
    except ImportError:  # only values that need it fail, and say so
        return
    cloudpickle.register_pickle_by_value(module)


def forget_by_value(module: types.ModuleType) -> None:
    """Undo `keep_by_value`."""
    _by_value.discard(module.__name__)
    cloudpickle = sys.modules.get("cloudpickle")
    if cloudpickle is not None:
        cloudpickle.unregister_pickle_by_value(module)


def _value_pickler(file: Any) -> Any:
    import cloudpickle

    class ValuePickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle is untyped
        """cloudpickle that stops at what must not be kept."""

        last: object = None

        def reducer_override(self, value: object) -> Any:
            self.last = value
            _refuse(value)
            return super().reducer_override(value)

    return ValuePickler(file, protocol=5)


def _modules_by_value() -> frozenset[str]:
    cloudpickle = sys.modules.get("cloudpickle")
    registered = cloudpickle.list_registry_pickle_by_value() if cloudpickle is not None else ()
    return frozenset({*_by_value, *registered})


def _refuse(value: object) -> None:
    fix = refuse.fix_for(value)
    if fix is not None:
        raise _RefusedError(value, fix)


def _write(value: object, pickler: Any, told: object) -> None:
    try:
        pickler.dump(value)
    except UseFallbackError:
        raise
    except _RefusedError as refused:
        raise _unstorable(told, refused.value, refused.fix, None) from None
    except RecursionError as cause:
        fix = "return it flattened, e.g. a table or a list of parts; it is nested too deeply"
        raise _unstorable(told, told, fix, cause) from cause
    except Exception as cause:  # user code: __reduce__ and __getstate__ may raise anything
        if isinstance(cause, OSError) and cause.errno is not None:
            raise  # the disk's doing, not the value's
        fix = "leave it out of what you return, or return the data that it was made from"
        raise _unstorable(told, pickler.last, fix, cause) from cause


def _unstorable(value: object, culprit: object, fix: str, cause: BaseException | None) -> UnstorableValueError:
    path = "" if culprit is value else refuse.path_of(value, culprit)
    kind = type_name(culprit)
    where = f" at {path} of the returned {type_name(value)}" if path else ""
    reason = "" if cause is None else f": {describe_shortly(str(cause))}"
    return UnstorableValueError(
        f"A {kind}{where} cannot be stored for the next block{reason}.",
        hint=f"{fix}.",
        type=kind,
        path=path or None,
    )
