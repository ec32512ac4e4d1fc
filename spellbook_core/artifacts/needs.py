"""Which packages a value needs before it can pass between blocks, told when an environment lacks one.

What JSON can hold passes without any package. Tables need pyarrow, tensors safetensors, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from spellbook_core.artifacts.problems import PackageNeededError, UnreadableArtifactError
from spellbook_core.artifacts.sketch import type_name

STORING_PACKAGES = frozenset(
    {"numpy", "pandas", "pyarrow", "polars", "duckdb", "torch", "safetensors", "cloudpickle", "xxhash"}
)
"""What the formats import. A package of another name is missing to user code, not to us."""


@contextmanager
def packages_told(value: object) -> Iterator[None]:
    """Turn the failed import of a package that storing `value` needs into an error that names it.

    Raises:
        PackageNeededError: With the package's name. [SB-ART-011]
    """
    try:
        yield
    except ModuleNotFoundError as cause:
        package = (cause.name or "").partition(".")[0]
        if package not in STORING_PACKAGES:
            raise
        raise PackageNeededError(
            f"A {type_name(value)} cannot be stored: this block's Python environment has no package '{package}'.",
            hint=f"add {package} to the packages of the project's environment, or return lists, dicts and numbers.",
            package=package,
        ) from cause


@contextmanager
def reader_told(stored_type: str) -> Iterator[None]:
    """Turn the failed import of a package that reading a stored value needs into an error that names it.

    Raises:
        UnreadableArtifactError: With the package's name. [SB-ART-007]
    """
    try:
        yield
    except ModuleNotFoundError as cause:
        package = (cause.name or "").partition(".")[0]
        raise UnreadableArtifactError(
            f"The stored {stored_type} cannot be read: this block's Python environment has no package '{package}'.",
            hint=f"add {package} to the packages of the project's environment.",
            package=package,
        ) from cause
