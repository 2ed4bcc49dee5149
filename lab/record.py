"""A run's allocator events as PyTorch's own history has them, and the small files that traces are kept in.

A trace file is JSON lines, gzip-compressed: a head (the case, and the segments taken and given back), then one
[identifier, size] an event as vramlint.memory.allocator plays them; sizes are the bytes that were asked for.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Event = tuple[int, int]
EMPTY_CACHE: Event = (-1, -1)


def start() -> None:
    """Record every event of the allocator from here on."""
    import torch

    torch.cuda.memory._record_memory_history(max_entries=10_000_000, stacks="python", context=None)  # noqa: SLF001


def history() -> list[dict[str, Any]]:
    """The recorded events, oldest first."""
    import torch

    return list(torch.cuda.memory._snapshot()["device_traces"][0])  # noqa: SLF001


def events_of(history_: Iterable[Mapping[str, Any]]) -> tuple[list[Event], list[list[int]]]:
    """Events by identifier, and the segments taken or given back.

    A segment is [index of the event at which that was, its size, below zero if given back]; one given back with no
    request waiting was `empty_cache()`.
    """
    events: list[Event] = []
    segments: list[list[int]] = []
    held: dict[int, int] = {}
    count = 0
    for entry in history_:
        action = entry["action"]
        if action == "alloc":
            held[entry["addr"]] = count
            events.append((count, entry["size"]))
            count += 1
        elif action == "free_completed" and entry["addr"] in held:
            events.append((held.pop(entry["addr"]), 0))
        elif action == "segment_alloc":
            segments.append([len(events), entry["size"]])
        elif action == "segment_free":
            if not events or events[-1] != EMPTY_CACHE:
                events.append(EMPTY_CACHE)
            segments.append([len(events) - 1, -entry["size"]])
    return events, segments


def allocator() -> Any:
    """vramlint.memory.allocator, loaded by its file: an environment that measures need not have vramlint's libraries."""
    path = Path(__file__).parent.parent / "vramlint" / "memory" / "allocator.py"
    spec = importlib.util.spec_from_file_location("vramlint_allocator", path)
    if spec is None or spec.loader is None:
        raise RuntimeError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write(path: Path, head: Mapping[str, Any], events: Sequence[Event]) -> None:
    """Keep a trace; the same trace gives the same bytes."""
    lines = [json.dumps(head), *(f"[{identifier},{size}]" for identifier, size in events)]
    path.write_bytes(gzip.compress("\n".join(lines).encode(), compresslevel=9, mtime=0))


def read(path: Path) -> tuple[dict[str, Any], list[Event]]:
    """A kept trace: its head and its events."""
    head, *lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    events = [(pair[0], pair[1]) for pair in map(json.loads, lines)]
    return json.loads(head), events
