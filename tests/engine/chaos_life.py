"""Has a workspace live through chaos in processes of their own, which all see one disk and one clock."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from spellbook_core.project.layout import Workspace
from tests.engine.chaos import Chaos
from tests.engine.chaos_promises import broken_promises, started_anew
from tests.engine.chaos_world import ROOT, surroundings


def lived(
    folder: Path,
    seed: int,
    *,
    seconds: float | None = None,
    kills: int | None = None,
    engine_share: float = 0.25,
    has_world: bool = True,
) -> dict[str, object]:
    """Have a workspace below `folder` live through chaos in processes of their own, and return what came of it.

    Keys: `kills`, `done`, `runs`, `anew` (blocks started anew, because what was killed had not begun), `told_s`,
    `ended_s`, `took_s`, `broken` (promises that do not hold, in words), `acts`.
    """
    root = folder / "workspace"
    root.mkdir()
    told = {"seed": seed, "seconds": seconds, "kills": kills, "engine_share": engine_share, "has_world": has_world}
    command = [sys.executable, "-m", "tests.engine.chaos_life", root, json.dumps(told)]
    ended = subprocess.run(
        command, cwd=ROOT, env=surroundings(folder, root), stdout=subprocess.PIPE, text=True, check=False
    )
    if ended.returncode == 0:
        return dict(json.loads(ended.stdout))
    workspace = Workspace.open(root, create=True)
    raise AssertionError(f"seed {seed} broke the life itself; {workspace.engine_log_path} says what the engine did")


def main() -> None:
    """Live, settle, and print what came of it."""
    root, told = Path(sys.argv[1]), json.loads(sys.argv[2])
    life = Chaos(root, told["seed"], engine_share=told["engine_share"], has_world=told["has_world"])
    try:
        life.live(seconds=told["seconds"], kills=told["kills"])
        took_s = time.monotonic() - life.began
        told_s, ended_s = life.settle()
        found = {"told_s": told_s, "ended_s": ended_s, "took_s": took_s, "broken": broken_promises(life)}
        found |= {"kills": dict(life.kills), "done": dict(life.done), "runs": len(life.started), "acts": life.acts}
        json.dump({**found, "anew": started_anew(life)}, sys.stdout)
    except BaseException:
        print(f"seed {told['seed']}: {life.acts}", file=sys.stderr)
        raise
    finally:
        life.close()


if __name__ == "__main__":
    main()
