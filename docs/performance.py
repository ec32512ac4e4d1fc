"""Run the benchmarks and write docs/performance.md.

Each row is our figure, its floor measured in the same run, and the ratio.

Run `make bench`. Absolute figures depend on the machine; the ratios are what the tests hold us to.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def measured(folder: Path) -> list[dict[str, object]]:
    """Run every benchmark in its own pytest process and return the rows they wrote."""
    out = folder / "rows.jsonl"
    environment = {**os.environ, "SPELLBOOK_BENCH_OUT": str(out)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/benchmarks", *sys.argv[1:]]
    result = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if result.returncode:
        sys.stderr.write("Some ratios are above their bound; the table shows which.\n")
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] if out.exists() else []


def shown(value: object) -> str:
    """Return a figure with three significant digits."""
    return f"{value:.3g}" if isinstance(value, (int, float)) else "-"


def page(rows: list[dict[str, object]]) -> str:
    """Return the table as Markdown."""
    lines = [
        "# Performance",
        "",
        "Measured with its floor in the same run; the ratio is what a test holds us to. Produced by `make bench`",
        f"on {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}.",
        "",
        "| what | ours | floor | unit | ratio | must be |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        bound = "-" if row.get("bound") is None else f"<= {row['bound']}"
        if row.get("slack"):
            bound += f" and {row['slack']:g} {row['unit']}"
        figures = [shown(row.get("ours")), shown(row.get("floor")), str(row["unit"]), shown(row.get("ratio")), bound]
        lines.append("| " + " | ".join([str(row["what"]), *figures]) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        found = measured(Path(name))
    if not found:
        sys.exit("no benchmark wrote a row")
    (ROOT / "docs" / "performance.md").write_text(page(found), encoding="utf-8")
