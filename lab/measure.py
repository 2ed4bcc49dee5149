"""What training runs really take: real trainers and PyTorch's allocator, on a card or the phantom.

    python -m lab.measure CASES.jsonl MEASURED.jsonl [--phantom VENV]

One case a line in (fields: lab/case.py), the same case with `measured` appended to the output, in bytes. Cases that
the output already has are skipped, so a stopped list goes on where it was. With --phantom the runs go to the phantom
GPU of that environment (lab/phantom/README.md), at the capability that each case names; without, to the card of this
machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lab.case import complete, identity, short

ROOT = Path(__file__).parent.parent
PHANTOM_BYTES = 1 << 42
SLACK = 32 << 20


class Worker:
    """A lab.worker process for one compute capability and, where it has its own loop, one framework."""

    def __init__(self, capability: str, venv: Path | None, framework: str | None = None) -> None:
        major, minor = capability.split(".")
        command, environment = [sys.executable], dict(os.environ)
        if venv:
            command = [str(ROOT / "lab" / "phantom" / "phantom-python"), str(venv)]
            environment |= {"PHANTOM_CC": major + minor, "PHANTOM_MEM": str(PHANTOM_BYTES)}
        self.process = subprocess.Popen(
            [*command, "-m", "lab.worker", major, minor, *([framework] if framework else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        self.answer()

    def answer(self) -> Any:
        """The next line of the worker."""
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line:
            raise RuntimeError("the worker ended; run `python -m lab.worker 8 0` by hand to see why")
        return json.loads(line)

    def run(self, case: dict[str, Any], fraction: float | None = None, keep: Path | None = None) -> dict[str, Any]:
        """The measurements of one run; its trace is kept in a file if one is named."""
        assert self.process.stdin is not None  # noqa: S101 — a pipe was asked for
        self.process.stdin.write(
            json.dumps({"case": case, "fraction": fraction, "keep": str(keep) if keep else None}) + "\n"
        )
        self.process.stdin.flush()
        return dict(self.answer())

    def close(self) -> None:
        """End the worker."""
        if self.process.stdin:
            self.process.stdin.close()
        self.process.wait()


def least_capacity(
    worker: Worker, case: dict[str, Any], measured: dict[str, Any], expected: Sequence[int]
) -> dict[str, int]:
    """The least memory in which the run passes, to within 1 %: {"least_capacity": passed, "too_little": did not}.

    Both ends are runs that were made. A run need not pass at every capacity above the least; these bracket one
    boundary. `expected` is what the allocator model says of the run's own events: tried first, and where it holds,
    all there is to do.
    """
    total = measured["device_bytes"]

    def passes(capacity: int) -> bool:
        return "error" not in worker.run(case, capacity / total)

    low, high = measured["peak_allocated"] * 99 // 100, measured["peak_reserved"] + SLACK
    if expected and passes(expected[1]):
        low, high = (expected[0], expected[1]) if not passes(expected[0]) else (low, expected[0])
    else:
        while not passes(high):
            low, high = high, high * 21 // 20
    while high - low > high // 100:
        middle = (low + high) // 2
        if passes(middle):
            high = middle
        else:
            low = middle
    return {"least_capacity": high, "too_little": low}


def known(path: Path) -> set[str]:
    """The cases that a file of measurements already has."""
    if not path.exists():
        return set()
    return {identity(json.loads(line)) for line in path.read_text().splitlines()}


def trace_file(folder: Path, case: dict[str, Any]) -> Path:
    """Where a case's trace is kept."""
    return folder.resolve() / (hashlib.sha256(identity(case).encode()).hexdigest()[:12] + ".gz")


def measure(cases: Iterable[dict[str, Any]], sink: Path, venv: Path | None, traces: Path | None = None) -> None:
    """Append the measurements of each new case to the file, capability by capability.

    Keep traces if there is a folder.
    """
    done = known(sink)
    alike: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    for case in cases:
        if identity(case) not in done:
            done.add(identity(case))
            full = complete(case)
            alike.setdefault((str(full["capability"]), full["framework"]), []).append(full)
    for (capability, framework), group in alike.items():
        worker = Worker(capability, venv, framework)
        for full in group:
            measured = worker.run(full, keep=trace_file(traces, full) if traces else None)
            expected = measured.pop("expected_capacity", ())
            if full["capacity"] and "error" not in measured:
                measured |= least_capacity(worker, full, measured, expected)
            with sink.open("a") as file:
                print(json.dumps({**short(full), "measured": measured}), file=file)
            peak = measured.get("peak_allocated")
            print(identity(full)[:150], f"{peak / 2**30:.3f} GiB" if peak else measured["error"], flush=True)
        worker.close()


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(
        prog="lab.measure", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", type=Path)
    parser.add_argument("measured", type=Path)
    parser.add_argument("--phantom", type=Path, metavar="VENV")
    parser.add_argument(
        "--traces", type=Path, metavar="FOLDER", help="keep the trace of every case with `capacity` here"
    )
    given = parser.parse_args()
    cases = [json.loads(line) for line in given.cases.read_text().splitlines() if line.strip()]
    measure(cases, given.measured, given.phantom, given.traces)


if __name__ == "__main__":
    main()
