"""Findings and estimates as text: one small module per output format, imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module

from vramlint.findings import Finding
from vramlint.report.report import Record, Report, RuleText
from vramlint.source import SourceFile

MODULES = {
    "full": "vramlint.report.full",
    "concise": "vramlint.report.concise",
    "json": "vramlint.report.json_output",
    "sarif": "vramlint.report.sarif",
    "github": "vramlint.report.github",
}
FORMATS = tuple(MODULES)
ESTIMATE_MODULES = {"text": "vramlint.report.breakdown", "json": "vramlint.report.breakdown_json"}
ESTIMATE_FORMATS = tuple(ESTIMATE_MODULES)
SURVEY_MODULES = {"text": "vramlint.report.survey_text", "json": "vramlint.report.survey_json"}

__all__ = ["ESTIMATE_FORMATS", "FORMATS", "Report", "RuleText", "render", "render_estimate", "render_survey"]


def render(
    output_format: str, findings: Sequence[Finding], files: Mapping[str, SourceFile], *,
    rules: Iterable[RuleText] = (), records: Sequence[Record] = (), colour: bool = False,
) -> str:
    """The findings in one of `FORMATS`, ending in a newline unless empty.

    `files` gives the text behind each path, for excerpts and edits; a path without one is reported without. `rules` are
    described in SARIF; `records` (of `vramlint.record`) let `full` say what fits and travel along in `json`.
    """
    report = Report(tuple(findings), files, tuple(rules), tuple(records), colour)
    text: str = import_module(MODULES[output_format]).render(report)
    return text


def render_estimate(records: Sequence[Record], output_format: str = "text", *, colour: bool = False) -> str:
    """The screen of `vramlint estimate` in one of `ESTIMATE_FORMATS`, from the records of `vramlint.record`."""
    text: str = import_module(ESTIMATE_MODULES[output_format]).render(records, colour=colour)
    return text


def render_survey(records: Sequence[Record], output_format: str = "text", *, colour: bool = False) -> str:
    """The screen of `vramlint targets`, from the records of `vramlint.survey`."""
    text: str = import_module(SURVEY_MODULES[output_format]).render(records, colour=colour)
    return text
