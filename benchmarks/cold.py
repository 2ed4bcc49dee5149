"""Whole processes: the lint of the reference file beside yamllint and check-jsonschema on the same file."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "examples" / "reference" / "train.yaml"
SCHEMA = ROOT / "schemas" / "huggingface.schema.json"
TARGETS = {"yamllint": 0.9, "check-jsonschema": 0.35}
"""Most that vramlint may take as a share of the other's time."""


def report(rounds: int) -> bool:
    """Prints the table; whether every target is met."""
    with tempfile.TemporaryDirectory() as directory:
        scripts = installed(Path(directory))
        shutil.copy(REFERENCE, Path(directory) / "train.yaml")
        times = measured(commands(scripts), Path(directory), rounds)
    mine = times["vramlint"]
    print(f"\ncold runs of {REFERENCE.relative_to(ROOT)}, {rounds} interleaved rounds (ms)")
    print(f"  {'':<18} {'median':>7} {'fastest':>8}   vramlint takes, of each round's time")
    met = True
    for name, taken in times.items():
        line = f"  {name:<18} {1000 * statistics.median(taken):>7.1f} {1000 * min(taken):>8.1f}"
        if name in TARGETS:
            ratio = statistics.median(a / b for a, b in zip(mine, taken, strict=True))
            met &= ratio <= TARGETS[name]
            line += f"   {ratio:.2f} (target {TARGETS[name]}: {'met' if ratio <= TARGETS[name] else 'missed'})"
        print(line)
    return met


def installed(directory: Path) -> Path:
    """A fresh environment with vramlint from its wheel, and the others."""
    wheels = directory / "wheels"
    pip = [sys.executable, "-m", "pip"]
    subprocess.run([*pip, "wheel", "-q", "--no-deps", "-w", wheels, ROOT], check=True)
    venv.create(directory / "venv", with_pip=True)
    scripts = directory / "venv" / ("Scripts" if os.name == "nt" else "bin")
    [wheel] = wheels.glob("vramlint-*.whl")
    subprocess.run([scripts / "python", "-m", "pip", "install", "-q", wheel, *TARGETS], check=True)
    return scripts


def commands(scripts: Path) -> dict[str, list[str | Path]]:
    """What is timed; bare Python is the floor of them all."""
    return {
        "vramlint": [scripts / "vramlint", "--target", "rtx3070", "train.yaml"],
        "yamllint": [scripts / "yamllint", "train.yaml"],
        "check-jsonschema": [scripts / "check-jsonschema", "--schemafile", SCHEMA, "train.yaml"],
        "python -c pass": [scripts / "python", "-c", "pass"],
    }


def measured(timed: dict[str, list[str | Path]], directory: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of each command in each round; the first round, which writes bytecode, is not counted."""
    times: dict[str, list[float]] = {name: [] for name in timed}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for number in range(rounds + 1):
        for name, command in timed.items():
            start = time.perf_counter()
            done = subprocess.run(
                command, cwd=directory, env=environment, capture_output=True, text=True, check=False,
            )
            taken = time.perf_counter() - start
            if done.returncode not in (0, 1) or "Traceback" in done.stderr:
                raise RuntimeError(f"{name} failed: {done.stderr}")
            if number:
                times[name].append(taken)
    return times
