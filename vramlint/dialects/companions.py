"""What other files say of a run: those that a config names (DeepSpeed, accelerate), builds on, or is launched with.

Nothing is opened here: an `Opener` is handed in, which gives a file or the reason why not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from vramlint.dataclass import dataclass, field, replace
from vramlint.dialects.gather import Gathered, gather
from vramlint.dialects.marks import dialects_of
from vramlint.dialects.problems import problems_of
from vramlint.dialects.recognised import Origin, SchemaProblem
from vramlint.dialects.settling import RUN_DEFAULTS, settled
from vramlint.dialects.tables import tables
from vramlint.dialects.values import UnfitError, fitted
from vramlint.dialects.walk import Reading, Reference, reading_of
from vramlint.run import Run, Value
from vramlint.source import UNKNOWN, Document, SourceFile, Span, effective

Opener = Callable[[str, str], SourceFile | str]
"""(what is written, the path of the file that says it) → the file that this means, or in words why it cannot be read."""
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "deepspeed": ("deepspeed", ()), "accelerate": ("accelerate", ()), "fsdp": ("accelerate", ("fsdp_config",)),
}
"""What a reference of a schema leads to: the dialect, and the mapping of it that the file holds."""
SHARDING = (
    "zero_stage", "offload_optimizer", "offload_param", "zero_reduce_bucket_size", "zero_allgather_bucket_size",
    "zero_overlap_comm", "zero_contiguous_gradients",
)
FILES = (".json", ".yaml", ".yml")
MOST_FILES = 16


@dataclass(frozen=True, slots=True)
class Companions:
    """How to open what is named, and the files that the command line names beside the config."""

    opener: Opener
    launched_with: tuple[SourceFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Joined:
    """What the companions gave beside values: the files, what is wrong with them, and values that must agree.

    `matches`: (canonical key, value, its place, its name) that the Trainer compares with its own (transformers 5.17,
    integrations/deepspeed.py, fill_match).
    """

    files: list[SourceFile] = field(default_factory=list)
    problems: list[SchemaProblem] = field(default_factory=list)
    matches: list[tuple[str, Value, Span, str]] = field(default_factory=list)


def join(
    reading: Reading, bases: list[Reading], gathered: Gathered, companions: Companions, stack: Mapping[str, str], joined: Joined,
) -> None:
    """Put what the companions of a document say into `gathered`, where neither it nor its bases say it themselves."""
    for file in companions.launched_with:
        joined.files.append(file)
        document = file.documents[0]
        dialect = next(iter(dialects_of(effective(file, document), file.format)), None)
        if dialect is None or not tables(dialect).about.get("companion"):
            why = f"{file.path} is no config of DeepSpeed or accelerate"
            joined.problems.append(SchemaProblem("unresolved-reference", why, Span(0, 0, file.path), ()))
            continue
        _add(_reading(file, document, dialect, ()), gathered, companions, stack, joined, (file.path,))
    followed: set[str] = set()
    for one in (reading, *bases):
        _follow(one, gathered, companions, stack, joined, (one.file.path,), frozenset(followed))
        followed |= {reference.kind for reference in one.found.references}


def _follow(
    reading: Reading, gathered: Gathered, companions: Companions, stack: Mapping[str, str], joined: Joined,
    within: tuple[str, ...], besides: frozenset[str] = frozenset(),
) -> None:
    for reference in reading.found.references:
        if reference.kind in besides:
            continue
        dialect, at = KINDS[reference.kind]
        opened = _opened(reference, reading, companions, joined, within)
        if opened is not None:
            file, document = opened
            if reference.kind == "accelerate" and file is not reading.file:
                gathered.values.pop("fsdp", None)  # the file's name is no option of FSDP's
            way = within if file is reading.file else (*within, file.path)
            _add(_reading(file, document, dialect, at), gathered, companions, stack, joined, way)


def _opened(
    reference: Reference, reading: Reading, companions: Companions, joined: Joined, within: tuple[str, ...],
) -> tuple[SourceFile, Document] | None:
    """The document that a reference means, which may stand in its own place; problems are noted."""
    node, value = reference.resolved.node, reference.resolved.value
    if node.kind == "map" and node.style != "call":
        return reading.file, Document(node, reading.document.index, reading.document.anchors)
    if not isinstance(value, str) or not value.endswith(FILES):  # a word of the framework's, or nothing
        return None
    span = reference.entry.value.span
    found = opened_file(value, span, reading.file.path, companions, joined, within)
    return (found, found.documents[0]) if found else None


def opened_file(
    text: str, span: Span, path: str, companions: Companions, joined: Joined, within: tuple[str, ...],
) -> SourceFile | None:
    """The file that `text` names, written at `span` of the file at `path`; None, with a problem noted, if it cannot be had."""
    found = companions.opener(text, path) if len(joined.files) < MOST_FILES else "more files are named than are read"
    if isinstance(found, SourceFile) and found.path in within:
        found = f"{' → '.join([*map(os.path.basename, within), os.path.basename(found.path)])}: it leads back to itself"
    if isinstance(found, str):
        joined.problems.append(SchemaProblem("unresolved-reference", f"{text[:200]}: {found}", span, ()))
        return None
    if found not in joined.files:
        joined.files.append(found)
    return found


def _reading(file: SourceFile, document: Document, dialect: str, at: tuple[str, ...]) -> Reading:
    return reading_of(tables(dialect), document, effective(file, document), at=at)


def _add(
    reading: Reading, gathered: Gathered, companions: Companions, stack: Mapping[str, str], joined: Joined,
    within: tuple[str, ...],
) -> None:
    """One companion's values: those it says, its framework's defaults for its keys, and what follows from them."""
    if reading.document.root.kind != "map":
        joined.problems.append(SchemaProblem("type", "a mapping is expected", Span(0, 0, reading.file.path), ()))
        return
    own = gather(reading, {})
    _follow(reading, own, companions, stack, joined, within)
    settlement, defaults = settled(reading, own, "other", stack)
    own_classes = {key: origin for key, origin in defaults.items() if key in reading.tables.class_keys("#")}
    origins = {**own_classes, **own.origins, **settlement.origins}
    where = f"stated in {os.path.basename(reading.file.path)}"
    for key, origin in origins.items():
        if key in RUN_DEFAULTS and not gathered.is_said(key) and key not in settlement.unknown:
            gathered.put(key, settlement.values[key], _moved(origin, where))
    for key, why in settlement.unknown.items():
        if (key in SHARDING or key in own.unknown) and not gathered.is_said(key):
            gathered.unknown[key] = why
            gathered.origins[key] = _moved(own.origins.get(key, Origin("default")), where)
    joined.matches.extend(_matches(reading))
    found = problems_of(reading, own, closed=bool(reading.tables.about.get("closed")) and reading.found.sections[0].path == ())
    joined.problems.extend(replace(problem, fixes=()) for problem in [*own.problems, *found])


def _moved(origin: Origin, where: str) -> Origin:
    """An origin as the document has it that does not say the value itself: nothing there can be edited."""
    if origin.kind == "default":
        return replace(origin, kind="inferred", path=None)
    return replace(origin, path=None, why=origin.why or where)


def _matches(reading: Reading) -> Iterator[tuple[str, Value, Span, str]]:
    for written in reading.found.written:
        key = written.about.get("matches")
        words = written.about.get("values", {})
        if key is None or written.value is UNKNOWN or written.value is None or words.get(str(written.value)) == {}:
            continue
        try:
            yield key, fitted(key, written.value), written.entry.value.span, ".".join(map(str, written.path))
        except UnfitError:
            continue


def disagreements(joined: Joined, runs: Sequence[Run]) -> Iterator[SchemaProblem]:
    """Values of a DeepSpeed file that are not the Trainer's: it stops on them."""
    for key, value, span, name in joined.matches:
        if any(key in run.unknown or getattr(run, key) == value for run in runs):
            continue
        ours = getattr(runs[0], key)
        shown = str(ours).lower() if isinstance(ours, bool) else ours
        yield SchemaProblem(
            "companion-disagrees", f"{name} is not what the Trainer has: {key} is {shown}; it stops on that", span, (), None,
            ('write "auto", which takes the Trainer\'s value',),
        )
