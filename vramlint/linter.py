"""The walk: read, recognise, estimate, check, plan, turn changes into edits."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from vramlint.catalog import FoundModel, MissingModel, Target, allowances
from vramlint.dataclass import dataclass, field, replace
from vramlint.dialects import Recognised, Refusal, run_schema, to_operations
from vramlint.examine import Facts, Numbers, Subject, numbers_of, simulate, subject_of
from vramlint.findings import Finding, Fix, Outcome
from vramlint.memory import Estimate, NoEstimate
from vramlint.memory.verdict import verdict
from vramlint.plan import Allowed, moves_for, singles
from vramlint.record import Record, failed_record, record_of
from vramlint.rules import RuleFacts, RuleSet, check, finding_for, load
from vramlint.run import Change, Run, with_changes
from vramlint.source import Refused, SourceError, SourceFile, Span, apply, format_of, read

MENTIONS_TRAINING = re.compile(
    rb"model_name_or_path|base_model|per_device_train_batch_size|micro_batch_size|TrainingArguments|LoraConfig",
)
"""A broken file that was only walked over is worth a finding if it looks like a training config."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What one file gave: the findings, and a record per training config in it."""

    path: str
    file: SourceFile | None
    findings: tuple[Finding, ...]
    records: tuple[Record, ...]
    recognised: bool


@dataclass(frozen=True, slots=True)
class Options:
    """What to check for. `facts` is what the command line adds to the files."""

    targets: tuple[Target, ...] = ()
    facts: Facts = field(default_factory=Facts)
    plans: bool = True


def check_data(path: str, data: bytes, options: Options, rules: RuleSet, *, named: bool = True) -> Checked:
    """All findings of one file, given its bytes."""
    try:
        file = read(path, data, None if path == "-" else format_of(path))
    except SourceError as error:
        if not named and not MENTIONS_TRAINING.search(data):
            return Checked(path, None, (), (), recognised=False)
        finding = finding_about(error, path, rules)
        return Checked(path, None, (finding,), (failed_record(path, error.message),), recognised=True)
    findings: list[Finding] = []
    records: list[Record] = []
    for document in file.documents:
        subject = subject_of(file, document, options.facts)
        if subject is None:
            continue
        findings += schema_findings(subject, rules)
        for target in options.targets or (None,):
            numbers = numbers_of(subject, target)
            records.append(record_of(subject, numbers))
            findings += [
                finding for finding in _checked(subject, numbers, rules, options) if finding not in findings
            ]
    return Checked(path, file, tuple(_in_order(findings)), tuple(records), recognised=bool(records))


def finding_about(error: SourceError, path: str, rules: RuleSet) -> Finding:
    """The finding for a file that could not be read."""
    advice = (error.hint,) if error.hint else ()
    return finding_for(rules, error.kind, path=path, message=error.message, span=error.span, help=advice)


def load_rules() -> RuleSet:
    """The rules that ship with vramlint."""
    return load(run_schema())


def schema_findings(subject: Subject, rules: RuleSet) -> list[Finding]:
    """What the dialect's schema and the reader found wrong with the text."""
    recognised, file = subject.recognised, subject.file
    found = [
        finding_for(
            rules, problem.kind, path=file.path, message=problem.message,
            span=problem.span or recognised.document_span, help=problem.help, document=recognised.document,
            fixes=tuple(_applied(fix, file) for fix in problem.fixes),
        )
        for problem in recognised.problems
    ]
    return found + [
        finding_for(
            rules, "duplicate-key", path=file.path, message=f"{double.key!r} stands twice; the last one counts",
            span=double.second, document=recognised.document,
        )
        for double in file.duplicates if double.document == recognised.document
    ]


def _applied(fix: Fix, file: SourceFile) -> Fix:
    """A fix of the text itself, refused where the file does not take it."""
    edited = apply(file, fix.operations)
    return replace(fix, refused=edited.why) if isinstance(edited, Refused) else fix


def _checked(subject: Subject, numbers: Numbers, rules: RuleSet, options: Options) -> list[Finding]:
    """The rules' findings for one document on one target, each fix with the peak it leads to and its edit."""
    run, result, target = numbers.worst.run, numbers.worst.estimate, numbers.target
    model = subject.model.architecture if isinstance(subject.model, FoundModel) else None
    allowed = allowances(model, target.compute_capability if target else None, target.vendor if target else None)
    facts = RuleFacts(
        run=run, path=subject.file.path, document=subject.document.index, dialect=subject.recognised.dialect,
        estimate=result if isinstance(result, Estimate) else None, no_estimate=_why_not(subject, result),
        target=target, model=model, verdict=numbers.verdict, allowed=allowed,
        missing_model=subject.model if isinstance(subject.model, MissingModel) else None,
        trainer_open=subject.recognised.trainer_open, document_span=subject.recognised.document_span,
    )
    findings = check(rules, facts, locate_in(subject.recognised))
    outcome_of = outcomes(run, subject, target)
    if numbers.verdict in ("does-not-fit", "tight") and options.plans:
        findings = [_with_plans(finding, run, outcome_of, allowed) for finding in findings]
    return [replace(f, fixes=tuple(settle(fix, subject, outcome_of) for fix in f.fixes)) for f in findings]


def _why_not(subject: Subject, result: Estimate | NoEstimate) -> NoEstimate | None:
    return result if isinstance(result, NoEstimate) and isinstance(subject.model, FoundModel) else None


def _with_plans(
    finding: Finding, run: Run, outcome_of: Callable[[tuple[Change, ...]], Outcome | None], allowed: dict[str, bool],
) -> Finding:
    """The finding about the fit carries every single change that helps, best first."""
    if finding.name not in ("does-not-fit", "tight"):
        return finding
    open_moves = moves_for(run, Allowed(**{k: allowed[k] for k in Allowed.__match_args__ if k in allowed}))
    plans = singles(open_moves, outcome_of)
    return replace(finding, fixes=tuple(Fix(p.title, p.safety, p.changes, outcome=p.outcome) for p in plans))


def outcomes(run: Run, subject: Subject, target: Target | None) -> Callable[[tuple[Change, ...]], Outcome | None]:
    """An estimating function for changes of this run: what `plan` searches with."""

    def outcome_of(changes: tuple[Change, ...]) -> Outcome | None:
        result = simulate(with_changes(run, changes), subject.model, target)
        if isinstance(result, NoEstimate):
            return None
        judged = verdict(result.device, target.usable) if target else None
        return Outcome(result.device.low, result.device.typical, result.device.high, judged)

    return outcome_of


def settle(fix: Fix, subject: Subject, outcome_of: Callable[[tuple[Change, ...]], Outcome | None]) -> Fix:
    """The fix with the peak it leads to, and with its edit if the file takes it; else with the reason why not."""
    if fix.changes and fix.outcome is None and not any(change.delete for change in fix.changes):
        fix = replace(fix, outcome=outcome_of(fix.changes))
    if fix.changes and not fix.operations:
        operations = to_operations(subject.file, subject.document, subject.recognised, fix.changes)
        if isinstance(operations, Refusal):
            return replace(fix, refused=operations.why)
        fix = replace(fix, operations=operations)
    if fix.operations:
        edited = apply(subject.file, fix.operations)
        if isinstance(edited, Refused):
            return replace(fix, refused=edited.why)
    return fix


def locate_in(recognised: Recognised) -> Callable[[str], Span | None]:
    """Where a canonical key was written; None where it is a default."""

    def locate(key: str) -> Span | None:
        origin = recognised.origins.get(key)
        return origin.value_span or origin.key_span if origin else None

    return locate


def _in_order(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda f: (f.document, f.span.start if f.span else -1, f.code))
