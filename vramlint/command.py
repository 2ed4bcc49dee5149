"""What the commands do: options into facts, files into findings, findings onto the screen."""

from __future__ import annotations

import os
import sys
from typing import Any

from vramlint.catalog import Target, UnknownTarget, find_target
from vramlint.dialects import set_value
from vramlint.discover import Found, discover
from vramlint.examine import Facts, subjects_of
from vramlint.findings import SEVERITIES, Finding, Safety
from vramlint.linter import Checked, Options, check_data, finding_about, load_rules
from vramlint.record import failed_record
from vramlint.report import render, render_estimate, render_survey
from vramlint.report.paint import wants_colour
from vramlint.rules import RuleSet
from vramlint.screen import FileError, UsageError, say
from vramlint.sizes import parse_size
from vramlint.source import SourceError, SourceFile, write


def run_check(options: dict[str, Any]) -> int:
    """`vramlint check`; gives the exit code."""
    lint_options, rules = _options(options), load_rules()
    chosen = _chosen(options, rules)
    findings: list[Finding] = []
    files: dict[str, SourceFile] = {}
    records: list[dict[str, object]] = []
    changed = 0
    least = Safety.UNSAFE if options["unsafe_fixes"] else Safety.SAFE
    for found in discover(options["paths"]):
        data = _read(found)
        if isinstance(data, SourceError):
            findings.append(finding_about(data, found.path, rules))
            continue
        if options["fix"] or options["diff"]:
            checked, edits = _fixed(found, data, lint_options, rules, least, options)
            changed += edits
        else:
            checked = check_data(found.path, data, lint_options, rules, named=found.named)
        _say_passed_over(checked, found, options)
        findings += checked.findings
        records += [record for record in checked.records if record["estimate"] is not None]
        if checked.file is not None:
            files[found.path] = checked.file
    findings = [finding for finding in findings if finding.code in chosen]
    # What --diff and a fixed standard input print is the text itself; the report goes beside it.
    to_errors = options["diff"] or (options["fix"] and "-" in options["paths"])
    output = options["output_format"] or _usual_format()
    colour = _coloured(options, to_errors)
    text = render(
        output, findings, files, rules=rules.rules, records=records, colour=colour,
    )
    if findings or records or output != "full":
        say(text, to_errors=to_errors)
    if not lint_options.targets and records and output == "full":
        say("no target: say which card with --target, as in --target rtx3090\n", to_errors=True)
    if options["exit_zero"]:
        return 0
    if options["diff"] and changed:
        return 1
    threshold = SEVERITIES.index(options["fail_on"])
    return int(any(SEVERITIES.index(finding.severity) >= threshold for finding in findings))


def run_estimate(options: dict[str, Any]) -> int:
    """`vramlint estimate`; 1 if a file has no estimate."""
    lint_options, rules = _options(options, plans=False), load_rules()
    records: list[dict[str, object]] = []
    for found in discover(options["paths"]):
        data = _read(found)
        if isinstance(data, SourceError):
            records.append(failed_record(found.path, data.message))
            continue
        checked = check_data(found.path, data, lint_options, rules, named=found.named)
        if checked.records:
            records += checked.records
        elif found.named:
            records.append(failed_record(found.path, "it is no training config that vramlint knows"))
    colour = _coloured(options, to_errors=False)
    say(render_estimate(records, options["output_format"], colour=colour))
    return int(any(record["estimate"] is None for record in records))


def run_targets(options: dict[str, Any]) -> int:
    """`vramlint targets`; 1 if a file has no estimate."""
    from vramlint.survey import cards, survey  # noqa: PLC0415  # no other command looks at all cards

    lint_options = _options(options)
    targets = lint_options.targets or cards(parse_size(options["reserve"]))
    records: list[dict[str, Any]] = []
    for found in discover(options["paths"]):
        data = _read(found)
        if isinstance(data, SourceError):
            raise FileError(f"{found.path}: {data.message}")
        try:
            subjects = subjects_of(found.path, data, lint_options.facts)
        except SourceError as error:
            raise FileError(f"{found.path}: {error.message}") from None
        if not subjects and found.named:
            raise FileError(f"{found.path}: it is no training config that vramlint knows")
        records += [survey(subject, targets) for subject in subjects]
    say(render_survey(records, options["output_format"], colour=_coloured(options, to_errors=False)))
    return int(any(record["error"] for record in records))


def _options(options: dict[str, Any], *, plans: bool = True) -> Options:
    """The linter's options. Raises `UsageError` for what cannot be understood."""
    try:
        reserve = parse_size(options["reserve"])
        overrides = {}
        for setting in options["settings"]:
            key, equals, value = setting.partition("=")
            if not equals:
                raise UsageError(f"--set {setting}: write it as KEY=VALUE")
            overrides[key] = set_value(key, value)
    except ValueError as error:
        raise UsageError(str(error)) from None
    model_config = options["model_config"]
    if model_config is not None and not os.path.isfile(model_config):
        raise UsageError(f"--model-config {model_config}: there is no such file")
    return Options(
        targets=tuple(_target(text, reserve) for text in options["targets"]),
        facts=Facts(
            overrides=overrides, dialect=options["dialect"], isolated=options["isolated"],
            model_config=model_config,
        ),
        plans=plans,
    )


def _target(text: str, reserve: int) -> Target:
    target = find_target(text, reserve=reserve)
    if isinstance(target, UnknownTarget):
        near = f"; did you mean {', '.join(target.suggestions)}?" if target.suggestions else ""
        raise UsageError(f"{target.why}{near} (--list-targets shows all; a size works too: 24GiB@8.6)")
    return target


def _chosen(options: dict[str, Any], rules: RuleSet) -> set[str]:
    """The codes of the rules to report."""
    for text in (*options["select"], *options["ignore"]):
        if not rules.named(text):
            raise UsageError(f"there is no rule {text!r} (--list-rules shows all)")
    selected = {rule.code for text in options["select"] for rule in rules.named(text)}
    if not selected:
        selected = {rule.code for rule in rules.rules if rule.default}
    return selected - {rule.code for text in options["ignore"] for rule in rules.named(text)}


def _read(found: Found) -> bytes | SourceError:
    if found.path == "-":
        return sys.stdin.buffer.read()
    try:
        with open(found.path, "rb") as file:
            return file.read((1 << 20) + 1)
    except OSError as error:
        return SourceError("unreadable", f"cannot be read: {(error.strerror or str(error)).lower()}", found.path)


def _fixed(
    found: Found, data: bytes, lint_options: Options, rules: RuleSet, least: Safety, options: dict[str, Any],
) -> tuple[Checked, int]:
    from vramlint.fixing import diff_of, fix_data  # noqa: PLC0415  # only where something is fixed

    fixed = fix_data(found.path, data, lint_options, rules, least, named=found.named)
    if options["diff"]:
        say(diff_of(found.path, data, fixed.data))
        return fixed.checked, len(fixed.done)
    if found.path == "-":
        say(fixed.data.decode("utf-8"))
    elif fixed.data != data:
        try:
            write(found.path, fixed.data.decode("utf-8"), data)
        except SourceError as error:
            raise FileError(f"{found.path}: {error.message}") from None
        for title in fixed.done:
            say(f"{found.path}: fixed {title}\n", to_errors=True)
    return fixed.checked, len(fixed.done)


def _say_passed_over(checked: Checked, found: Found, options: dict[str, Any]) -> None:
    if not checked.recognised and (options["verbose"] or (found.named and len(options["paths"]) == 1)):
        say(f"{found.path}: passed over, no training config that vramlint knows\n", to_errors=True)


def _usual_format() -> str:
    if os.environ.get("VRAMLINT_OUTPUT_FORMAT") in ("full", "concise", "json", "sarif", "github"):
        return os.environ["VRAMLINT_OUTPUT_FORMAT"]
    return "github" if os.environ.get("GITHUB_ACTIONS") == "true" and not sys.stdout.isatty() else "full"


def _coloured(options: dict[str, Any], to_errors: bool) -> bool:
    stream = sys.stderr if to_errors else sys.stdout
    return wants_colour(options["color"], is_terminal=stream.isatty(), environment=os.environ)
