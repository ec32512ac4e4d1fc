"""How a Python environment that Spellbook makes for blocks comes about, as a value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """A virtual environment of ours; equal recipes are one environment.

    Attributes:
        digest: 32 hexadecimal characters of all that it is made from; its folder's name.
        folder: Absolute; the environment's own, or, with `into`, only the place of the log.
        project_root: Absolute; relative paths in the requirements start here.
        requirements: Absolute path of a requirements file; None without one.
        packages: Further requirements, each a name with an optional version: `requests`, `scikit-learn>=1.5`.
        python: The interpreter it is made with; None for the one Spellbook runs in.
        inherits: Whether the packages that Spellbook itself has are there too, below its own.
        into: An interpreter of the person's own environment, into which `packages` are installed instead.
    """

    digest: str
    folder: str
    project_root: str
    requirements: str | None = None
    packages: tuple[str, ...] = ()
    python: str | None = None
    inherits: bool = False
    into: str | None = None

    @property
    def interpreter(self) -> str:
        """The path of its interpreter, whether it is made already or not."""
        return self.into or f"{self.folder}/bin/python"

    def to_text(self) -> str:
        """Return the JSON form, one command line argument."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Recipe:
        """Return the recipe that `to_text` wrote. Raises ValueError or TypeError for anything else."""
        data: Mapping[str, object] = json.loads(text)
        return cls(**{**data, "packages": tuple(data["packages"])})  # type: ignore[arg-type]  # as written by us
