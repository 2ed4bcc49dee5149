"""The measured runs as the package ships them, for the receipt of `vramlint estimate`: `python -m lab.receipts` writes them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lab.case import STACKS, held_out
from lab.cases import capability_of, config_of, on_small_card, run_of
from lab.compare import Row, compare, rows
from vramlint.run import Run

FILE = Path(__file__).parent.parent / "vramlint" / "catalog" / "data" / "measured.json"
LEFT_OUT = {"stack", "unknown", "model_name_or_path"}
"""What an entry says in another way."""


def changed(run: Run) -> dict[str, Any]:
    """The run's keys that are not the defaults of `Run`."""
    usual = Run()
    found = {key: getattr(run, key) for key in Run.__match_args__ if key not in LEFT_OUT}
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in found.items() if value != getattr(usual, key)
    }


def packed(measured: Iterable[Row]) -> dict[str, Any]:
    """The contents of the file: rows that vramlint has an estimate for, each model's config fields once."""
    architectures: dict[str, Mapping[str, Any]] = {}
    names: dict[str, str] = {}
    entries = []
    for row in measured:
        if compare(row).why or not on_small_card(row.case):  # a receipt does not know the card's size
            continue
        case = {**row.case, "measured": row.measured}
        fields = config_of(row.case)
        model = row.case["arch"] if isinstance(row.case["arch"], str) else f"a {fields.get('model_type', 'small')} of its own"
        key = json.dumps(fields, sort_keys=True)
        if key not in names:
            names[key] = model if model not in architectures else f"{model} {len(architectures)}"
            architectures[names[key]] = fields
        entries.append({
            "model": model, "architecture": names[key], "capability": ".".join(map(str, capability_of(case))),
            "stack": row.case["stack"], "run": changed(run_of(case)), "allocated": int(row.measured["peak_allocated"]),
            **({"required": int(row.measured["least_capacity"])} if "least_capacity" in row.measured else {}),
            **({"held_out": True} if held_out(row.case) else {}),
        })
    return {
        "source": "runs of the real libraries on the phantom GPU: lab/data/README.md", "current": next(iter(STACKS)),
        "stacks": STACKS, "architectures": architectures, "runs": entries,
    }


def text_of(data: Mapping[str, Any]) -> str:
    """The file's text: one run a line, so that a change can be read."""
    lines = ",\n".join(json.dumps(entry, separators=(",", ":")) for entry in data["runs"])
    models = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(fields, separators=(',', ':'))}" for name, fields in data["architectures"].items()
    )
    head = json.dumps({key: data[key] for key in ("source", "current", "stacks")})[:-1]
    return f'{head},\n"architectures": {{\n{models}\n}},\n"runs": [\n{lines}\n]}}\n'


def main() -> None:
    """Write the file."""
    argparse.ArgumentParser(prog="lab.receipts", description=__doc__).parse_args()
    data = packed(rows())
    FILE.write_text(text_of(data))
    print(f"{len(data['runs'])} runs of {len(data['architectures'])} models in {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
