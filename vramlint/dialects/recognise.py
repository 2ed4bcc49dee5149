"""Which dialect a document is in, and what run it means."""

from __future__ import annotations

from collections.abc import Mapping

from vramlint.dataclass import replace
from vramlint.dialects.adaptor import adaptor_for
from vramlint.dialects.bases import dialect_through_bases, join_bases
from vramlint.dialects.comments import said_in_comments
from vramlint.dialects.companions import Companions, Joined, disagreements, join
from vramlint.dialects.gather import Gathered, gather
from vramlint.dialects.marks import dialects_of
from vramlint.dialects.problems import problems_of
from vramlint.dialects.recognised import Origin, Recognised, SchemaProblem
from vramlint.dialects.settling import RUN_DEFAULTS, marks_of, settled
from vramlint.dialects.tables import WHOLE, tables
from vramlint.dialects.trainers import Trainers, trainers_of
from vramlint.dialects.walk import Reading, reading_of
from vramlint.run import Run, Value
from vramlint.source import Document, Effective, SourceFile, Span, effective

OF_TRANSFORMERS = ("transformers", "trl-")
"""Trainers that compare a DeepSpeed file with what they are told themselves."""


def recognise(
    file: SourceFile, document: Document, *, overrides: Mapping[str, Value] | None = None,
    dialect: str | None = None, stack: Mapping[str, str] | None = None, companions: Companions | None = None,
) -> Recognised | None:
    """The document as a training config, or None if no dialect knows it.

    `overrides` are canonical keys set from outside, before defaults and trainer inference; `dialect` (or a comment
    `# vramlint: dialect=…`) names the dialect instead of finding it; `stack` is library → version. Without `companions`
    no other file is looked at.
    """
    if document.root.kind != "map":
        return None
    dialect = dialect or next((s.text for s in said_in_comments(file, document) if s.key == "dialect"), None)
    values = effective(file, document)
    if dialect is not None:
        try:
            return _read(_reading(dialect, document, values), overrides or {}, stack or {}, companions)
        except KeyError:
            return None
    names = dialects_of(values, file.format)
    if not names and companions is not None:
        through = dialect_through_bases(values, companions, Joined(), (file.path,))
        names = [through] if through else []
    if not names:
        return None
    readings = [_reading(name, document, values) for name in names]
    # Of several, the one that knows most of what the file says; it is said that there are others.
    best = max(readings, key=lambda reading: len(reading.found.names))
    found = _read(best, overrides or {}, stack or {}, companions)
    if len(readings) == 1:
        return found
    return replace(found, problems=(_ambiguous(found, names), *found.problems))


def _reading(dialect: str, document: Document, values: Effective) -> Reading:
    """What the document says in a dialect's words. Raises `KeyError` if there is no such dialect."""
    known = tables(dialect)
    skipped = adaptor_for(dialect).skipped(document) if values.file.format == "python" else frozenset()
    return reading_of(known, document, values, skipped)


def _ambiguous(found: Recognised, names: list[str]) -> SchemaProblem:
    others = [name for name in names if name != found.dialect]
    mark = "//" if found.document_span and found.document_span.path.endswith(".json") else "#"
    return SchemaProblem(
        "two-dialects", f"this may be a config of {' and of '.join(names)}; it is read as {found.dialect}", found.document_span,
        (), None, (f"say which: `{mark} vramlint: dialect={found.dialect}` or --dialect {others[0]}",),
    )


def _read(
    reading: Reading, overrides: Mapping[str, Value], stack: Mapping[str, str], companions: Companions | None,
) -> Recognised:
    gathered = gather(reading, overrides)
    joined = Joined()
    if companions is not None:
        bases = join_bases(reading, gathered, companions, joined, (reading.file.path,))
        join(reading, bases, gathered, companions, stack, joined)
    trainers = _trainers(reading, gathered, stack)
    runs: list[Run] = []
    origins: dict[str, Origin] = {}
    notes = list(gathered.notes)
    model_config: dict[str, object] = {}
    asks_card: set[str] = set()
    open_facts = [trainers.open] if trainers.open else []
    for trainer in trainers.candidates:
        settlement, defaults = settled(reading, gathered, trainer, stack)
        made = Run(
            **{k: v for k, v in settlement.values.items() if k in RUN_DEFAULTS},  # type: ignore[arg-type]  # the schema's types
            trainer=trainer, unknown=settlement.unknown, stack=settlement.stack,  # type: ignore[arg-type]
        )
        runs.append(made)
        for key, why in settlement.open.items():
            runs.append(replace(made, **{key: True}))  # type: ignore[arg-type]  # the other answer to an open question
            open_facts += [why] if why not in open_facts else []
        own = {**defaults, **{k: o for k, o in gathered.origins.items() if k in RUN_DEFAULTS}, **settlement.origins}
        for key, origin in own.items():
            origins.setdefault(key, origin)
        notes += [note for note in settlement.notes if note not in notes]
        model_config = settlement.model_config
        asks_card |= settlement.asks_card
    origins["trainer"] = gathered.origins.get("trainer") or Origin("inferred", why=trainers.why)
    closed = _closed(reading, gathered, trainers)
    problems = [*gathered.problems, *problems_of(reading, gathered, closed=closed), *joined.problems]
    if joined.matches and all(run.trainer.startswith(OF_TRANSFORMERS) for run in runs):
        problems += disagreements(joined, runs)
    return Recognised(
        reading.tables.name, tuple(runs), origins, tuple(problems), reading.document.index, _span(reading),
        "; ".join(open_facts) or None, tuple(notes), tuple(joined.files), bool(reading.tables.about.get("companion")),
        model_config or None, frozenset(asks_card),
    )


def _trainers(reading: Reading, gathered: Gathered, stack: Mapping[str, str]) -> Trainers:
    if "trainer" in gathered.unknown:
        return Trainers(("other",), gathered.unknown["trainer"])
    adaptor = adaptor_for(reading.tables.name)
    facts = {**marks_of(reading, gathered, [WHOLE], stack), **gathered.values} if "trainer" in reading.tables.about else {}
    return adaptor.trainers(reading, facts) or trainers_of(reading, gathered.values.get("trainer"), facts)


def _closed(reading: Reading, gathered: Gathered, trainers: Trainers) -> bool:
    """Whether a key that the classes lack means nothing: the schema says so, or it is TRL's command line."""
    closed = reading.tables.about.get("closed", "trl")
    if gathered.values.get(reading.tables.about.get("open_with", "")):
        return False
    if closed == "trl":
        return not reading.python and all(name.startswith("trl-") for name in trainers.candidates)
    return bool(closed) and not reading.python


def _span(reading: Reading) -> Span | None:
    """Where a finding about the whole document points: its first key, or the call that configures the training."""
    found = reading.found
    if reading.python:
        called = [s for s in found.sections[1:] if "TrainingArguments" in s.name or s.name.endswith("Config()")]
        called = called or found.sections[1:]
        if called:
            start = called[0].node.span
            return Span(start.start, start.start + len(called[0].name.removesuffix("()")), start.path)
        return None
    entries = found.sections[0].node.entries
    return entries[0].key_span if entries else None
