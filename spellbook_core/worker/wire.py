"""Messages between engine, zygote and block process: a task as JSON, and JSON lines over a socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import cast

from spellbook_core.model.naming import BlockRunId, BlockUuid, PipelineUuid, ProjectName, RunId
from spellbook_core.model.outcome import ErrorReport
from spellbook_core.model.output import OutputInfo
from spellbook_core.model.task import BlockInput, BlockTask, Environment, HangsOn
from spellbook_core.model.values import JsonObject, JsonValue, YamlValue

_RECEIVE_BYTES = 64 * 1024
"""Bytes asked for at a time; memory above 128 KiB would be asked of the system, and given back, each time."""

_encode = json.JSONEncoder().encode
_decode = json.JSONDecoder().decode  # of text: `json.loads` would look at the bytes first, to tell how they are encoded


def task_to_json(task: BlockTask) -> JsonObject:
    """Return the JSON form of a task; dates are tagged, since pipeline variables may hold them."""
    return {
        "run_id": task.run_id,
        "block_run_id": task.block_run_id,
        "attempt": task.attempt,
        "workspace": task.workspace,
        "project": task.project,
        "project_root": task.project_root,
        "pipeline": task.pipeline,
        "block": task.block,
        "block_type": task.block_type,
        "language": task.language,
        "source": task.source,
        "source_path": task.source_path,
        "inputs": [_input_to_json(entry) for entry in task.inputs],
        "variables": _tagged(task.variables),
        "configuration": _tagged(task.configuration),
        "execution_date": task.execution_date,
        "trigger": task.trigger,
        "python": task.environment.python,
        "preload": list(task.environment.preload),
        "run_tests": task.run_tests,
        "timeout_s": task.timeout_s,
        "tests_only": task.tests_only,
        "child": task.child,
        "child_index": task.child_index,
        "hangs_on": None if task.hangs_on is None else _hangs_on_to_json(task.hangs_on),
        "is_as_it_was": task.is_as_it_was,
    }


def task_from_json(data: Mapping[str, object]) -> BlockTask:
    """Return the task that `task_to_json` wrote."""
    inputs = cast("list[Mapping[str, object]]", data["inputs"])
    hangs_on = cast("Mapping[str, object] | None", data.get("hangs_on"))
    timeout_s, source = data["timeout_s"], data["source"]
    return BlockTask(
        run_id=RunId(cast(int, data["run_id"])),
        block_run_id=BlockRunId(cast(int, data["block_run_id"])),
        attempt=cast(int, data["attempt"]),
        workspace=str(data["workspace"]),
        project=ProjectName(str(data["project"])),
        project_root=str(data["project_root"]),
        pipeline=PipelineUuid(str(data["pipeline"])),
        block=BlockUuid(str(data["block"])),
        block_type=str(data["block_type"]),
        language=str(data["language"]),
        source=None if source is None else str(source),
        source_path=str(data["source_path"]),
        inputs=tuple(_input_from_json(entry) for entry in inputs),
        variables=cast("Mapping[str, YamlValue]", _untagged(data["variables"])),
        configuration=cast("Mapping[str, YamlValue]", _untagged(data["configuration"])),
        execution_date=str(data["execution_date"]),
        trigger=str(data["trigger"]),
        environment=Environment(
            python=None if data["python"] is None else str(data["python"]),
            preload=tuple(cast("list[str]", data["preload"])),
        ),
        run_tests=bool(data["run_tests"]),
        timeout_s=None if timeout_s is None else float(cast(float, timeout_s)),
        tests_only=bool(data.get("tests_only", False)),
        child=str(data.get("child", "")),
        child_index=cast("int | None", data.get("child_index")),
        hangs_on=None if hangs_on is None else _hangs_on_from_json(hangs_on),
        is_as_it_was=bool(data.get("is_as_it_was", False)),
    )


def _input_to_json(entry: BlockInput) -> JsonObject:
    found: JsonObject = {"block": entry.block, "outputs": [output.to_json() for output in entry.outputs]}
    if entry.item is not None:
        found["item"] = entry.item
    if entry.children is not None:
        found["children"] = list(entry.children)
    return found


def _input_from_json(data: Mapping[str, object]) -> BlockInput:
    children = cast("list[str] | None", data.get("children"))
    return BlockInput(
        block=BlockUuid(str(data["block"])),
        outputs=tuple(OutputInfo.from_json(output) for output in cast("list[JsonObject]", data["outputs"])),
        item=cast("int | None", data.get("item")),
        children=None if children is None else tuple(children),
    )


def _hangs_on_to_json(hangs_on: HangsOn) -> JsonObject:
    error = None if hangs_on.error is None else hangs_on.error.to_json()
    return {"block": hangs_on.block, "status": hangs_on.status, "error": error}


def _hangs_on_from_json(data: Mapping[str, object]) -> HangsOn:
    error = cast("Mapping[str, object] | None", data["error"])
    return HangsOn(
        block=BlockUuid(str(data["block"])),
        status=str(data["status"]),
        error=None if error is None else ErrorReport.from_json(error),
    )


def _tagged(value: YamlValue) -> JsonValue:
    if isinstance(value, datetime):
        return {"__datetime__": value.isoformat()}
    if isinstance(value, date):
        return {"__date__": value.isoformat()}
    if isinstance(value, Mapping):
        return {str(key): _tagged(entry) for key, entry in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_tagged(entry) for entry in value]
    return value


def _untagged(value: object) -> object:
    if isinstance(value, dict):
        if len(value) == 1:
            if "__datetime__" in value:
                return datetime.fromisoformat(str(value["__datetime__"]))
            if "__date__" in value:
                return date.fromisoformat(str(value["__date__"]))
        return {key: _untagged(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_untagged(entry) for entry in value]
    return value


class Channel:
    """Messages over one end of a stream socket pair; neither end ever waits for the other.

    A line is the JSON of a list: what is sent together is encoded and decoded as one.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._received = bytearray()
        self._unsent = bytearray()
        self.is_closed = False

    def fileno(self) -> int:
        """Return the socket's descriptor, for a selector."""
        return self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether `flush` should be called when the socket takes more."""
        return bool(self._unsent) and not self.is_closed

    def send(self, *messages: Mapping[str, JsonValue]) -> None:
        """Send messages, keeping in memory what the socket does not take now; a closed other end loses them."""
        self._unsent += _encode(messages).encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        """Send what is kept, as far as the socket takes it."""
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:
                self._unsent.clear()
                return
            del self._unsent[:sent]

    def receive(self) -> list[dict[str, JsonValue]]:
        """Return the whole messages that have arrived; sets `is_closed` once the other end is gone."""
        while True:
            try:
                data = self._socket.recv(_RECEIVE_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.is_closed = True
                break
            self._received += data
            if len(data) < _RECEIVE_BYTES:  # there is no more now; the end of it is told by the next call
                break
        *lines, rest = self._received.split(b"\n")
        self._received = bytearray(rest)
        return [message for line in lines for message in _decode(line.decode())]

    def close(self) -> None:
        """Close this end."""
        self.is_closed = True
        self._socket.close()
