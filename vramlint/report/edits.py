"""The text edits of a fix, for formats that carry them to another tool."""

from __future__ import annotations

from vramlint.dataclass import dataclass
from vramlint.findings import Finding, Fix
from vramlint.report.report import Report
from vramlint.source import Refused, apply


@dataclass(frozen=True, slots=True)
class Replacement:
    """Put `text` in place of the code points from `start` to `end`."""

    start: int
    end: int
    text: str


def replacements(report: Report, finding: Finding, fix: Fix) -> tuple[Replacement, ...]:
    """What a fix changes in the text of the finding's file, in order; nothing where it can only be shown."""
    file = report.files.get(finding.path)
    if file is None or not fix.operations or fix.refused is not None:
        return ()
    edited = apply(file, fix.operations)
    if isinstance(edited, Refused):
        return ()
    ordered = sorted(edited.edits, key=lambda edit: (edit.start, edit.end))
    return tuple(Replacement(edit.start, edit.end, edit.text) for edit in ordered)
