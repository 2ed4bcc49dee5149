"""`vramlint compare` on a screen and as JSON: estimate and measurement side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from vramlint.report.display import printable
from vramlint.report.paint import Paint
from vramlint.sizes import in_gib

VERSION = 1
Comparison = Mapping[str, Any]


def render(found: Comparison, output_format: str = "text", *, colour: bool = False) -> str:
    """The comparison in `text` or `json`."""
    if output_format == "json":
        return json.dumps({"version": VERSION, **found}, indent=2, ensure_ascii=False) + "\n"
    return "\n".join(_lines(found, Paint(colour))) + "\n"


def _lines(found: Comparison, paint: Paint) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    word = paint("agrees", "good") if found["agrees"] else paint("differs", "error")
    lines = [
        f"{paint(printable(found['file']), 'path')} beside {paint(printable(found['run']), 'path')}: {word}",
        (
            f"  {printable(found['trainer'])}, {found['steps']} steps on {printable(found['device'])} "
            f"(compute capability {found['capability']}, {in_gib(found['total'])})"
        ),
    ]
    lines += [f"  {paint(printable(versions), 'faint')}"] if versions else []
    lines += ["", f"  {'':<44} {'estimated':>10}  {'measured':>10}  {'error':>8}"]
    lines += [_row(row["figure"], row["estimated"]["typical"], row, paint, _range(row)) for row in found["figures"]]
    for heading, key, name in (("by part, at the peak", "parts", "part"), ("the highest of each phase", "phases", "phase")):
        if found[key]:
            lines += ["", f"  {heading}:", *(_row(f"  {row[name]}", row["estimated"], row, paint, "") for row in found[key])]
    if found["trainable_parameters"]:
        trained = found["trainable_parameters"]
        lines += ["", f"  trained parameters: {trained['estimated']:,} estimated, {trained['measured']:,} in the run"]
    lines += ["", *(f"  note: {printable(note)}" for note in found["notes"])] if found["notes"] else []
    lines += ["", *(f"  {printable(line)}" for line in found["report"])] if found["report"] else []
    return lines


def _row(name: str, estimated: int, row: Mapping[str, Any], paint: Paint, after: str) -> str:
    measured = "" if row["measured"] is None else in_gib(row["measured"])
    error = "" if row["error"] is None else f"{100 * row['error']:+.1f} %"
    return f"  {name:<44} {in_gib(estimated):>10}  {paint(measured.rjust(10), 'number')}  {error:>8}{after}".rstrip()


def _range(row: Mapping[str, Any]) -> str:
    low, high = in_gib(row["estimated"]["low"]), in_gib(row["estimated"]["high"])
    where = "" if row["within"] else "OUTSIDE "
    if row["figure"] == "required":
        return f"  {where}at least {low} ({row['why']})"
    return f"  {where}{low} to {high} ({row['why']})"
