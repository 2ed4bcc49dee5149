"""`sarif`: Static Analysis Results Interchange Format 2.1.0, as code scanning services read it."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import quote

from vramlint import __version__
from vramlint.findings import Finding, Fix, Related, Severity
from vramlint.report.edits import replacements
from vramlint.report.report import Place, Report, RuleText, place_of
from vramlint.source import Span

LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}


def render(report: Report) -> str:
    """One log with one run."""
    rules = [_rule(rule) for rule in report.rules]
    rules += _undescribed(report, {rule["id"] for rule in rules})
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    run = {
        "tool": {"driver": {"name": "vramlint", "version": __version__, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(report, finding, index) for finding in report.findings],
    }
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _rule(rule: RuleText) -> dict[str, Any]:
    described = {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.what},
        "defaultConfiguration": {"level": LEVELS[rule.severity]},
    }
    explanation = getattr(rule, "explanation", None)
    return {**described, "help": {"text": explanation}} if explanation else described


def _undescribed(report: Report, known: set[str]) -> list[dict[str, Any]]:
    """The bare names of rules that were found but not given."""
    names = {finding.code: finding.name for finding in report.findings if finding.code not in known}
    return [{"id": code, "name": name} for code, name in sorted(names.items())]


def _result(report: Report, finding: Finding, index: dict[str, int]) -> dict[str, Any]:
    text = "\n".join([finding.message, *finding.help])
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index[finding.code],
        "level": LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [_location(place_of(report, finding.path, finding.span))],
    }
    if finding.related:
        result["relatedLocations"] = [_related(report, finding, related) for related in finding.related]
    fixes = [made for fix in finding.fixes if (made := _fix(report, finding, fix))]
    if fixes:
        result["fixes"] = fixes
    return result


def _related(report: Report, finding: Finding, related: Related) -> dict[str, Any]:
    return {**_location(place_of(report, finding.path, related.span)), "message": {"text": related.message}}


def _location(place: Place) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": uri_of(place.path)}, "region": _region(place)}}


def _region(place: Place) -> dict[str, int]:
    return {
        "startLine": place.line, "startColumn": place.column,
        "endLine": place.end_line, "endColumn": place.end_column,
    }


def _fix(report: Report, finding: Finding, fix: Fix) -> dict[str, Any] | None:
    edits = replacements(report, finding, fix)
    if not edits:
        return None
    changed = [
        {
            "deletedRegion": _region(place_of(report, finding.path, Span(edit.start, edit.end, finding.path))),
            "insertedContent": {"text": edit.text},
        }
        for edit in edits
    ]
    change = {"artifactLocation": {"uri": uri_of(finding.path)}, "replacements": changed}
    return {"description": {"text": f"{fix.title} ({fix.safety.name.lower()})"}, "artifactChanges": [change]}


def uri_of(path: str) -> str:
    """A relative path as a relative URI, taken from the root of the repository; an absolute one as `file:`."""
    if path in ("", "-"):
        return "stdin"
    plain = quote(os.path.normpath(path).replace(os.sep, "/"))
    if not os.path.isabs(path):
        return f"./{plain}" if ":" in plain.split("/")[0] else plain
    return f"file://{plain}" if plain.startswith("/") else f"file:///{plain}"
