"""`full`: each finding with the lines it is about and what would mend it, then what it comes to."""

from __future__ import annotations

from vramlint.findings import Finding, Fix, Related, Safety
from vramlint.report.concise import header
from vramlint.report.display import printable
from vramlint.report.excerpt import Mark, excerpt, line_of
from vramlint.report.paint import Paint
from vramlint.report.report import Record, Report, counts, fixable, place_of
from vramlint.sizes import in_gib
from vramlint.source import SourceFile

AFTER: dict[str | None, str] = {
    "fits": ", fits", "tight": ", tight", "does-not-fit": ", not enough alone", None: "",
}


def render(report: Report) -> str:
    """The whole screen."""
    paint = Paint(report.colour)
    blocks = ["\n".join(_finding(report, finding, paint)) for finding in report.findings]
    fitting = [record for record in report.records if record["estimate"] and record["verdict"] != "does-not-fit"]
    closing = [_fitting(record, paint) for record in fitting]
    blocks.append("\n".join([*closing, *_stacks(report), summary(report, paint)]))
    return "\n\n".join(blocks) + "\n"


def _stacks(report: Report) -> list[str]:
    """The library versions that the numbers are for, where they are others than the current ones."""
    found = {
        f"for {printable(str(said['value']))}, {printable(str(said['why']))}"
        for record in report.records if record.get("stack") for said in record["assumptions"] if said["key"] == "stack"
        if str(said["why"]).startswith("said by")
    }
    return sorted(found)


def summary(report: Report, paint: Paint) -> str:
    """`1 error, 2 warnings; 1 fix with --fix, 1 more with --unsafe-fixes`."""
    found = [
        paint(_count(number, severity), severity) for severity, number in counts(report.findings).items() if number
    ]
    line = ", ".join(found) or paint("nothing found", "good")
    safe, unsafe = fixable(report.findings)
    offers = [f"{_count(safe, 'fix')} with --fix"] if safe else []
    if unsafe:
        offers.append(f"{unsafe} more with --unsafe-fixes" if safe else f"{_count(unsafe, 'fix')} with --unsafe-fixes")
    return f"{line}; {', '.join(offers)}" if offers else line


def _count(number: int, noun: str) -> str:
    plural = {"fix": "fixes", "info": "info"}.get(noun, f"{noun}s")
    return f"{number} {noun if number == 1 else plural}"


def _fitting(record: Record, paint: Paint) -> str:
    """What a document needs, and where that fits: the answer when nothing is wrong."""
    device, target = record["estimate"]["device"], record["target"]
    line = f"{paint(printable(record['path']), 'path')}: needs {in_gib(device['typical'])}"
    if device["low"] != device["high"]:
        line += f" ({in_gib(device['low'])} to {in_gib(device['high'])})"
    if target is None:
        return line
    verdict = paint(record["verdict"], "good" if record["verdict"] == "fits" else "warning")
    return f"{line}, {verdict} on {printable(target['id'])} with {in_gib(target['usable'])} usable"


def _finding(report: Report, finding: Finding, paint: Paint) -> list[str]:
    place = place_of(report, finding.path, finding.span)
    lines = [header(report, finding, paint)]
    file = report.files.get(place.path)
    inside, outside = _related(finding, place.path)
    gutter = " "
    if file is not None and finding.span is not None:
        primary = Mark(finding.span, finding.label or "", finding.severity)
        marks = [primary, *(Mark(related.span, related.message, "related", "-") for related in inside)]
        shown = excerpt(file, marks, paint)
        gutter = _gutter(file, marks)
        lines += shown
    else:
        outside = [*inside, *outside]
    told = [("note", _elsewhere(report, related)) for related in outside]
    told += [("help", text) for text in finding.help]
    told += [("fix" if offered(fix) else "help", _fix(fix)) for fix in finding.fixes]
    for kind, text in told:
        first, *rest = text.split("\n")
        lines.append(f"{gutter} {paint('=', 'gutter')} {paint(kind + ':', 'help')} {printable(first)}")
        lines += [f"{gutter}   {' ' * len(kind)}  {printable(more)}".rstrip() for more in rest]
    return lines


def _gutter(file: SourceFile, marks: list[Mark]) -> str:
    return " " * len(str(max(line_of(file, mark.span) for mark in marks)))


def _related(finding: Finding, path: str) -> tuple[list[Related], list[Related]]:
    """Those to be shown in the same excerpt, and those in other files."""
    inside = [related for related in finding.related if (related.span.path or path) == path]
    return inside, [related for related in finding.related if related not in inside]


def _elsewhere(report: Report, related: Related) -> str:
    place = place_of(report, related.span.path, related.span)
    return f"{place.path}:{place.line}:{place.column}: {related.message}"


def offered(fix: Fix) -> bool:
    """Whether the tool could make this fix itself."""
    return fix.safety > Safety.DISPLAY and fix.refused is None and bool(fix.operations)


def _fix(fix: Fix) -> str:
    """`batch 8 → 4, accumulation 8 → 16 (safe) → needs 8.4 GiB, fits`."""
    line = f"{fix.title} ({fix.safety.name.lower()})" if offered(fix) else fix.title
    if fix.outcome is not None:
        line += f" → needs {in_gib(fix.outcome.device_typical)}{AFTER[fix.outcome.verdict]}"
    return f"{line}; by hand: {fix.refused}" if fix.refused else line
