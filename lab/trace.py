"""What is alive at the peak of a run, and which library line allocated it.

    lab/phantom/phantom-python VENV -m lab.trace CASE_JSON [ROWS]

Runs one case with the allocator's own history on, replays the history, and prints what is alive at the peak: bytes,
how many of that size from that place, and the place (innermost frames in the training libraries). The quickest way to
learn what a library really keeps. PHANTOM_CC and PHANTOM_MEM say which card; on a real card, plain `python -m
lab.trace`.
"""

from __future__ import annotations

import collections
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from lab.case import complete

LIBRARIES = (
    "/transformers/",
    "/peft/",
    "/trl/",
    "/bitsandbytes/",
    "/liger_kernel/",
    "/torchao/",
    "/torchtune/",
    "/litgpt/",
    "/lightning/",
    "/unsloth",
    "/torchtitan/",
    "/nemo_automodel/",
    "train.py",
    "/nanoGPT/",
    "/torch/optim/",
    "/torch/utils/checkpoint",
    "/torch/nn/utils/",
    "/deepspeed/",
    "/torch/distributed/",
    "/torch/nn/parallel/",
    "galore",
    "apollo",
    "lomo",
    "grokadamw",
    "schedulefree",
    "optimi",
)
FRAMES = 3
GIB = 2**30


def place(frames: Iterable[Mapping[str, Any]]) -> str:
    """The innermost lines of the training libraries, or the innermost of all, or autograd's engine, which has none."""
    known = list(frames)
    ours = [frame for frame in known if any(name in frame["filename"] for name in LIBRARIES)]
    text = " < ".join(f"{f['filename'].split('site-packages/')[-1]}:{f['line']} {f['name']}" for f in ours[:FRAMES])
    return text or (str(known[0]["name"]) if known else "C++ (autograd engine)")


def peak_of(events: Iterable[Mapping[str, Any]], loaded: int) -> tuple[int, list[Mapping[str, Any]]]:
    """The most bytes requested at once, and the events of what was then alive beside what had been loaded before."""
    live: dict[int, Mapping[str, Any]] = {}
    now = peak = loaded
    at_peak: list[Mapping[str, Any]] = []
    for event in events:
        if event["action"] == "alloc":
            live[event["addr"]] = event
            now += event["size"]
            if now > peak:
                peak, at_peak = now, list(live.values())
        elif event["action"] == "free_completed" and event["addr"] in live:
            now -= live.pop(event["addr"])["size"]
    return peak, at_peak


def main() -> None:
    """Run the case and print the table."""
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m lab.trace CASE_JSON [ROWS]")
    case = complete(json.loads(sys.argv[1]))
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 40
    import torch

    from lab import record
    from lab.worker import once_of

    once = once_of(case)
    loaded: list[int] = []

    def ready() -> None:
        loaded.append(torch.cuda.memory_allocated())
        torch.cuda.memory._record_memory_history(max_entries=5_000_000, stacks="python")  # noqa: SLF001

    measured = once(case, ready=ready)
    events = record.history()
    peak, alive = peak_of(events, loaded[0])
    table: collections.Counter[tuple[int, str]] = collections.Counter()
    for event in alive:
        table[event["size"], place(event.get("frames", []))] += 1
    print(
        f"peak {peak / GIB:.3f} GiB, of which {loaded[0] / GIB:.3f} loaded before training "
        f"(max_memory_allocated {measured['peak_allocated'] / GIB:.3f}; {len(events)} events)"
    )
    for (size, where), count in sorted(table.items(), key=lambda entry: -entry[0][0] * entry[1])[:rows]:
        print(f"{size * count / 2**20:10.1f} MiB = {count:4d} x {size / 2**20:9.3f}  {where}")


if __name__ == "__main__":
    main()
