"""Runs whose memory was measured, as data: what was run, on which model, and the bytes; read only when one is asked for."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from typing import Any

from vramlint.catalog.architecture import Architecture
from vramlint.catalog.config import DATA, architecture_from_config
from vramlint.dataclass import dataclass

FILE = os.path.join(DATA, "measured.json")
"""Written by `python -m lab.receipts` from lab/data/measured."""


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """One measured run.

    `run` has the canonical keys that differ from the defaults of `Run`; `allocated` is the peak of live bytes, `required`
    the least capacity in which it passed (None: not searched for); `versions` are the libraries it ran with.
    """

    run: Mapping[str, Any]
    model: str
    architecture: Architecture
    capability: tuple[int, int]
    allocated: int
    required: int | None
    versions: str
    held_out: bool


@functools.cache
def measured_runs() -> tuple[MeasuredRun, ...]:
    """All measured runs that ship; none where the file was left out of the package."""
    try:
        with open(FILE, encoding="utf-8") as file:
            data: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return ()
    architectures = {name: architecture_from_config(fields) for name, fields in data["architectures"].items()}
    found = []
    for entry in data["runs"]:
        run, (major, minor) = dict(entry["run"]), entry["capability"].split(".")
        if entry["stack"] != data["current"]:
            run["stack"] = dict(part.split(" ") for part in data["stacks"][entry["stack"]].split(", "))
        found.append(MeasuredRun(
            run, entry["model"], architectures[entry["architecture"]], (int(major), int(minor)), entry["allocated"],
            entry.get("required"), data["stacks"][entry["stack"]], entry.get("held_out", False),
        ))
    return tuple(found)
