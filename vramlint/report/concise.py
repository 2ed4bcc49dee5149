"""`concise`: one line per finding, as compilers print them."""

from __future__ import annotations

from vramlint.findings import Finding
from vramlint.report.display import printable
from vramlint.report.paint import Paint
from vramlint.report.report import Report, place_of


def render(report: Report) -> str:
    """The lines."""
    paint = Paint(report.colour)
    return "".join(header(report, finding, paint) + "\n" for finding in report.findings)


def header(report: Report, finding: Finding, paint: Paint) -> str:
    """`train.yaml:14:8: error VRM201 [does-not-fit] needs 13.3 GiB, rtx3070 has 7.8 GiB usable`."""
    place = place_of(report, finding.path, finding.span)
    where = paint(printable(place.path), "path") + f":{place.line}:{place.column}:"
    what = f"{paint(finding.severity, finding.severity)} {finding.code} [{finding.name}]"
    return f"{where} {what} {printable(finding.message)}"
