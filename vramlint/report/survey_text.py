"""`vramlint targets` on a screen: a row per card."""

from __future__ import annotations

from collections.abc import Sequence

from vramlint.report.display import printable
from vramlint.report.paint import Paint
from vramlint.report.report import Record
from vramlint.sizes import in_gib

HEADINGS = ("card", "usable", "needs", "", "batch × accumulation", "to make it fit")
GIB = 1 << 30
VERDICTS = {"fits": ("fits", "good"), "tight": ("tight", "warning"), "does-not-fit": ("no", "error")}


def render(records: Sequence[Record], *, colour: bool = False) -> str:
    """One table per document."""
    paint = Paint(colour)
    return "\n".join(_table(record, paint) for record in records)


def _table(record: Record, paint: Paint) -> str:
    title = f"{paint(printable(record['path']), 'path')}: {printable(str(record['model']))}"
    if record["error"]:
        return f"{title}\n  {paint('no estimate', 'error')}: {printable(record['error'])}\n"
    rows = [HEADINGS, *(_cells(row) for row in record["targets"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS) - 1)]
    lines = [title]
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        if number:
            cells[3] = paint(cells[3], VERDICTS[record["targets"][number - 1]["verdict"]][1])
        lines.append(("  " + "  ".join([*cells, row[-1]])).rstrip())
    return "\n".join(lines) + "\n"


def _cells(row: Record) -> tuple[str, ...]:
    device, batch, plan = row["device"], row["largest_batch"], row["plan"]
    largest = f"{batch['micro_batch']} × {batch['gradient_accumulation_steps']}" if batch else "none"
    mended = ""
    if plan is not None:
        mended = f"{plan['title']} ({plan['safety']}) → {in_gib(plan['device'])}"
    elif row["verdict"] != "fits":
        mended = "nothing found"
    needs = f"{in_gib(device['typical'])} ({device['low'] / GIB:.1f} to {device['high'] / GIB:.1f})"
    word = VERDICTS[row["verdict"]][0]
    return printable(row["target"]["id"]), in_gib(row["target"]["usable"]), needs, word, largest, printable(mended)
