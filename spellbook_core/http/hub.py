"""Live events for browsers: one connection to the engine and one file watcher, shared by every listener.

Nothing is polled. While somebody listens, the hub holds the engine's event socket; when the engine goes away the
hub starts it again and tells listeners to re-read, because events carry no data and may have been missed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias

from spellbook_core.errors import SpellbookError, StorageError
from spellbook_core.project.watch import ProjectWatcher
from spellbook_core.services import engines, notices
from spellbook_core.services.wiring import Context

Event: TypeAlias = "dict[str, object]"

QUEUE_EVENTS = 500
"""Events a slow listener may lag behind; beyond that it gets one `resync` and re-reads everything."""

MAX_LINE_BYTES = 1024 * 1024
RETRY_S = (0.05, 0.2, 1.0, 3.0)
"""Pauses between tries to reach an engine that does not start; the last one repeats."""


class Listener:
    """One browser's queue of events, filtered."""

    def __init__(self, wanted: Mapping[str, str]) -> None:
        """Pass on events whose `project`, `pipeline` and `run_id`, where present, equal those in `wanted`."""
        self._wanted = dict(wanted)
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()

    def offer(self, event: Event) -> None:
        """Queue `event` when it is wanted; when too many wait, replace them all by one `resync`."""
        if any(name in event and str(event[name]) != value for name, value in self._wanted.items()):
            return
        if self._events.qsize() >= QUEUE_EVENTS:
            while not self._events.empty():
                self._events.get_nowait()
            event = {"kind": "resync"}
        self._events.put_nowait(event)

    def end(self) -> None:
        """Let `get` return None from now on."""
        self._events.put_nowait(None)

    async def get(self, timeout_s: float) -> Event | None:
        """Return the next event; None when the server is closing.

        Raises:
            TimeoutError: None came within `timeout_s`.
        """
        async with asyncio.timeout(timeout_s):
            return await self._events.get()


class EventHub:
    """Fans the engine's events and file changes out to listeners. Lives in the server's event loop."""

    def __init__(self, context: Callable[[], Context]) -> None:
        """Use the workspace of `context`, which is first called when somebody listens."""
        self._context = context
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    @asynccontextmanager
    async def listen(self, wanted: Mapping[str, str]) -> AsyncIterator[Listener]:
        """Yield a listener that gets events until the block ends."""
        listener = Listener(wanted)
        self._listeners.add(listener)
        if self._is_closed:
            listener.end()
        elif self._task is None or self._task.done():
            self._task = asyncio.create_task(self._serve(), name="spellbook-events")
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners and self._task is not None:
                self._task.cancel()
                self._task = None

    def close(self) -> None:
        """End every listener, so that the server can stop although browsers would listen forever."""
        self._is_closed = True
        for listener in self._listeners:
            listener.end()

    def _publish(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            listener.offer(event)

    async def _serve(self) -> None:

        context = await asyncio.to_thread(self._context)
        loop = asyncio.get_running_loop()
        workspace = context.workspace
        root = workspace.root if workspace.is_single_project else workspace.projects_dir
        single = workspace.project_names()[0] if workspace.is_single_project else None

        def tell(event: Event) -> None:
            loop.call_soon_threadsafe(self._publish, event)

        def changed(path: str) -> None:
            tell(file_event(path, single))

        watcher = ProjectWatcher(root, changed)
        try:
            await asyncio.to_thread(watcher.start)
        except StorageError as error:  # out of inotify watches: runs are still told
            self._publish({"kind": "watch", "status": "unavailable", "message": error.message})
        try:
            with notices.listening(lambda event: tell(dict(event))):
                await self._follow_engine(context)
        finally:
            await asyncio.shield(asyncio.to_thread(watcher.stop))

    async def _follow_engine(self, context: Context) -> None:
        failures = 0
        while True:
            try:
                await self._read_engine(context)
                failures = 0
            except (OSError, SpellbookError) as error:
                self._publish({"kind": "engine", "status": "unreachable", "message": str(error)})
                failures += 1
            await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])

    async def _read_engine(self, context: Context) -> None:
        """Start the engine when none leads, subscribe, and publish what it says until it goes away."""
        await asyncio.to_thread(engines.ensure, context)
        path = await asyncio.to_thread(engines.event_socket, context)
        reader, writer = await asyncio.open_unix_connection(path, limit=MAX_LINE_BYTES)
        try:
            writer.write(b'{"op":"subscribe"}\n{"op":"ping"}\n')
            await writer.drain()
            while line := await reader.readline():
                event = json.loads(line)
                if isinstance(event, dict) and event.get("op") is None:
                    self._publish(event)
                else:  # the pong: from now on all is told, and who reads the store now misses nothing
                    self._publish({"kind": "engine", "status": "connected"})
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


def file_event(path: str, single: str | None) -> Event:
    """Return the event of a changed file, its path relative to its project.

    Args:
        path: Relative, with `/`, to the only project's folder or to the folder of all projects.
        single: The only project's name; None when the first part of the path is the project.
    """
    project, _, rest = (single, "/", path) if single is not None else path.partition("/")
    return {"kind": "file", "project": project, "path": rest}
