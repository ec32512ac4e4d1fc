"""Run a shell block: a script that bash reads, or a list of arguments. Values reach it as environment and files.

No value ever becomes part of a command: a variable `'; rm -rf ~'` is the content of an environment variable, and what
the script makes of it is the script's own doing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, cast

from spellbook_core.model.values import JsonValue
from spellbook_core.worker.load import source_of
from spellbook_core.worker.shell_files import OUTPUTS, read_output, write_inputs
from spellbook_core.worker.shell_problems import CommandFailedError, CommandRefusedError
from spellbook_core.worker.shell_pump import pump

if TYPE_CHECKING:
    from spellbook_core.artifacts.store import ArtifactStore
    from spellbook_core.model.task import BlockTask

MAX_ENVIRONMENT_CHARS = 100_000
"""Longest value that becomes an environment variable; Linux refuses 128 KiB. Longer ones are in the file only."""

SHOWN_LINES = 12
"""How many of its last lines the message of a failed command repeats."""

END_S = 2.0
"""How long a command may take to end when its block is interrupted."""

_LINE = re.compile(r"line (\d+):")


def run_shell(task: BlockTask, store: ArtifactStore) -> object:
    """Run the block's command and return what it wrote as output, None when it wrote nothing.

    The working directory is the project's folder. Files are private and gone afterwards.

    Raises:
        CommandFailedError: Its exit code is not 0; the message has its last lines. [SB-WRK-090]
        CommandRefusedError: It cannot be started. [SB-WRK-091]
        CommandOutputError: What it wrote as output cannot be read. [SB-WRK-092]
    """
    folder = Path(tempfile.mkdtemp(prefix="spellbook-shell-"))
    try:
        script = folder / f"{Path(task.source_path).stem}.sh"
        script.write_text(source_of(task), encoding="utf-8", newline="")
        inputs = write_inputs(task, store, folder)
        command = _command(task, script)
        _run(task, command, script, {**os.environ, **environment(task, folder), **inputs})
        return read_output(folder, task)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment(task: BlockTask, folder: Path) -> dict[str, str]:
    """Return the environment variables of a shell block: the run, its variables, and where output may be written."""
    found = {
        "SPELLBOOK_PROJECT": task.project,
        "SPELLBOOK_PROJECT_DIR": task.project_root,
        "SPELLBOOK_PIPELINE": task.pipeline,
        "SPELLBOOK_BLOCK": task.block,
        "SPELLBOOK_RUN_ID": str(task.run_id),
        "SPELLBOOK_EXECUTION_DATE": task.execution_date,
        "SPELLBOOK_TRIGGER": task.trigger,
        "SPELLBOOK_SCRIPT_DIR": str(Path(task.source_path).parent),
        "SPELLBOOK_VARIABLES": str(folder / "variables.json"),
    }
    found |= {name: str(folder / file) for name, file in OUTPUTS.items()}
    (folder / "variables.json").write_text(json.dumps(dict(task.variables), default=str, ensure_ascii=False), "utf-8")
    for name, value in task.variables.items():
        text = _text(cast("JsonValue", value))
        if len(text) <= MAX_ENVIRONMENT_CHARS and "\0" not in text:
            found[f"SPELLBOOK_VAR_{variable_name(name)}"] = text
    return found


def variable_name(name: str) -> str:
    """Return a name as part of an environment variable's: upper case, `_` for what is no letter or digit."""
    return re.sub(r"\W", "_", name).upper()


def _text(value: JsonValue) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, default=str, ensure_ascii=False)


def _command(task: BlockTask, script: Path) -> list[str]:
    given = task.configuration.get("command")
    if given is None:
        return ["bash", str(script)]
    if not isinstance(given, list) or not given or any(isinstance(part, (list, dict)) for part in given):
        raise CommandRefusedError(
            f"The command of block '{task.block}' is no list of arguments.",
            hint="write it as a list, e.g. command: [python3, tools/report.py, --fast].",
            block=task.block,
        )
    return [_text(cast("JsonValue", part)) for part in given]


def _run(task: BlockTask, command: list[str], script: Path, variables: dict[str, str]) -> None:
    try:
        process = subprocess.Popen(
            command,
            cwd=task.project_root,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except (OSError, ValueError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else str(cause)
        raise CommandRefusedError(
            f"The command '{command[0][:80]}' of block '{task.block}' cannot be started: {reason}.",
            hint="install the program, or name it by its path from the project's folder.",
            block=task.block,
        ) from None
    try:
        tail = pump(process)
    finally:
        _end(process)
    if process.returncode:
        raise _failure(task, process.returncode, [line.replace(str(script), script.name) for line in tail])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command that still runs; what it started is in our process group and ends with the attempt."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _failure(task: BlockTask, status: int, tail: list[str]) -> CommandFailedError:
    how = f"with exit code {status}" if status > 0 else f"by the signal {signal.Signals(-status).name}"
    lines = [line for line in tail if line.strip()][-SHOWN_LINES:]
    last = "\n".join(lines)
    place = next((found for line in reversed(lines) if (found := _LINE.search(line))), None)
    return CommandFailedError(
        f"Block '{task.block}' ended {how}" + (f":\n{last}" if last else ", and printed nothing."),
        hint="look at its last lines, correct the script or the command, and run the block again.",
        block=task.block,
        line=int(place[1]) if place and "command" not in task.configuration else None,
        exit_code=status,
    )
