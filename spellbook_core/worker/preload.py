"""What a zygote imports before it forks, and how it knows that forking is safe."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from spellbook_core.worker.load import import_named

BASE = ("pandas", "pyarrow", "duckdb")
"""Always warm: tables pass between blocks as Arrow, and DuckDB is the project's SQL."""

_MODULES: Mapping[str, tuple[str, ...]] = {
    "pandas": ("pandas",),
    "pyarrow": ("pyarrow", "pyarrow.dataset", "pyarrow.compute", "pyarrow.ipc", "pyarrow.parquet"),
    "duckdb": ("duckdb",),
    # the first optimizer made in a process imports torch._dynamo: 1.7 CPU s in every block that trains
    "torch": ("torch", "torch._dynamo", "torch.utils.data", "safetensors.torch"),
    "sklearn": ("sklearn", "sklearn.base", "sklearn.utils", "sklearn.model_selection"),
}
"""Package -> modules. Only these are ever imported ahead; polars is not among them (it starts threads)."""

_OWN = (
    "xxhash",
    "cloudpickle",
    "safetensors",
    "asyncio",
    "spellbook_core.worker.entry",
    "spellbook_core.worker.child",
    "spellbook_core.artifacts.local",
)

ENVIRONMENT: Mapping[str, str] = {
    "OPENBLAS_NUM_THREADS": "1",
    "OPENBLAS_THREAD_TIMEOUT": "20",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
"""Set for a zygote. The number of threads and jemalloc's setting: so that imports start no thread. The timeout: so that
OpenBLAS's threads spin for 2^20 cycles of the processor, 0.5 ms, before they sleep; by default they take 80 ms of a
core each time, also from a block that only imports numpy, and large products are no quicker for it. The last: so that
forks copy fewer page tables."""


_IMPORT_THRESHOLD = 20_000
"""New objects between two collections while packages are imported: by default, 700, these take 0.3 s of torch's 2.6 and
find hardly anything; without any, 4 MB of garbage would stay in the way."""

_MADV_DONTNEED = 4


def preload_list(packages: Sequence[str]) -> tuple[str, ...]:
    """Return the packages that are imported for a project that wants `packages`, base first, known ones only."""
    return (*BASE, *sorted(name for name in set(packages) - set(BASE) if name in _MODULES))


def smaller(packages: Sequence[str]) -> tuple[str, ...]:
    """Return the next list to try when `packages` left threads: without extras, then nothing."""
    return BASE if len(packages) > len(BASE) else ()


def import_packages(packages: Sequence[str]) -> None:
    """Import what `packages` means; what is not installed is skipped. Computes nothing, touches no GPU."""
    usual = gc.get_threshold()
    gc.set_threshold(_IMPORT_THRESHOLD, *usual[1:])
    for name in (*_OWN, *(module for package in packages for module in _MODULES.get(package, ()))):
        import_named(name)
    from spellbook_core.worker.rehearsal import rehearse  # the engine reads this module too, and loads no worker
    from spellbook_core.worker.source_only import forget_folders

    rehearse()
    forget_folders()
    duckdb = sys.modules.get("duckdb")
    if duckdb is not None:
        duckdb.default_connection().close()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*usual)
    _let_go_of_code()


def _let_go_of_code() -> None:
    """Give back the pages of libraries' machine code that only importing needed: 60 MB with torch.

    They are never written to, so the system reads them again from the file, and mostly from its cache, when they are
    needed; a fork does not copy them either way.
    """
    if sys.platform != "linux":
        return
    import ctypes

    advise = ctypes.CDLL(None, use_errno=True).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for line in Path("/proc/self/maps").read_text(errors="replace").splitlines():
        place, access, _, _, inode, *_ = line.split(maxsplit=5)
        if access == "r-xp" and inode != "0":
            first, last = (int(end, 16) for end in place.split("-"))
            advise(first, last - first, _MADV_DONTNEED)  # refused: the pages stay


def thread_count() -> int:
    """Return how many threads this process has, native ones included; 1 where that cannot be asked."""
    try:
        return len(os.listdir("/proc/self/task"))
    except FileNotFoundError:
        return 1


def thread_raiser() -> Callable[[], None]:
    """Return a function that gives a forked child the BLAS threads that `ENVIRONMENT` withheld from the zygote."""
    import ctypes

    try:
        maps = Path("/proc/self/maps").read_text(errors="replace")
    except FileNotFoundError:
        return lambda: None
    paths = sorted({line.split(maxsplit=5)[-1] for line in maps.splitlines() if "openblas" in line})
    setters = []
    for path in paths:
        library = ctypes.CDLL(path)
        for name in ("scipy_openblas_set_num_threads64_", "scipy_openblas_set_num_threads", "openblas_set_num_threads"):
            setter = getattr(library, name, None)
            if setter is not None:
                setters.append(setter)
                break
    cores = len(os.sched_getaffinity(0))

    def raise_threads() -> None:
        for setter in setters:
            setter(cores)

    return raise_threads
