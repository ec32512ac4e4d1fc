"""What a block prints, as bounded log lines: read from its pipes by the zygote, written to `log.jsonl` at once.

Everything is bounded, whatever a block prints: the length of a line, the bytes of the file (its head and its tail are
kept and the middle is dropped, which a notice tells), and the memory held meanwhile. Secrets are masked line by line,
so one that was printed in two pieces is masked too. A progress bar is one line, however often it is drawn.
"""

from __future__ import annotations

import json
import os
import re
from collections import deque
from pathlib import Path

from spellbook_core.model.masking import Masker
from spellbook_core.settings import MAX_LOG_BYTES
from spellbook_core.worker.bars import Bar, read_bar

MAX_LINE_BYTES = 16 * 1024
"""Longest line kept; a screen shows a few hundred characters, a printed traceback line rarely more than 1,000."""

TAIL_BYTES = 2 * 1024 * 1024
"""Raw bytes per stream kept of the end of a log that is too long."""

TAIL_LINES = 20_000
"""Lines per stream kept of that end: 2 MB of empty lines would otherwise be 2 million."""

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of text or end a line: a log line must not look like others."""
_LEVEL = re.compile(r"^\W{0,3}(?:[\d:., T-]{8,30}\W{0,3})?(DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)\b")
_LEVELS = {"WARNING": "warning", "WARN": "warning", "ERROR": "error", "CRITICAL": "error", "FATAL": "error"}


def clean_text(raw: bytes) -> str:
    """Return printable text: invalid UTF-8 replaced, ANSI sequences removed, other control characters spelled out."""
    text = raw.decode("utf-8", "replace")
    if text.isprintable():
        return text
    return _CONTROL.sub(_spelled, _ANSI.sub("", text))


def _spelled(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def level_of(text: str, stream: str) -> str:
    """Return `info`, `warning` or `error`, by a level word at the line's start, or Python's own warning form."""
    found = _LEVEL.match(text)
    if found:
        return _LEVELS.get(found[1], "info")
    if stream == "stderr" and re.search(r"\w*Warning: ", text):
        return "warning"
    if stream == "stderr" and (text.startswith("Traceback (") or re.match(r"[\w.]+(?:Error|Exception)\b", text)):
        return "error"
    return "info"


class _Stream:
    """One pipe's unfinished line and, once the head of the log is full, the raw end of what came."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.line = bytearray()
        self.is_progress = False
        self.line_dropped = 0
        self.begins_cut = False
        self.held: bytes | None = None
        self.tail: deque[bytes] = deque()
        self.tail_bytes = 0


class LogWriter:
    """Writes the log file of one attempt.

    Args:
        path: The file; it is made with the first line, so a silent block leaves none.
        max_bytes: Most bytes of the file.

    Attributes:
        masker: Masks the secrets of the attempt; replaced when more of them become known.
        bar: The newest progress bar that was drawn and not yet taken by whoever tells it.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_LOG_BYTES) -> None:
        self.masker = Masker()
        self.bar: Bar | None = None
        self._path = path
        self._head_left = max_bytes // 2
        self._tail_left = max_bytes - max_bytes // 2 - 1024
        self._is_full = False
        self._dropped = 0
        self._file: int | None = None
        self._is_torn = False
        self._streams = {"stdout": _Stream("stdout"), "stderr": _Stream("stderr")}

    def feed(self, name: str, data: bytes, now: float) -> bool:
        """Take what `name` (`stdout` or `stderr`) printed; whole lines are in the file when this returns.

        Args:
            name: The stream.
            data: Raw bytes, in order, cut anywhere.
            now: Epoch seconds, the time of the lines.

        Returns:
            Whether a line was written.
        """
        stream = self._streams[name]
        if self._is_full:
            self._keep_tail(stream, data)
            return False
        return self._write(self._lines(stream, data, now), stream)

    def notice(self, text: str, now: float, *, level: str = "warning", dropped: int | None = None) -> None:
        """Write a line of our own, whatever the cap."""
        entry: dict[str, object] = {"t": now, "s": "engine", "l": level, "m": self.masker.text(text)}
        if dropped is not None:
            entry["dropped"] = dropped
        self._append(json.dumps(entry, ensure_ascii=False).encode() + b"\n")

    def close(self, now: float) -> None:
        """Write unfinished lines, the kept end of a log that was too long, and close the file."""
        for stream in self._streams.values():
            if self._is_full:
                self._write_tail(stream, now)
            elif stream.line or stream.line_dropped:
                stream.held = None
                self._write([entry for entry in [self._entry(stream, now)[0]] if entry], stream)
            elif stream.held:
                self._write([stream.held], stream)
                stream.held = None
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            self.notice(f"{dropped} bytes of the log could not be written to the disk.", now, dropped=dropped)
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _lines(self, stream: _Stream, data: bytes, now: float) -> list[bytes]:
        *ended, rest = data.split(b"\n")
        entries = []
        for part in ended:
            self._extend(stream, part)
            entry, bar = self._entry(stream, now)
            if not entry:
                continue
            if stream.held and bar is None:
                entries.append(stream.held)
            # Several bars are drawn by going down and up again, which ends the upper ones' lines each time.
            stream.held = entry if bar is not None and not bar.is_complete else None
            if stream.held is None:
                entries.append(entry)
        self._extend(stream, rest)
        if stream.is_progress and stream.line:
            self.bar = read_bar(self.masker.text(clean_text(bytes(stream.line)))) or self.bar
        return entries

    def _extend(self, stream: _Stream, part: bytes) -> None:
        whole = bytes(stream.line) + part if b"\r" in part or stream.line.endswith(b"\r") else b""
        cut = whole.rstrip(b"\r").rfind(b"\r")
        if cut >= 0:  # a progress bar redraws its line: only its last state counts
            part = whole[cut + 1 :]
            stream.line.clear()
            stream.line_dropped = 0
            stream.is_progress = True
        room = MAX_LINE_BYTES - len(stream.line)
        stream.line += part[:room]
        stream.line_dropped += max(0, len(part) - room)

    def _entry(self, stream: _Stream, now: float) -> tuple[bytes, Bar | None]:
        """Return the finished line as it is written, empty for a bar that wiped itself, and the bar it shows."""
        text = clean_text(bytes(stream.line.rstrip(b"\r")))
        text = self.masker.part(text, begins_cut=stream.begins_cut, ends_cut=stream.line_dropped > 0)
        bar = read_bar(text) if stream.is_progress else None
        self.bar = bar or self.bar
        stream.begins_cut = False
        if stream.is_progress and not text.strip():
            stream.line.clear()
            stream.is_progress = False
            return b"", None
        if stream.line_dropped:
            text += f" … {stream.line_dropped} bytes of this line dropped"
        entry: dict[str, object] = {"t": round(now, 3), "s": stream.name, "l": level_of(text, stream.name), "m": text}
        if stream.is_progress:
            entry["p"] = True
        stream.line.clear()
        stream.line_dropped = 0
        stream.is_progress = False
        return json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace") + b"\n", bar

    def _write(self, entries: list[bytes], stream: _Stream) -> bool:
        if not entries:
            return False
        whole = b"".join(entries)
        if len(whole) <= self._head_left:
            self._head_left -= len(whole)
            self._append(whole)
            return True
        self._is_full = True
        fitting = 0
        while len(entries[fitting]) <= self._head_left:
            self._head_left -= len(entries[fitting])
            fitting += 1
        self._append(b"".join(entries[:fitting]))
        for late in entries[fitting:]:
            self._keep_tail(stream, str(json.loads(late)["m"]).encode() + b"\n")
        self._keep_tail(stream, bytes(stream.line))
        return True

    def _keep_tail(self, stream: _Stream, data: bytes) -> None:
        stream.tail.append(data)
        stream.tail_bytes += len(data)
        while len(stream.tail) > 1 and stream.tail_bytes - len(stream.tail[0]) >= TAIL_BYTES:
            gone = stream.tail.popleft()
            stream.tail_bytes -= len(gone)
            self._dropped += len(gone)
            stream.begins_cut = True

    def _write_tail(self, stream: _Stream, now: float) -> None:
        raw = b"".join(stream.tail)
        kept = b"\n".join(raw.rsplit(b"\n", TAIL_LINES)[1:]) if raw.count(b"\n") > TAIL_LINES else raw
        stream.tail.clear()
        stream.line.clear()
        entries: deque[bytes] = deque(self._lines(stream, kept, now))
        if stream.line:
            entries.append(self._entry(stream, now)[0])
            if not entries[-1]:
                entries.pop()
        elif stream.held:
            entries.append(stream.held)
        stream.held = None
        size = sum(map(len, entries))
        while entries and size > self._tail_left // 2:
            size -= len(entries[0])
            self._dropped += len(str(json.loads(entries.popleft())["m"]).encode()) + 1
        self._dropped += len(raw) - len(kept)
        if self._dropped:
            self.notice(f"{self._dropped} bytes dropped: the log is too long.", now, dropped=self._dropped)
            self._dropped = 0
        self._append(b"".join(entries))

    def _append(self, data: bytes) -> None:
        """Append whole lines. A disk that is full or a folder that is gone must not end who supervises the block."""
        left = memoryview(b"\n" + data if self._is_torn else data)
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            while left:
                left = left[os.write(self._file, left) :]
                self._is_torn = bool(left)  # until the next write: the line that comes then begins anew
        except OSError:
            self._dropped += len(left)
