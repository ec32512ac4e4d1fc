"""The memory limit of a block: set inside its process, and watched from outside.

Inside, the system refuses memory beyond the limit, so that the line that asked for it is named. That counts what was
asked for in this process alone; the zygote counts what is really used, child processes included, and ends the block.
Pages that the process shares with its zygote, and files that it maps (its inputs), are nobody's consumption.
"""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from spellbook_core.errors import SpellbookError
from spellbook_core.model.task import BlockTask
from spellbook_core.model.values import YamlValue
from spellbook_core.worker.strays import children_of

KEY = "memory_limit"

HEADROOM_BYTES = 256 * 1024 * 1024
"""What the system allows beyond the limit: stacks and arenas of threads are asked for and never used. The watch outside
has no headroom."""

LEAST_BYTES = 32 * 1024 * 1024
"""Smallest limit: below it not even the block's own loading fits."""

CHECK_S = 0.05
"""Seconds between two looks at a limited block: 50 microseconds of CPU each."""

_GPU = Path("/dev/nvidiactl")

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_PROJECT_LINE = re.compile(rf"^{KEY}:[ \t]*(?P<value>[^#\n]+)", re.MULTILINE)
_KIB_FIELDS = re.compile(r"^(?:RssAnon|RssShmem|VmSwap):\s+(\d+) kB", re.MULTILINE)
_PRIVATE_FIELDS = re.compile(r"^(?:Private_Clean|Private_Dirty|Swap):\s+(\d+) kB", re.MULTILINE)


class BadMemoryLimitError(SpellbookError, ValueError):
    """`memory_limit` of a block or project is no size."""

    code = "SB-WRK-050"


class MemoryLimitError(SpellbookError, MemoryError):
    """A block used more memory than its `memory_limit`."""

    code = "SB-WRK-051"


def limit_of(configuration: Mapping[str, YamlValue], project: Path) -> int | None:
    """Return a block's limit in bytes: its own `memory_limit`, else that of the project's metadata.yaml; None for none.

    Raises:
        BadMemoryLimitError: It is no size. [SB-WRK-050]
    """
    value = configuration.get(KEY)
    if value is None:
        try:
            found = _PROJECT_LINE.search((project / "metadata.yaml").read_text("utf-8", "replace"))
        except OSError:
            return None
        value = found["value"].strip().strip("'\"") if found else None
    return None if value in {None, "", "null", "none"} else read_size(value)


def read_size(value: object) -> int:
    """Return bytes of `2GB`, `512 MB`, `1.5GiB` (1024 each step in either spelling) or a number of bytes.

    Raises:
        BadMemoryLimitError: It is none of those, or below `LEAST_BYTES`. [SB-WRK-050]
    """
    found = _SIZE.fullmatch(str(value).strip())
    size = int(float(found[1]) * 1024 ** _POWERS[found[2].lower()]) if found else 0
    if size < LEAST_BYTES:
        raise BadMemoryLimitError(
            f"'{KEY}: {str(value)[:40]}' is no limit that a block can run in.",
            hint=f"write a size such as 2GB or 512MB, {shown(LEAST_BYTES)} at least.",
        )
    return size


def shown(size: float) -> str:
    """Return a size for people, e.g. `1.5 GB`."""
    unit = "bytes"
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if size < 1024 or unit == "TB":
            break
        size /= 1024
    return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"


_limit: int | None = None


def restrict(task: BlockTask) -> int | None:
    """Have the system refuse this process more than its task's limit, and return the limit.

    Counted is memory that is private and writable; address space that is only reserved is not. On a machine with an
    NVIDIA GPU nothing is refused and the watch alone ends the block: what CUDA asks for was never measured.
    """
    global _limit
    _limit = limit_of(task.configuration, Path(task.project_root))
    if _limit is not None and sys.platform == "linux" and not _GPU.exists():
        with suppress(OSError, ValueError):  # a lower hard limit is there already
            bound = _field("VmData") + _limit + HEADROOM_BYTES
            hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
            resource.setrlimit(resource.RLIMIT_DATA, (bound if hard < 0 else min(bound, hard), hard))
    return _limit


def explained(exception: BaseException, block: str) -> MemoryLimitError | None:
    """Return what an exception means when it says that memory was refused under a limit, else None."""
    if _limit is None or not _is_refusal(exception):
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return MemoryLimitError(
        f"Block '{block}' asked for more memory than its limit of {shown(_limit)} allows (peak {shown(peak)}, "
        "libraries included).",
        hint=_HINT,
        limit_bytes=_limit,
        peak_bytes=peak,
    )


def exceeded(reason: str, who: str) -> MemoryLimitError:
    """Return the error for an attempt that was ended with a reason of `MemoryWatch`."""
    used, limit = (int(number) for number in re.findall(r"\d+", reason)[:2])
    return MemoryLimitError(
        f"{who} used {shown(used)} of memory, more than its limit of {shown(limit)}, and was ended.",
        hint=_HINT,
        limit_bytes=limit,
        peak_bytes=used,
    )


_HINT = f"work on fewer rows at a time, or raise `{KEY}` in the block's configuration."

REASON = "out of memory"


class MemoryWatch:
    """Looks from outside at what one attempt uses.

    Args:
        pid: Its process, before the block's code runs: what it uses now is not counted.
        limit: Bytes.
    """

    def __init__(self, pid: int, limit: int) -> None:
        self._pid = pid
        self._limit = limit
        self._base = self._own()

    def reason(self) -> str | None:
        """Return why the attempt must end, with the bytes used and allowed; None while it may go on."""
        used = self._own() - self._base
        waiting = children_of(self._pid)
        while waiting and used <= self._limit:
            pid = waiting.pop()
            used += _kib(f"/proc/{pid}/smaps_rollup", _PRIVATE_FIELDS)
            waiting += children_of(pid)
        return f"{REASON}: {used} of {self._limit}" if used > self._limit else None

    def _own(self) -> int:
        return _kib(f"/proc/{self._pid}/status", _KIB_FIELDS)


def _is_refusal(exception: BaseException) -> bool:
    if isinstance(exception, MemoryError) or type(exception).__name__ == "OutOfMemoryException":  # the second: DuckDB
        return True
    text = str(exception)
    return isinstance(exception, (RuntimeError, OSError)) and (
        "can't allocate memory" in text or "Cannot allocate memory" in text or "failed to allocate" in text.lower()
    )


def _field(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _kib(path: str, fields: re.Pattern[str]) -> int:
    try:
        return sum(int(number) for number in fields.findall(Path(path).read_text())) * 1024
    except OSError:
        return 0
