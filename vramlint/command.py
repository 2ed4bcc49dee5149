"""What the commands do: options into facts, files into findings, findings onto the screen."""

from __future__ import annotations

import os
import sys
from typing import Any

from vramlint.dataclass import replace
from vramlint.discover import Found, discover
from vramlint.examine import subjects_of
from vramlint.findings import SEVERITIES, Finding, Safety
from vramlint.linter import Checked, check_data, finding_about
from vramlint.record import failed_record
from vramlint.report import render, render_estimate, render_survey
from vramlint.report.paint import wants_colour
from vramlint.rewriting.task import Task
from vramlint.screen import FileError, say
from vramlint.settings import Session
from vramlint.source import SourceError, SourceFile

CANNOT_WRITE = 2


def run_check(options: dict[str, Any]) -> int:
    """`vramlint check`; gives the exit code."""
    session, task = Session(options), _task(options)
    findings: list[Finding] = []
    files: dict[str, SourceFile] = {}
    records: list[dict[str, object]] = []
    failures: list[str] = []
    changed = failing = False
    # All settings first, so that a command line that cannot be followed stops before a file is edited.
    places = [(found, _name(found, options)) for found in discover(options["paths"])]
    for found, name, settings in [(found, name, session.settings_for(name)) for found, name in places]:
        data = _read(found)
        if isinstance(data, SourceError):
            own = [finding_about(data, name, settings.rules)]
        else:
            if task.is_one:
                from vramlint.rewriting.rewrite import could_not_comment, rewrite  # noqa: PLC0415  # only where something is edited

                done = rewrite(found.path, name, data, settings, task, named=found.named)
                checked, changed = done.checked, changed or done.is_changed
                failures += [done.failure] if done.failure else []
                if task.is_ignored and (instead := could_not_comment(checked)):
                    say(instead, to_errors=True)
            else:
                checked = check_data(name, data, settings.lint, settings.rules, named=found.named)
            _say_passed_over(checked, found, options)
            own = list(checked.findings)
            records += [record for record in checked.records if record["estimate"] is not None]
            if checked.file is not None:
                files |= {companion.path: companion for companion in checked.companions} | {name: checked.file}
        own = _strictly(settings.graded(own)) if options["strict"] else settings.graded(own)
        own = [finding for finding in own if finding.path == name or not _is_told(finding, findings)]
        findings = [finding for finding in findings if finding.path != name or not _is_told(finding, own)]
        failing |= _fails(own, settings.fail_on)
        findings += own
    failing |= _fails(session.findings, "error")
    if not (options["fix_only"] and task.is_one):
        _report(session, [*session.findings, *findings], {**session.files, **files}, records, task, options)
    for failure in failures:
        say(f"Error: {failure}\n", to_errors=True)
    if failures:
        return CANNOT_WRITE
    if options["exit_zero"]:
        return 0
    return int((task.is_shown and changed) or (failing and not options["fix_only"]))


def _report(
    session: Session, findings: list[Finding], files: dict[str, SourceFile], records: list[dict[str, object]], task: Task,
    options: dict[str, Any],
) -> None:
    # What --diff and a fixed standard input print is the text itself; the report goes beside it.
    to_errors = task.is_shown or (task.is_one and "-" in options["paths"])
    output = options["output_format"] or _usual_format(session)
    text = render(
        output, findings, files, rules=session.all_rules, records=records, colour=_coloured(options, to_errors),
    )
    if findings or records or output != "full":
        say(text, to_errors=to_errors)
    if records and output == "full" and all(record["target"] is None for record in records):
        say("no target: say which card with --target, as in --target rtx3090\n", to_errors=True)


def _task(options: dict[str, Any]) -> Task:
    return Task(
        options["fix"] or (options["fix_only"] and not options["diff"]), options["add_ignore"], options["diff"],
        Safety.UNSAFE if options["unsafe_fixes"] else Safety.SAFE, " ".join(options["reason"].split()),
    )


def _is_told(finding: Finding, findings: list[Finding]) -> bool:
    """Whether this is among the findings: a file that several configs name is checked with each of them."""
    what = (finding.path, finding.code, finding.span, finding.message)
    return any((one.path, one.code, one.span, one.message) == what for one in findings)


def _fails(findings: list[Finding], fail_on: str) -> bool:
    threshold = SEVERITIES.index(fail_on)
    return any(SEVERITIES.index(finding.severity) >= threshold for finding in findings)


def _strictly(findings: list[Finding]) -> list[Finding]:
    return [replace(finding, severity="error") if finding.severity == "warning" else finding for finding in findings]


def _name(found: Found, options: dict[str, Any]) -> str:
    """What a file is called: standard input as the command line says."""
    return options.get("stdin_filename") or "-" if found.path == "-" else found.path


def run_estimate(options: dict[str, Any]) -> int:
    """`vramlint estimate`; 1 if a file has no estimate."""
    session = Session(options, plans=False, explains=True)
    records: list[dict[str, object]] = []
    for found in discover(options["paths"]):
        settings, data = session.settings_for(found.path), _read(found)
        if isinstance(data, SourceError):
            records.append(failed_record(found.path, data.message))
            continue
        checked = check_data(found.path, data, settings.lint, settings.rules, named=found.named)
        if checked.records:
            records += checked.records
        elif found.named:
            records.append(failed_record(found.path, "it is no training config that vramlint knows"))
    colour = _coloured(options, to_errors=False)
    say(render_estimate(records, options["output_format"], colour=colour))
    return int(_says_faults(session) or any(record["estimate"] is None for record in records))


def run_targets(options: dict[str, Any]) -> int:
    """`vramlint targets`; 1 if a file has no estimate."""
    from vramlint.survey import cards, survey  # noqa: PLC0415  # no other command looks at all cards

    session = Session(options)
    records: list[dict[str, Any]] = []
    for found in discover(options["paths"]):
        lint, data = session.settings_for(found.path).lint, _read(found)
        if isinstance(data, SourceError):
            raise FileError(f"{found.path}: {data.message}")
        try:
            subjects = subjects_of(found.path, data, lint.facts)
        except SourceError as error:
            raise FileError(f"{found.path}: {error.message}") from None
        if not subjects and found.named:
            raise FileError(f"{found.path}: it is no training config that vramlint knows")
        targets = lint.targets if lint.insists else cards(lint.reserve)
        records += [survey(subject, targets) for subject in subjects]
    say(render_survey(records, options["output_format"], colour=_coloured(options, to_errors=False)))
    return int(_says_faults(session) or any(record["error"] for record in records))


def run_compare(options: dict[str, Any]) -> int:
    """`vramlint compare`; 1 if run and estimate differ."""
    from vramlint.comparing import (  # noqa: PLC0415  # no other command reads recordings
        NothingToCompare,
        RecordingError,
        comparison,
        recording_of,
    )
    from vramlint.report.comparison import render as render_comparison  # noqa: PLC0415

    session = Session({**options, "targets": (), "reserve": None, "finds_stack": False}, plans=False)
    path, name = options["path"], options["recording"]
    facts, data, recorded = session.settings_for(path).lint.facts, _bytes_of(path, 1 << 20), _bytes_of(name, 64 << 20)
    try:
        found = comparison(path, data, facts, recording_of(name, recorded))
    except SourceError as error:
        raise FileError(f"{path}: {error.message}") from None
    except (RecordingError, NothingToCompare) as error:
        raise FileError(str(error)) from None
    say(render_comparison(found, options["output_format"], colour=_coloured(options, to_errors=False)))
    return int(_says_faults(session) or not found["agrees"])


def _bytes_of(path: str, most: int) -> bytes:
    """A file's bytes, one more than `most` at most. Raises `FileError`."""
    try:
        with open(path, "rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from None


def _says_faults(session: Session) -> bool:
    """Whether a configuration cannot be followed; that is said beside what these commands print."""
    if session.findings:
        say(render("concise", session.findings, session.files), to_errors=True)
    return bool(session.findings)


def _read(found: Found) -> bytes | SourceError:
    if found.path == "-":
        return sys.stdin.buffer.read()
    try:
        with open(found.path, "rb") as file:
            return file.read((1 << 20) + 1)
    except OSError as error:
        return SourceError("unreadable", f"cannot be read: {(error.strerror or str(error)).lower()}", found.path)


def _say_passed_over(checked: Checked, found: Found, options: dict[str, Any]) -> None:
    if not checked.recognised and (options["verbose"] or (found.named and len(options["paths"]) == 1)):
        say(f"{found.path}: passed over, no training config that vramlint knows\n", to_errors=True)


def _usual_format(session: Session) -> str:
    if os.environ.get("VRAMLINT_OUTPUT_FORMAT") in ("full", "concise", "json", "sarif", "github"):
        return os.environ["VRAMLINT_OUTPUT_FORMAT"]
    said = session.configuration_of("-").values.get("output-format")
    if said is not None:
        return str(said)
    return "github" if os.environ.get("GITHUB_ACTIONS") == "true" and not sys.stdout.isatty() else "full"


def _coloured(options: dict[str, Any], to_errors: bool) -> bool:
    stream = sys.stderr if to_errors else sys.stdout
    return wants_colour(options["color"], is_terminal=stream.isatty(), environment=os.environ)
