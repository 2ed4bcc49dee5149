"""How true the estimates are: `python -m lab.accuracy` prints it, `--write` puts it into docs/accuracy.md.

The measured rows are phantom-GPU runs of the real libraries (lab/data/README.md). "Held out" rows are those that
nobody tuned on.
"""

from __future__ import annotations

import argparse
import collections
from collections.abc import Iterable, Iterator
from pathlib import Path

from lab.compare import Compared, Row, bands, compare, errors, groups, label, rows, verdicts
from lab.published import published_table

DOCUMENT = Path(__file__).parent.parent / "docs" / "accuracy.md"
FIELDS = ("framework", "trainer", "method", "arch", "optim", "capability", "attn", "weights", "checkpointing", "padded")
FIGURES = ("allocated", "required")
GIB = 2**30
WORST = 10
GOALS = {"allocated": (0.01, 0.03, 0.08), "required": (0.02, 0.06, 0.12)}
"""Median, 95th percentile and worst error to reach on held-out rows."""


def percent(value: float) -> str:
    """A part as a percentage."""
    return f"{100 * value:.2f} %"


def table(head: list[str], lines: Iterable[list[str]]) -> Iterator[str]:
    """A Markdown table."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for line in lines:
        yield "| " + " | ".join(line) + " |"
    yield ""


def error_line(name: str, compared: list[Compared], figure: str) -> list[list[str]]:
    """The line of one group, none if it has no such figure."""
    found = errors(compared, figure)
    if found is None:
        return []
    return [
        [
            name,
            str(found.count),
            *map(percent, (found.median, found.percentile95, found.worst)),
            f"{100 * found.mean:+.2f} %",
        ]
    ]


HEAD = ["rows", "count", "median", "95th percentile", "worst", "mean, signed"]


def overall(compared: list[Compared]) -> Iterator[str]:
    """Errors of both figures, tuned and held out, beside the goals."""
    parts = [
        ("held out", [c for c in compared if c.held_out]),
        ("tuned on", [c for c in compared if not c.held_out]),
        ("all", compared),
    ]
    for figure in FIGURES:
        yield f"### {figure}"
        yield ""
        lines = [line for name, part in parts for line in error_line(name, part, figure)]
        yield from table(HEAD, [*lines, ["goal, held out", "", *(f"≤ {100 * g:g} %" for g in GOALS[figure]), ""]])


def worst(compared: list[Compared], figure: str) -> Iterator[str]:
    """The ten rows that are furthest off."""
    ranked = sorted((c for c in compared if c.error(figure) is not None), key=lambda c: -abs(c.error(figure) or 0))
    lines = []
    for one in ranked[:WORST]:
        truth, band = one.truth(figure) or 0, one.band(figure) or (0, 0, 0)
        lines.append(
            [
                f"{100 * (one.error(figure) or 0):+.2f} %",
                f"{truth / GIB:.3f}",
                f"{band[1] / GIB:.3f}",
                "yes" if one.held_out else "no",
                label(one.row),
            ]
        )
    yield from table(["error", "measured GiB", "estimated GiB", "held out", "case"], lines)


def band_lines(compared: list[Compared]) -> Iterator[str]:
    """Coverage and width of the bands, and the verdict test."""
    held = [one for one in compared if one.held_out]
    lines = []
    for name, part in (("held out", held), ("all", compared)):
        for figure in FIGURES:
            found = bands(part, figure)
            if found:
                lines.append(
                    [
                        name,
                        figure,
                        str(found.count),
                        percent(found.covered),
                        percent(found.inside),
                        percent(found.median_width),
                        percent(found.percentile95_width),
                    ]
                )
    lines.append(["goal", "", "", "≥ 99.5 %", "≥ 95 %", "≤ 6 %", "≤ 15 %"])
    yield from table(["rows", "figure", "count", "truth ≤ high", "inside", "median width", "95th percentile"], lines)
    lines = []
    for name, part in (("held out", held), ("all", compared)):
        v = verdicts(part)
        lines.append(
            [
                name,
                f"{v.wrongly_fits} of {v.run_out}",
                f"{v.wrongly_refused} of {v.pass_}",
                percent(v.tight / max(1, v.run_out + v.pass_)),
            ]
        )
    lines.append(["goal", "0", "≤ 2 %", ""])
    yield from table(["rows", "run out, called fits", "pass, called does not fit", "tight"], lines)


def report(measured: list[Row]) -> Iterator[str]:
    """The whole report, line by line."""
    compared = [compare(row) for row in measured]
    missing = [one for one in compared if one.why]
    capacities = sum("least_capacity" in row.measured for row in measured)
    yield f"{len(measured)} measured runs, {capacities} of them with a least capacity; {len(missing)} have no estimate."
    yield ""
    yield "## Errors"
    yield ""
    yield from overall(compared)
    yield "## Bands and verdicts"
    yield ""
    yield from band_lines(compared)
    yield "## The worst ten"
    yield ""
    for figure in FIGURES:
        yield f"### {figure}"
        yield ""
        yield from worst(compared, figure)
    yield "## By what was run"
    yield ""
    for field in FIELDS:
        for figure in FIGURES:
            lines = [line for value, part in groups(compared, field) for line in error_line(value, part, figure)]
            if lines:
                yield f"### {figure} by {field}"
                yield ""
                yield from table([field, *HEAD[1:]], lines)
    yield from without(missing)
    yield from published_table()


def without(missing: list[Compared]) -> Iterator[str]:
    """Why some rows have no estimate."""
    if missing:
        yield "## No estimate"
        yield ""
        counted = collections.Counter(one.why for one in missing)
        yield from table(["rows", "why"], [[str(count), why.replace("|", "/")] for why, count in counted.most_common()])


TEXT = """# Accuracy

Generated by `python -m lab.accuracy --write` from the measured runs in `lab/data/measured`. Those are runs of the
real trainers, peft, bitsandbytes and PyTorch allocator on the phantom GPU (`lab/phantom/README.md`): memory is
counted, kernels are accepted and not run. None is a measurement on a card, except the published ones at the end.
`allocated` is compared with `torch.cuda.max_memory_allocated()`, `required` with the least memory in which the run
got through.

"""


def listed(measured: list[Row], conditions: Iterable[str]) -> Iterator[str]:
    """The rows that were tuned on and have these fields, by the size of their error; held-out rows are not shown."""
    wanted = dict(condition.split("=", 1) for condition in conditions)
    chosen = [
        one for row in measured
        if all(str(row.case[field]) == value for field, value in wanted.items()) and not (one := compare(row)).held_out
    ]
    for one in sorted(chosen, key=lambda one: -abs(one.error("allocated") or 0)):
        figures = [f"{100 * error:+7.2f}" if (error := one.error(figure)) is not None else "      -" for figure in FIGURES]
        yield f"{' '.join(figures)} % {(one.truth('allocated') or 0) / GIB:9.3f} GiB  {label(one.row)}  {one.why}"


def main() -> None:
    """Print the report, or write the document, or list rows."""
    parser = argparse.ArgumentParser(prog="lab.accuracy", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name} instead of printing")
    parser.add_argument(
        "--list", nargs="*", metavar="FIELD=VALUE", help="list the errors of rows tuned on that have these fields",
    )
    given = parser.parse_args()
    if given.list is not None:
        print("\n".join(listed(rows(), given.list)))
        return
    text = "\n".join(report(rows())) + "\n"
    if given.write:
        DOCUMENT.write_text(TEXT + text)
    else:
        print(text)


if __name__ == "__main__":
    main()
