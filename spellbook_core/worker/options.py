"""What a warm process is started with, as one command line argument."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

from spellbook_core.worker import preload


@dataclass(frozen=True, slots=True)
class Options:
    """What the executor passes.

    Attributes:
        wanted: Packages that the project's blocks import.
        preload: Those that are imported before the fork; fewer after stepping down.
        mode: `fork` or `spare`.
        restore: The environment of the children, where the zygote's own differs; None removes a variable.
        boot: The file that starts our modules under a foreign interpreter; None where Spellbook is installed.
    """

    wanted: tuple[str, ...]
    preload: tuple[str, ...]
    mode: str
    restore: Mapping[str, str | None]
    boot: str | None = None

    @classmethod
    def parse(cls, text: str) -> Options:
        """Return the options that `to_text` wrote."""
        data = json.loads(text)
        return cls(tuple(data["wanted"]), tuple(data["preload"]), data["mode"], data["restore"], data["boot"])

    def to_text(self) -> str:
        """Return the JSON form, one command line argument."""
        return json.dumps(
            {
                "wanted": list(self.wanted),
                "preload": list(self.preload),
                "mode": self.mode,
                "restore": dict(self.restore),
                "boot": self.boot,
            }
        )

    def command(self, module: str, python: str = sys.executable) -> list[str]:
        """Return the start of the command line that runs the `main` of one of our modules."""
        return [python, "-P", "-m", module] if self.boot is None else [python, self.boot, module]

    def stepped_down(self) -> Options:
        """Return what to try when forking after `preload` is not safe."""
        mode = "fork" if self.preload else "spare"
        return replace(self, preload=preload.smaller(self.preload), mode=mode)
