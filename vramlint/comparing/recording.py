"""Reads what `vramlint.monitor` wrote: text to a `Recording`, or an error that says where the file is not one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vramlint.dataclass import dataclass, field

FORMAT = 1
LARGEST_FILE = 64 << 20
LARGEST_SIZE = 1 << 50
OUT_OF_MEMORY = ("OutOfMemoryError", "OutOfMemory")


class RecordingError(Exception):
    """The file is no recording; the message begins with the position, `run.jsonl:3:17: …`."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded training; sizes in bytes. `phases` are the highest peaks from the second step on, by the moment that ended.

    `parts` is what weights, adapters, gradients and optimizer took; `smi` what nvidia-smi said of the process or else of the
    card, and what was reserved then. `error` is what ended the training if that was an error; `is_whole` says whether its
    end was recorded.
    """

    path: str
    device: str
    total: int
    capability: tuple[int, int]
    versions: Mapping[str, str]
    arguments: Mapping[str, Any]
    arguments_class: str | None
    steps: int
    peak_allocated: int
    peak_reserved: int
    phases: Mapping[str, int]
    parts: Mapping[str, int]
    trainable: int | None
    longest_batch: tuple[int, int] | None
    smi: Mapping[str, int] = field(default_factory=dict)
    error: str | None = None
    is_whole: bool = True

    @property
    def ran_out(self) -> bool:
        """Whether the card's memory did not do."""
        return self.error in OUT_OF_MEMORY


def recording_of(path: str, data: bytes) -> Recording:
    """The recording in a file's bytes. Raises `RecordingError`."""
    if len(data) > LARGEST_FILE:
        raise RecordingError(f"{path}:1:1: larger than {LARGEST_FILE >> 20} MiB: no recording is")
    lines = _lines(path, data)
    if not lines:
        raise RecordingError(f"{path}:1:1: the file is empty: was the training begun with vramlint.monitor?")
    header = lines[0]
    version = header.get("vramlint_run")
    if version is None:
        raise RecordingError(f"{path}:1:1: not written by vramlint.monitor: its first line has no 'vramlint_run'")
    if version != FORMAT:
        raise RecordingError(f"{path}:1:1: written in form {version!r}; this vramlint reads form {FORMAT}")
    if header.get("device") is None:
        raise RecordingError(f"{path}:1:1: recorded on a machine without a CUDA device: there is nothing to compare")
    return _assembled(path, header, lines)


def _lines(path: str, data: bytes) -> list[dict[str, Any]]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        raise RecordingError(f"{path}:{number}:{column}: not UTF-8: no file of vramlint.monitor") from None
    found = []
    numbered = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    for number, written in numbered:
        try:
            value = json.loads(written)
        except (json.JSONDecodeError, RecursionError) as error:
            column = getattr(error, "colno", 1)
            is_last = number == numbered[-1][0] and number > 1
            what = "the file ends in the middle of a line: it was cut off" if is_last else "not JSON"
            raise RecordingError(f"{path}:{number}:{column}: {what}") from None
        except ValueError:  # a number of more digits than Python converts
            raise RecordingError(f"{path}:{number}:1: not JSON that vramlint.monitor writes") from None
        if not isinstance(value, dict):
            raise RecordingError(f"{path}:{number}:1: not an object, as every line of a recording is")
        found.append({**value, "": number})
    return found


def _assembled(path: str, header: dict[str, Any], lines: list[dict[str, Any]]) -> Recording:
    asked = _Asked(path)
    allocated = reserved = steps = 0
    phases: dict[str, int] = {}
    first: dict[str, int] = {}
    parts: dict[str, int] = {}
    smi: dict[str, int] = {}
    trainable: int | None = None
    end: dict[str, Any] = {}
    longest: tuple[int, int] | None = None
    for line in lines[1:]:
        if "phase" in line:
            peak, phase = asked.size(line, "peak_allocated"), asked.text(line, "phase")
            step = asked.size(line, "step")
            allocated, reserved, steps = max(allocated, peak), max(reserved, asked.size(line, "peak_reserved")), max(steps, step)
            into = phases if step else first
            into[phase] = max(into.get(phase, 0), peak)
            longest = max(filter(None, (longest, asked.pair(line, "batch"))), key=lambda pair: pair[0] * pair[1], default=None)
        elif "parts" in line:
            entry = asked.mapping(line, "parts")
            for name in ("weights", "adapters", "gradients", "optimizer"):
                parts[name] = max(parts.get(name, 0), asked.size({**entry, "": line[""]}, name))
            trainable = asked.size(line, "trainable") if "trainable" in line else trainable
        elif "nvidia_smi" in line:
            entry = asked.mapping(line, "nvidia_smi")
            placed = {**entry, "": line[""]}
            smi = {name: asked.size(placed, name) for name in ("process", "device") if entry.get(name) is not None}
            smi["reserved"] = asked.size(line, "reserved")
        elif line.get("end"):
            end = line
    if end:
        allocated = max(allocated, asked.size(end, "peak_allocated"))
        reserved = max(reserved, asked.size(end, "peak_reserved"))
        longest, steps = asked.pair(end, "longest_batch") or longest, asked.size(end, "steps")
    if not allocated:
        raise RecordingError(f"{path}:{lines[-1]['']}:1: the recording ends before the first phase: no step was made")
    arguments, versions = header.get("arguments"), header.get("versions")
    return Recording(
        path, asked.text(header, "device"), asked.size(header, "total"), asked.capability(header),
        {str(k): str(v) for k, v in versions.items()} if isinstance(versions, dict) else {},
        arguments if isinstance(arguments, dict) else {}, _optional_text(header.get("arguments_class")), steps, allocated,
        reserved, phases or first, parts, trainable, longest, smi, _optional_text(end.get("error")), bool(end),
    )


def _optional_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


class _Asked:
    """Takes values out of lines, of the type that they must have."""

    def __init__(self, path: str) -> None:
        self._path = path

    def _refused(self, line: Mapping[str, Any], key: str, what: str) -> RecordingError:
        return RecordingError(f"{self._path}:{line.get('', 1)}:1: {key!r} is {line.get(key)!r:.40}, not {what}")

    def size(self, line: Mapping[str, Any], key: str) -> int:
        """A number of bytes, or a count."""
        value = line.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < LARGEST_SIZE:
            raise self._refused(line, key, "a whole number of bytes")
        return value

    def text(self, line: Mapping[str, Any], key: str) -> str:
        """A text."""
        value = line.get(key)
        if not isinstance(value, str):
            raise self._refused(line, key, "a text")
        return value

    def mapping(self, line: Mapping[str, Any], key: str) -> dict[str, Any]:
        """An object."""
        value = line.get(key)
        if not isinstance(value, dict):
            raise self._refused(line, key, "an object")
        return value

    def pair(self, line: Mapping[str, Any], key: str) -> tuple[int, int] | None:
        """Rows and tokens of a batch, None where none was noted."""
        value = line.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 2 or not all(type(n) is int and 0 < n < LARGEST_SIZE for n in value):
            raise self._refused(line, key, "rows and tokens of a batch")
        return value[0], value[1]

    def capability(self, line: Mapping[str, Any]) -> tuple[int, int]:
        """A compute capability, `8.6`."""
        major, dot, minor = self.text(line, "capability").partition(".")
        if not (dot and major.isdecimal() and minor.isdecimal() and len(major) < 4 and len(minor) < 4):
            raise self._refused(line, "capability", "a compute capability such as 8.6")
        return int(major), int(minor)
