"""`github`: workflow commands that GitHub Actions turns into annotations on the lines of a pull request."""

from __future__ import annotations

from vramlint.findings import Finding, Severity
from vramlint.report.full import summary
from vramlint.report.paint import Paint
from vramlint.report.report import Report, place_of

COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}


def render(report: Report) -> str:
    """The summary first, since GitHub shows at most ten errors and ten warnings of a step; then every finding."""
    if not report.findings:
        return ""
    commands = [_command(report, finding) for finding in report.findings]
    lines = [f"vramlint: {summary(report, Paint(on=False))}", *commands]
    return "\n".join(lines) + "\n"


def _command(report: Report, finding: Finding) -> str:
    place = place_of(report, finding.path, finding.span)
    properties: dict[str, str | int] = {"file": place.path, "line": place.line, "col": place.column}
    properties["endLine"] = place.end_line
    if place.end_line == place.line:
        properties["endColumn"] = place.end_column
    properties["title"] = f"{finding.code} [{finding.name}]"
    given = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    text = "\n".join([finding.message, *finding.help, *(fix.title for fix in finding.fixes[:1])])
    return f"::{COMMANDS[finding.severity]} {given}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
