"""The walk: read, recognise, estimate, check, plan, turn changes into edits."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from vramlint.catalog import FoundModel, MissingModel, Target, allowances
from vramlint.dataclass import dataclass, field, replace
from vramlint.dialects import Recognised, run_schema
from vramlint.examine import Facts, Numbers, Subject, numbers_of, subject_of
from vramlint.findings import ABOUT_THE_FIT, Finding, Fix
from vramlint.memory import Estimate, NoEstimate, unsimulated_trainer
from vramlint.planning import Estimator, plans_for, settle, with_growth, with_plans
from vramlint.record import Record, failed_record, record_of
from vramlint.rules import RuleFacts, RuleSet, check, finding_for, load
from vramlint.run import Run
from vramlint.source import Document, Refused, SourceError, SourceFile, Span, apply, format_of, read

if TYPE_CHECKING:
    from vramlint.directives.modeline import Modeline

MENTIONS_TRAINING = re.compile(
    rb"model_name_or_path|base_model|per_device_train_batch_size|micro_batch_size|TrainingArguments|LoraConfig",
)
"""A broken file that was only walked over is worth a finding if it looks like a training config."""
COMMENT_MARK = "vramlint:"
"""What every comment to vramlint has in it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What one file gave: the findings, and a record per training config in it.

    Findings may stand in other files that it names; `companions` are those.
    """

    path: str
    file: SourceFile | None
    findings: tuple[Finding, ...]
    records: tuple[Record, ...]
    recognised: bool
    companions: tuple[SourceFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """What to check for. `facts` is what the command line adds to the files.

    `insists` says that a file's own comment must not name another card than `targets`; `reserve` is left free on those that
    it names. `dialect` is taken where neither `facts` nor the file names one. `codes` are the rules to report, None: those
    that are on by default. `explains` adds to the records what `vramlint estimate` shows beside the number.
    """

    targets: tuple[Target, ...] = ()
    facts: Facts = field(default_factory=Facts)
    plans: bool = True
    insists: bool = False
    reserve: int = 0
    dialect: str | None = None
    codes: frozenset[str] | None = None
    explains: bool = False


def check_data(path: str, data: bytes, options: Options, rules: RuleSet, *, named: bool = True) -> Checked:
    """All findings of one file, given its bytes."""
    try:
        file = read(path, data, None if path == "-" else format_of(path))
    except SourceError as error:
        if not named and not MENTIONS_TRAINING.search(data):
            return Checked(path, None, (), (), recognised=False)
        found = _chosen([finding_about(error, path, rules)], options, rules)
        return Checked(path, None, tuple(found), (failed_record(path, error.message),), recognised=True)
    findings: list[Finding] = []
    records: list[Record] = []
    asked_of: set[Target] = set()
    companions: list[SourceFile] = []
    for document in file.documents:
        said = _said(file, document, options)
        subject = subject_of(file, document, _facts(options, said.dialect if said else None))
        findings += [
            finding_for(
                rules, "comment", path=path, message=wrong.message, span=wrong.span, help=wrong.help, document=document.index,
            )
            for wrong in (said.faults if said else ())
        ]
        if subject is None:
            continue
        findings += schema_findings(subject, rules)
        companions += subject.recognised.companions
        targets = said.targets if said and said.targets and not options.insists else options.targets
        asked_of.update(targets)
        for target in targets or (None,):
            numbers = numbers_of(subject, target)
            records.append(record_of(subject, numbers) | _explained(subject, numbers, options, said))
            findings += [
                finding for finding in _checked(subject, numbers, rules, options) if finding not in findings
            ]
    if records:
        findings = _less_suppressed(findings, file, options, rules, _asked(options, rules, records, has_target=bool(asked_of)))
    findings = [_in_its_file(finding, file) for finding in _in_order(_chosen(findings, options, rules))]
    return Checked(path, file, tuple(findings), tuple(records), bool(records or findings), tuple(companions))


def _in_its_file(finding: Finding, file: SourceFile) -> Finding:
    """The finding under the file that it stands in; in another file than the one that is checked nothing is edited."""
    if finding.span is None or finding.span.path in ("", file.path):
        return finding
    return replace(finding, path=finding.span.path, fixes=(), document=0)


def _explained(subject: Subject, numbers: Numbers, options: Options, said: Modeline | None) -> Record:
    """What is said beyond the number, where it is asked for."""
    if not options.explains:
        return {}
    from vramlint.explaining import explanation_of  # noqa: PLC0415  # only `vramlint estimate` explains

    return explanation_of(subject, numbers, _facts(options, said.dialect if said else None))


def _said(file: SourceFile, document: Document, options: Options) -> Modeline | None:
    """What a document's comments say of cards and dialect; most have none, and need no reader of them."""
    if COMMENT_MARK not in file.text:
        return None
    from vramlint.directives.modeline import modeline_of  # noqa: PLC0415

    return modeline_of(file, document, options.reserve)


def _less_suppressed(
    findings: list[Finding], file: SourceFile, options: Options, rules: RuleSet, was_asked: Callable[[str], bool],
) -> list[Finding]:
    """The findings that no comment of the file takes back."""
    if COMMENT_MARK not in file.text:
        return findings
    from vramlint.directives.suppressions import without_suppressed  # noqa: PLC0415

    return without_suppressed(_chosen(findings, options, rules), file, rules, was_asked)


def _facts(options: Options, dialect: str | None) -> Facts:
    """The facts with the dialect of the file's comment, or else of the configuration, if the command line names none."""
    dialect = options.facts.dialect or dialect or options.dialect
    return options.facts if dialect == options.facts.dialect else replace(options.facts, dialect=dialect)


def _is_chosen(code: str, options: Options, rules: RuleSet) -> bool:
    if options.codes is None:
        return all(rule.default for rule in rules.rules if rule.code == code)
    return code in options.codes


def _chosen(findings: Sequence[Finding], options: Options, rules: RuleSet) -> list[Finding]:
    """Those of the rules that are on."""
    return [finding for finding in findings if _is_chosen(finding.code, options, rules)]


def _asked(options: Options, rules: RuleSet, records: Sequence[Record], *, has_target: bool) -> Callable[[str], bool]:
    """Whether the rule of a code could have fired: it is on, and what it needs was there."""
    has_estimate = any(record["estimate"] is not None for record in records)
    needs = {rule.code: rule.data.get("needs", ()) for rule in rules.rules}

    def was_asked(code: str) -> bool:
        there = {"target": has_target, "estimate": has_estimate}
        return _is_chosen(code, options, rules) and all(there.get(need, True) for need in needs[code])

    return was_asked


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
        written=frozenset(key for key, origin in subject.recognised.origins.items() if origin.kind in ("written", "set")),
        open_keys=_disputed(subject.runs) | _not_of_the_framework(run, subject.recognised),
    )
    findings = check(rules, facts, locate_in(subject.recognised))
    # Of a file that may mean several runs the numbers span them all; plans are for the one that needs most.
    known = next((candidate.estimate for candidate in numbers.candidates if candidate.run is run), None)
    estimator = Estimator(run, subject.model, known, target)
    if target is not None and options.plans:
        if numbers.verdict in ("does-not-fit", "tight"):
            plans = plans_for(run, subject, target, allowed, estimator)
            findings = [with_plans(finding, plans, target, estimator) for finding in findings]
        else:
            findings = [with_growth(finding, run, subject, target, estimator) for finding in findings]
    if target is not None and any("num_processes" in one.unknown for one in subject.runs):
        findings = [_telling_cards(finding, target) for finding in findings]
    outcome_of = estimator.on(target)
    return [replace(f, fixes=tuple(settle(fix, subject, outcome_of) for fix in f.fixes)) for f in findings]


def _telling_cards(finding: Finding, target: Target) -> Finding:
    """A finding about the fit, with how many cards it was taken for: the file shards its run and leaves that to the launch."""
    if finding.name not in ABOUT_THE_FIT:
        return finding
    cards = "one card" if target.gpu_count == 1 else f"{target.gpu_count} cards"
    taken = f"taken for {cards}, as the target has, since the launch decides: state num_processes, or a target such as 8xa100"
    return replace(finding, help=(*finding.help, taken))


def _disputed(runs: tuple[Run, ...]) -> frozenset[str]:
    """The keys that the runs which a document may mean disagree about."""
    if len(runs) < 2:
        return frozenset()
    return frozenset(key for key in Run.__match_args__ if len({str(getattr(run, key)) for run in runs}) > 1)


def _not_of_the_framework(run: Run, recognised: Recognised) -> frozenset[str]:
    """The keys of which nothing is known where the training loop is not: what most runs do need not hold there."""
    if unsimulated_trainer(run) is None:
        return frozenset()
    return frozenset(key for key, origin in recognised.origins.items() if origin.is_ours)


def _why_not(subject: Subject, result: Estimate | NoEstimate) -> NoEstimate | None:
    # A model that is not known, or that the dialect asks for, is a finding of its own; all else is told here.
    told = not isinstance(subject.model, MissingModel) and all(p.kind != "required" for p in subject.recognised.problems)
    return result if isinstance(result, NoEstimate) and told else None


def locate_in(recognised: Recognised) -> Callable[[str], Span | None]:
    """Where a canonical key was written; None where it is a default."""

    def locate(key: str) -> Span | None:
        origin = recognised.origins.get(key)
        return origin.value_span or origin.key_span if origin else None

    return locate


def _in_order(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda f: (f.document, f.span.start if f.span else -1, f.code))
