"""Which dialect a document is in, and what run it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vramlint.dataclass import replace
from vramlint.dialects.adaptor import adaptor_for
from vramlint.dialects.comments import said_in_comments
from vramlint.dialects.follows import follow
from vramlint.dialects.gather import MARKED, Gathered, gather
from vramlint.dialects.marks import dialects_of
from vramlint.dialects.problems import problems_of
from vramlint.dialects.recognised import Origin, Recognised, SchemaProblem
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.tables import WHOLE, tables
from vramlint.dialects.trainers import Trainers, trainers_of
from vramlint.dialects.values import fitted_default
from vramlint.dialects.walk import Reading, reading_of
from vramlint.run import Run, Value
from vramlint.source import Document, Effective, SourceFile, Span, effective

PLAIN = Run()
RUN_DEFAULTS: dict[str, Any] = {
    name: getattr(PLAIN, name) for name in Run.__match_args__ if name not in ("unknown", "stack", "trainer")
}


def recognise(
    file: SourceFile, document: Document, *, overrides: Mapping[str, Value] | None = None,
    dialect: str | None = None, stack: Mapping[str, str] | None = None,
) -> Recognised | None:
    """The document as a training config, or None if no dialect knows it.

    `overrides` are canonical keys set from outside, before defaults and trainer inference; `dialect` (or a comment
    `# vramlint: dialect=…`) names the dialect instead of finding it; `stack` is library → version.
    """
    if document.root.kind != "map":
        return None
    dialect = dialect or next((s.text for s in said_in_comments(file, document) if s.key == "dialect"), None)
    values = effective(file, document)
    if dialect is not None:
        try:
            return _read(_reading(dialect, document, values), overrides or {}, stack or {})
        except KeyError:
            return None
    names = dialects_of(values, file.format)
    if not names:
        return None
    readings = [_reading(name, document, values) for name in names]
    # Of several, the one that knows most of what the file says; it is said that there are others.
    best = max(readings, key=lambda reading: len(reading.found.names))
    found = _read(best, overrides or {}, stack or {})
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


def _read(reading: Reading, overrides: Mapping[str, Value], stack: Mapping[str, str]) -> Recognised:
    gathered = gather(reading, overrides)
    trainers = _trainers(reading, gathered, stack)
    runs: list[Run] = []
    origins: dict[str, Origin] = {}
    notes = list(gathered.notes)
    open_facts = [trainers.open] if trainers.open else []
    for trainer in trainers.candidates:
        settlement, defaults = _settled(reading, gathered, trainer, stack)
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
    origins["trainer"] = gathered.origins.get("trainer") or Origin("inferred", why=trainers.why)
    problems = [*gathered.problems, *problems_of(reading, gathered, closed=_closed(reading, trainers))]
    return Recognised(
        reading.tables.name, tuple(runs), origins, tuple(problems), reading.document.index, _span(reading),
        "; ".join(open_facts) or None, tuple(notes),
    )


def _trainers(reading: Reading, gathered: Gathered, stack: Mapping[str, str]) -> Trainers:
    if "trainer" in gathered.unknown:
        return Trainers(("other",), gathered.unknown["trainer"])
    adaptor = adaptor_for(reading.tables.name)
    facts = {**_marks(reading, gathered, [WHOLE], stack), **gathered.values} if "trainer" in reading.tables.about else {}
    return adaptor.trainers(reading, facts) or trainers_of(reading, gathered.values.get("trainer"), facts)


def _settled(
    reading: Reading, gathered: Gathered, trainer: str, stack: Mapping[str, str],
) -> tuple[Settlement, dict[str, Origin]]:
    """The values in force under one trainer: said, else the default of its classes, else the run's own."""
    adaptor = adaptor_for(reading.tables.name)
    classes = adaptor.classes_for(reading, trainer)
    values = _marks(reading, gathered, classes, stack)
    origins: dict[str, Origin] = {}
    for key, own in RUN_DEFAULTS.items():
        if key in gathered.values:
            values[key] = gathered.values[key]
            continue
        default = reading.tables.default(key, classes, stack)
        values[key] = own if default is None else fitted_default(key, default.value)
        origins[key] = Origin("default", why=default.why if default else "nothing in the file says otherwise")
    settlement = Settlement(gathered, trainer, stack, values)
    follow(settlement, reading.tables.about.get("follows", []))
    adaptor.settle(settlement, reading)
    return settlement, origins


def _marks(
    reading: Reading, gathered: Gathered, classes: list[str], stack: Mapping[str, str],
) -> dict[str, Value]:
    """The dialect's own facts, said or by default."""
    marks: dict[str, Value] = {key: value for key, value in gathered.values.items() if key.startswith(MARKED)}
    for key in reading.tables.marks(classes):
        default = reading.tables.default(key, classes, stack)
        if default is not None and key not in gathered.unknown:
            marks.setdefault(key, default.value)
    return marks


def _closed(reading: Reading, trainers: Trainers) -> bool:
    """Whether a key that the classes lack means nothing: the schema says so, or it is TRL's command line."""
    closed = reading.tables.about.get("closed", "trl")
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
