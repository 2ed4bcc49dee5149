"""Which dialect a document is in, and what run it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vramlint.dataclass import replace
from vramlint.dialects import huggingface
from vramlint.dialects.comments import said_in_comments
from vramlint.dialects.gather import Gathered, gather
from vramlint.dialects.huggingface import Settlement, settle
from vramlint.dialects.problems import problems_of
from vramlint.dialects.recognised import Origin, Recognised
from vramlint.dialects.schemas import dialect_names
from vramlint.dialects.tables import Tables, tables
from vramlint.dialects.trainers import Trainers, trainers_of
from vramlint.dialects.values import fitted_default
from vramlint.dialects.walk import REPEATED, Reading, reading_of
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
    names = _names(values, file.format == "python")
    for name in dialect_names() if dialect is None else (dialect,):
        try:
            known = tables(name)
        except KeyError:
            return None
        if dialect is not None or _is_in(known, names):
            skipped = huggingface.skipped(document) if file.format == "python" else frozenset()
            return _read(reading_of(known, document, values, skipped), overrides or {}, stack or {})
    return None


def _names(values: Effective, python: bool) -> frozenset[str]:
    """The keys of the document: those of its root, and those one and two mappings down, plain and dotted."""
    names: set[str] = set()
    for key, (entry, _) in values.entries(values.root).items():
        names.add(REPEATED.sub("", key) if python else key)
        node = values.scalar(entry.value).node
        if node.kind != "map" or python:
            continue
        for inner, (second, _) in values.entries(node).items():
            names |= {inner, f"{key}.{inner}"}
            below = values.scalar(second.value).node
            if below.kind == "map":
                names |= set(values.entries(below))
    return frozenset(names)


def _is_in(known: Tables, names: frozenset[str]) -> bool:
    marks = known.about["recognise"]
    if any(all(name in names for name in together) for together in marks["not"]):
        return False
    counts = {group: sum(name in names for name in marks[group]) for group in marks if group not in ("any", "not")}
    return any(all(counts[group] >= least for group, least in needed.items()) for needed in marks["any"])


def _read(reading: Reading, overrides: Mapping[str, Value], stack: Mapping[str, str]) -> Recognised:
    gathered = gather(reading, overrides)
    trainers = trainers_of(reading, gathered.values.get("trainer"))
    runs: list[Run] = []
    origins: dict[str, Origin] = {}
    notes = list(gathered.notes)
    open_facts = [trainers.open] if trainers.open else []
    for trainer in trainers.candidates:
        settlement, defaults = _settled(reading, gathered, trainer, stack)
        made = Run(
            **{k: v for k, v in settlement.values.items() if k in RUN_DEFAULTS},  # type: ignore[arg-type]  # the schema's types
            trainer=trainer, unknown=settlement.unknown, stack=stack,  # type: ignore[arg-type]
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
    problems = [*gathered.problems, *problems_of(reading, gathered, closed=_closed(trainers, reading.python))]
    return Recognised(
        reading.tables.name, tuple(runs), origins, tuple(problems), reading.document.index, _span(reading),
        "; ".join(open_facts) or None, tuple(notes),
    )


def _settled(
    reading: Reading, gathered: Gathered, trainer: str, stack: Mapping[str, str],
) -> tuple[Settlement, dict[str, Origin]]:
    """The values in force under one trainer: said, else the default of its classes, else the run's own."""
    classes = huggingface.classes_for(reading, trainer)
    values: dict[str, Value] = {}
    origins: dict[str, Origin] = {}
    for key, own in RUN_DEFAULTS.items():
        if key in gathered.values:
            values[key] = gathered.values[key]
            continue
        default = reading.tables.default(key, classes, stack)
        values[key] = own if default is None else fitted_default(key, default.value)
        origins[key] = Origin("default", why=default.why if default else "nothing in the file says otherwise")
    settlement = Settlement(gathered, trainer, stack, values)
    is_flat = not reading.python and "ModelConfig" in classes
    settle(settlement, flat=is_flat, python=reading.python)
    return settlement, origins


def _closed(trainers: Trainers, python: bool) -> bool:
    """Whether a key that the classes lack means nothing: so in TRL's command line, not in a script of one's own."""
    return not python and all(name.startswith("trl-") for name in trainers.candidates)


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
