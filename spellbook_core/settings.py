"""What can be set, with units and where a figure comes from.

Order: command line, then `SPELLBOOK_*` in the environment, then the default here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from spellbook_core.errors import BadSettingError

STATE_FOLDER = ".spellbook"
"""Volatile state of a workspace; git-ignored; mode 0700."""

MAX_PAGE_ROWS = 1_000
"""Most rows one table page may ask for: a screen shows 100, and 1,000 x 50 cells are about 1 MB of JSON."""

PREVIEW_ROWS = 100
"""Rows of a stored preview and of one page on screen."""

MAX_YAML_BYTES = 4 * 1024 * 1024
"""Largest pipeline file that is read. 500 blocks are about 250 KB."""

MAX_LOG_BYTES = 20 * 1024 * 1024
"""Most bytes kept of one attempt's prints, head and tail together."""

HEARTBEAT_S = 5.0
"""How often the engine renews its lease. A run is declared lost after three missed beats (15 s, promise P2)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Values a person may change.

    Attributes:
        port: TCP port of the page; 0 picks a free one.
        host: Address the page is served on; anything but loopback needs a token.
        max_parallel_blocks: Block processes that run at the same time, over all runs of the workspace. Waiting blocks
            (sleep, HTTP) do not need a core, so this is well above the number of cores.
        cancel_grace_s: Seconds between INT, TERM and KILL when a run is cancelled.
        idle_exit_s: Seconds without a run or a listener after which the engine process ends; 0 never.
        zygote_idle_s: Seconds after which a warm process that nobody used is ended.
        keep_runs_days: Days for which an ended run, its prints and its outputs are kept; 0 for ever. A project's
            `variables_retention_period` takes its place. The newest outputs of every block stay whatever their age.
        keep_runs: Newest ended runs kept of each pipeline, and as many of single blocks in the editor; 0 for all.
        keep_outputs_gb: Gigabytes of stored outputs beyond which those of the oldest runs go; 0 for no bound.
        keep_trash_days: Days for which a delete can be undone; 0 for ever.
        keep_environments_days: Days for which a Python environment that no project names any more is kept; 0 for ever.
        clean_up_hours: Hours after which the idle engine cleans up again by itself; 0 never.
        mage_ai: What `import mage_ai` means in a block: `ours`, or `installed` for a real mage-ai where there is one.
    """

    port: int = 8501
    host: str = "127.0.0.1"
    max_parallel_blocks: int = 8
    cancel_grace_s: float = 2.0
    idle_exit_s: float = 1800.0
    zygote_idle_s: float = 900.0
    keep_runs_days: float = 90.0
    keep_runs: int = 1000
    keep_outputs_gb: float = 50.0
    keep_trash_days: float = 30.0
    keep_environments_days: float = 30.0
    clean_up_hours: float = 24.0
    mage_ai: str = "ours"


def load_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings, each overridden by `SPELLBOOK_<NAME>` where that is set.

    Raises:
        BadSettingError: Names the variable and what it must be. [SB-SYS-005]
    """
    values: dict[str, str | int | float] = {}
    for setting in fields(Settings):
        text = environment.get(f"SPELLBOOK_{setting.name.upper()}")
        if text is None:
            continue
        kind = {"int": int, "float": float}.get(str(setting.type), str)
        try:
            values[setting.name] = kind(text)
        except ValueError:
            raise BadSettingError(
                f"SPELLBOOK_{setting.name.upper()} is '{text}', which is no {kind.__name__}.",
                hint=f"set it to a value such as {setting.default}, or unset it.",
            ) from None
    return Settings(**values)  # type: ignore[arg-type]  # each value was built by its field's own type


def workspace_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder to serve: `SPELLBOOK_WORKSPACE`, else the working directory; absolute."""
    return Path(environment.get("SPELLBOOK_WORKSPACE") or Path.cwd()).resolve()
