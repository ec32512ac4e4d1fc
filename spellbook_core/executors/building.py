"""Make a Python environment for blocks, by uv where there is one, else by venv and pip; one maker at a time.

It is made in its final place, because the programs in `bin` name that place in their first line; a marker comes last.

Also a program: `python boot.py spellbook_core.executors.building RECIPE COMMAND...` makes the environment, then becomes
the command. So a warm process of an environment that is not there yet is started like any other, and nobody waits.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from spellbook_core.atomic import write_atomically
from spellbook_core.errors import SpellbookError
from spellbook_core.model.recipe import Recipe
from spellbook_core.project.installed import MARKER
from spellbook_core.project.site_packages import INHERITED, site_folders

TOLD_LINES = 6
"""Last lines of the installer that an error repeats."""

Tell = Callable[[str], None]


class EnvironmentBuildError(SpellbookError, RuntimeError):
    """An environment could not be made; the message ends with what the installer said last."""

    code = "SB-EXE-001"


def is_made(recipe: Recipe) -> bool:
    """Return whether the environment is there, whole; not when the Python that it was made with has gone."""
    return os.path.isfile(f"{recipe.folder}/{MARKER}") and os.path.isfile(f"{recipe.folder}/bin/python")


def log_path(folder: str | Path) -> Path:
    """Return the file with what the installer said."""
    return Path(f"{folder}.log")


def report_path(folder: str | Path) -> Path:
    """Return the file that says what the environment is made from, and what went wrong when it could not be made."""
    return Path(f"{folder}.json")


@contextmanager
def held(folder: str | Path, *, alone: bool, wait: bool) -> Iterator[bool]:
    """Hold the lock of an environment: alone to make or remove it, with others to use it.

    Yields whether it is held; without `wait` it may not be.
    """
    lock = take(folder, alone=alone, wait=wait)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            os.close(lock)


def take(folder: str | Path, *, alone: bool, wait: bool) -> int | None:
    """Return a descriptor that holds the lock until it is closed, here and in processes that inherit it.

    Holding it with others is using the environment, and its time tells when that was last so; see `used_at`.
    """
    Path(folder).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(f"{folder}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(lock)
        return None
    if not alone:
        os.utime(lock)
    return lock


def is_being_made(folder: str | Path) -> bool:
    """Return whether somebody makes or removes the environment right now."""
    try:
        lock = os.open(f"{folder}.lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def used_at(folder: str | Path) -> float:
    """Return when blocks last began to run in the environment, or it was last made or tried, in epoch seconds."""
    found = 0.0
    for path in (f"{folder}.lock", report_path(folder), folder):
        with suppress(OSError):
            found = max(found, os.stat(path).st_mtime)
    return found


def build(recipe: Recipe, tell: Tell) -> None:
    """Make the environment of `recipe`, or return at once when it is there; waits for another maker of the same.

    Args:
        recipe: What to make.
        tell: Called with each line that the installer says.

    Raises:
        EnvironmentBuildError: With the installer's last lines; nothing half made is left. [SB-EXE-001]
    """
    lock = take(recipe.folder, alone=True, wait=False)
    if lock is None:
        tell("Another process makes this environment; waiting for it.")
        lock = take(recipe.folder, alone=True, wait=True)
    try:
        if recipe.into is None and is_made(recipe):
            return
        _report(recipe, state="making")
        try:
            handle = os.open(log_path(recipe.folder), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as log:
                _make(recipe, lock or 0, _both(tell, log.write, log.flush))
        except BaseException as problem:  # also KeyboardInterrupt: nothing half made may stay
            if recipe.into is None:
                shutil.rmtree(recipe.folder, ignore_errors=True)
            text = problem.message if isinstance(problem, SpellbookError) else str(problem) or "it was interrupted"
            _report(recipe, state="failed", problem=text)
            raise
        _report(recipe, state="made")
    finally:
        if lock is not None:
            os.close(lock)


def _both(tell: Tell, write: Callable[[str], object], flush: Callable[[], object]) -> Tell:
    def both(line: str) -> None:
        write(f"{line}\n")
        flush()
        tell(line)

    return both


def _report(recipe: Recipe, *, state: str, problem: str = "") -> None:
    said = {"recipe": json.loads(recipe.to_text()), "state": state, "problem": problem, "at": time.time()}
    write_atomically(report_path(recipe.folder), json.dumps(said).encode(), mode=0o600)


def _make(recipe: Recipe, lock: int, tell: Tell) -> None:
    begun = time.monotonic()
    asked = _asked(recipe)
    if recipe.into is None:
        shutil.rmtree(recipe.folder, ignore_errors=True)
        tell(f"Making a Python environment with {recipe.python or sys.executable}")
        _run([recipe.python or sys.executable, "-I", "-m", "venv", "--without-pip", recipe.folder], recipe, lock, tell)
        if recipe.inherits:
            _inherit(recipe)
    if asked:
        _run([*_installer(recipe), *asked], recipe, lock, tell)
    if recipe.into is None:
        said = {"digest": recipe.digest, "made_at": time.time(), "size_bytes": _size_bytes(recipe.folder)}
        write_atomically(Path(recipe.folder) / MARKER, json.dumps(said).encode())
    tell(f"Ready after {time.monotonic() - begun:.0f} s")


def _asked(recipe: Recipe) -> list[str]:
    """Return the installer's arguments; names go through a file, so that none can be an option."""
    asked = [] if recipe.requirements is None else ["-r", recipe.requirements]
    if recipe.packages:
        names = Path(f"{recipe.folder}.txt")
        write_atomically(names, "".join(f"{name}\n" for name in recipe.packages).encode(), mode=0o600)
        asked += ["-r", str(names)]
    return asked


def _inherit(recipe: Recipe) -> None:
    from spellbook_core.project.environment import own_packages

    [folder, *_] = site_folders(recipe.interpreter)
    (Path(folder) / INHERITED).write_text("".join(f"{entry}\n" for entry in own_packages()), encoding="utf-8")


def _installer(recipe: Recipe) -> list[str]:
    """Return the command that installs into the environment: uv where it can, else pip, ours or the environment's.

    uv does not see inherited packages and would bring all of them again.
    """
    uv = shutil.which("uv")
    if uv is not None and not recipe.inherits:
        return [uv, "pip", "install", "--python", recipe.interpreter]
    options = ["install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]
    if find_spec("pip") is not None:
        return [sys.executable, "-I", "-m", "pip", "--python", recipe.interpreter, *options]
    if recipe.into is None:
        _run([recipe.interpreter, "-I", "-m", "ensurepip"], recipe, 0, lambda line: None)
    return [recipe.interpreter, "-I", "-m", "pip", *options]


def _run(command: Sequence[str], recipe: Recipe, lock: int, tell: Tell) -> None:
    """Run one step; its lines are told. It inherits the lock, so that no other maker begins while it still writes."""
    last: list[str] = []
    variables = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=recipe.project_root,
            env={**variables, "PYTHONUNBUFFERED": "1"},
            pass_fds=[lock] if lock else [],
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as cause:
        raise _failed(recipe, [f"{command[0]}: {cause.strerror or cause}"]) from cause
    with process:
        try:
            for line in process.stdout or ():
                text = line.rstrip()
                if text:
                    last = [*last, text][-TOLD_LINES:]
                    tell(text)
        except BaseException:  # also KeyboardInterrupt
            process.kill()
            raise
    if process.returncode:
        raise _failed(recipe, last or [f"{command[0]} ended with status {process.returncode}"])


def _size_bytes(folder: str) -> int:
    sizes = (os.lstat(f"{place}/{name}").st_size for place, _, names in os.walk(folder) for name in names)
    return sum(sizes)


def _failed(recipe: Recipe, last: Sequence[str]) -> EnvironmentBuildError:
    where = f"Packages could not be installed into {recipe.into}" if recipe.into else "The environment cannot be made"
    errors = [line for line in last if line.startswith("ERROR:") or "error:" in line.lower()] or last
    return EnvironmentBuildError(
        f"{where}: {' / '.join(line.removeprefix('ERROR: ') for line in errors[-3:])}",
        hint=f"correct the requirements; all that the installer said is in {log_path(recipe.folder).name}.",
    )


def main() -> None:
    """Make the environment of the first argument, then become the command of the others, if any."""
    recipe, command = Recipe.parse(sys.argv[1]), sys.argv[2:]
    try:
        build(recipe, lambda line: None)
    except SpellbookError as problem:
        sys.exit(problem.message)
    if command:
        os.execv(command[0], command)  # noqa: S606  # a list of arguments, from the executor
