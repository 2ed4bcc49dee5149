"""What every output format is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from vramlint.dataclass import dataclass
from vramlint.findings import SEVERITIES, Finding, Safety, Severity, applicable
from vramlint.source import SourceFile, Span

Record = Mapping[str, Any]
"""One document's entry of the JSON contract of `vramlint estimate`."""


class RuleText(Protocol):
    """What a format may say of a rule."""

    @property
    def code(self) -> str:
        """Its code, as in `VRM201`."""

    @property
    def name(self) -> str:
        """Its name, as in `does-not-fit`."""

    @property
    def severity(self) -> Severity:
        """How much it matters unless the user says otherwise."""

    @property
    def what(self) -> str:
        """What it looks for, in a sentence."""


@dataclass(frozen=True, slots=True)
class Report:
    """Findings with the texts they point into."""

    findings: tuple[Finding, ...]
    files: Mapping[str, SourceFile]
    rules: tuple[RuleText, ...] = ()
    records: tuple[Record, ...] = ()
    colour: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A position as editors count: 1-based, in code points, a byte order mark not counted; `end` is exclusive."""

    path: str
    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 1


def place_of(report: Report, path: str, span: Span | None) -> Place:
    """Where a span is; the start of the file where there is no span or no text."""
    path = span.path if span is not None and span.path else path
    file = report.files.get(path)
    if span is None or file is None:
        return Place(path)
    return Place(path, *position(file, span.start), *position(file, max(span.start, span.end)))


def position(file: SourceFile, offset: int) -> tuple[int, int]:
    """The 1-based line and column of an offset, without the byte order mark that editors do not show."""
    line, column = file.lines.position(min(offset, len(file.text)))
    return (line, max(1, column - 1)) if line == 1 and file.text.startswith("\ufeff") else (line, column)


def counts(findings: tuple[Finding, ...]) -> dict[str, int]:
    """How many findings there are of each severity, the gravest first."""
    return {severity: sum(f.severity == severity for f in findings) for severity in reversed(SEVERITIES)}


def fixable(findings: tuple[Finding, ...]) -> tuple[int, int]:
    """How many findings `--fix` mends, and how many more `--unsafe-fixes` would."""
    safe = sum(applicable(finding, Safety.SAFE) is not None for finding in findings)
    return safe, sum(applicable(finding, Safety.UNSAFE) is not None for finding in findings) - safe
