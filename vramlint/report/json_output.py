"""`json`: everything, for programs; the shape is a contract under `version`."""

from __future__ import annotations

import json
from typing import Any

from vramlint.findings import Finding, Fix, Outcome
from vramlint.report.edits import replacements
from vramlint.report.report import Report, counts, fixable, position
from vramlint.source import Span

VERSION = 1


def render(report: Report) -> str:
    """One object: `version`, `findings`, `summary`, and `files` with the records of `vramlint estimate`.

    Lines and columns are 1-based and count code points; an offset counts code points from the start of the file as
    read, a byte order mark included.
    """
    safe, unsafe = fixable(report.findings)
    summary: dict[str, int] = {**counts(report.findings), "fixable": safe, "unsafe_fixable": unsafe}
    document = {
        "version": VERSION,
        "findings": [_finding(report, finding) for finding in report.findings],
        "files": list(report.records),
        "summary": summary,
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _finding(report: Report, finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity,
        "message": finding.message,
        "path": finding.path,
        "document": finding.document,
        "key": finding.key,
        "span": _span(report, finding.path, finding.span),
        "label": finding.label,
        "help": list(finding.help),
        "related": [
            {
                "path": related.span.path or finding.path,
                "span": _span(report, finding.path, related.span),
                "message": related.message,
            }
            for related in finding.related
        ],
        "fixes": [_fix(report, finding, fix) for fix in finding.fixes],
    }


def _span(report: Report, path: str, span: Span | None) -> dict[str, Any] | None:
    file = report.files.get(span.path or path) if span is not None else None
    if span is None or file is None:
        return None
    ends = {}
    for name, offset in (("start", span.start), ("end", span.end)):
        line, column = position(file, offset)
        ends[name] = {"line": line, "column": column, "offset": offset}
    return ends


def _fix(report: Report, finding: Finding, fix: Fix) -> dict[str, Any]:
    return {
        "title": fix.title,
        "safety": fix.safety.name.lower(),
        "changes": [
            {"key": change.key, "delete": True} if change.delete else {"key": change.key, "value": change.value}
            for change in fix.changes
        ],
        "edits": [
            {"span": _span(report, finding.path, Span(edit.start, edit.end, finding.path)), "text": edit.text}
            for edit in replacements(report, finding, fix)
        ],
        "outcome": _outcome(fix.outcome),
        "refused": fix.refused,
    }


def _outcome(outcome: Outcome | None) -> dict[str, Any] | None:
    if outcome is None:
        return None
    device = {"low": outcome.device_low, "typical": outcome.device_typical, "high": outcome.device_high}
    return {"device": device, "verdict": outcome.verdict}
