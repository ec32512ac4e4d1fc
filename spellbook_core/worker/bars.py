"""Progress bars that a library prints as text, read back as numbers: tqdm's form, without needing tqdm."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SCALE = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_NUMBER = r"(\d+(?:\.\d+)?)([kMGTP]?)"
_BAR = re.compile(rf"\|\s*{_NUMBER}/{_NUMBER}\S*\s\[")
_COUNT = re.compile(rf"(?:^|\s){_NUMBER}\w*\s\[\d+:\d\d[,:]")
MAX_TEXT_CHARS = 80


@dataclass(frozen=True, slots=True)
class Bar:
    """What a printed bar says; `total` is None for a count whose end is unknown."""

    done: float
    total: float | None
    text: str

    @property
    def is_complete(self) -> bool:
        """Whether it has reached its end."""
        return self.total is not None and self.done >= self.total


def read_bar(line: str) -> Bar | None:
    """Return what a line such as `epoch:  37%|███▋   | 37/100 [00:01<00:02, 30.1it/s]` says, None for any other."""
    percent = line.find("%|")
    if percent > 0:
        found = _BAR.search(line, percent + 2)
        if found:
            text = line[:percent].rstrip("0123456789").strip().removesuffix(":")
            return Bar(_number(found[1], found[2]), _number(found[3], found[4]), text[:MAX_TEXT_CHARS])
    elif line.endswith("]") and (counted := _COUNT.search(line)):
        text = line[: counted.start()].strip().removesuffix(":")
        return Bar(_number(counted[1], counted[2]), None, text[:MAX_TEXT_CHARS])
    return None


def _number(digits: str, unit: str) -> float:
    return float(digits) * _SCALE[unit]
