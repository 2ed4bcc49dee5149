"""Rules of a team's own, from files that its configuration names: held to the schema and type-checked before they are asked."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence

from vramlint.dataclass import dataclass
from vramlint.dialects import run_schema
from vramlint.dialects.schemas import schema_json
from vramlint.rules import Rule, RuleError, RuleSet, types_of
from vramlint.shape import Fault, faults_of
from vramlint.source import Document, Effective, Node, SourceError, SourceFile, Span, effective, read
from vramlint.source.locate import every_node

OURS = "VRM"
MOST_RULES = 500


@dataclass(frozen=True, slots=True)
class OwnRules:
    """The rules that can be asked, what is wrong with the others, and the files that the faults point into."""

    rules: tuple[Rule, ...]
    faults: tuple[tuple[str, Fault], ...]
    files: tuple[SourceFile, ...]
    errors: tuple[SourceError, ...] = ()


def paths_of(pattern: str, directory: str) -> list[str]:
    """The files that one entry of `rules` names; a plain path names itself, there or not."""
    path = os.path.join(directory, pattern)
    return sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else [path]


def load_own(paths: Sequence[str], known: RuleSet) -> OwnRules:
    """The rules of these files, each YAML document one; `known` are those whose codes and names are taken."""
    rules: list[Rule] = []
    faults: list[tuple[str, Fault]] = []
    files: list[SourceFile] = []
    errors: list[SourceError] = []
    for path in paths:
        shown = os.path.relpath(path)
        try:
            with open(path, "rb") as content:
                file = read(shown, content.read((1 << 20) + 1), "yaml")
        except OSError as error:
            errors.append(SourceError("unreadable", f"cannot be read: {(error.strerror or str(error)).lower()}", shown))
            continue
        except SourceError as error:
            errors.append(error)
            continue
        files.append(file)
        for document in file.documents[:MOST_RULES]:
            found = list(_faults(file, document, (*known.rules, *rules)))
            faults += [(shown, fault) for fault in found]
            if not found:
                rules.append(_rule(effective(file, document)))
    return OwnRules(tuple(rules), tuple(faults), tuple(files), tuple(errors))


def _rule(values: Effective) -> Rule:
    content = values.plain(values.root)
    if not isinstance(content, dict):
        raise TypeError("a rule is a mapping")
    return Rule(content, types_of(run_schema()))


def _faults(file: SourceFile, document: Document, taken: Sequence[Rule]) -> Iterator[Fault]:
    """What keeps a document from being a rule."""
    values, start = effective(file, document), _first_place(file, document)
    found = [
        Fault(fault.message, fault.span or start, fault.path, fault.help)
        for fault in faults_of(values, document.root, schema_json("rule"))
    ]
    if found:
        yield from found
        return
    rule, entries = _rule(values), values.entries(document.root)

    def at(key: str) -> Span | None:
        return entries[key][0].value.span if key in entries else start

    if rule.code.startswith(OURS):
        yield Fault(f"codes that begin with {OURS} are vramlint's own", at("code"), ("code",), ("take letters of your own",))
    for other in taken:
        if rule.code == other.code or rule.name == other.name:
            key = "code" if rule.code == other.code else "name"
            yield Fault(f"there is a rule {other.code} [{other.name}] already", at(key), (key,))
    if "problem" in rule.data:
        yield Fault("only vramlint's own rules report a problem found elsewhere", at("problem"), ("problem",), ("say when",))
    for key in ("when", "message"):
        if key not in rule.data:
            yield Fault(f"missing {key!r}", start, (), (f"state {key}",))
    try:
        rule.check()
    except RuleError as error:
        yield Fault(error.message, _place_of(file, document.root, error) or start, (), ())


def _first_place(file: SourceFile, document: Document) -> Span:
    entries = document.root.entries
    return entries[0].key_span if entries else Span(document.root.span.start, document.root.span.end, file.path)


def _place_of(file: SourceFile, root: Node, error: RuleError) -> Span | None:
    """Where in the file the faulty part of an expression stands; its whole text where that was folded."""
    scalars = [node for node in every_node(root) if node.kind == "scalar" and isinstance(node.value, str)]
    holding = [node for node in scalars if error.source and error.source in str(node.value)]
    for node in sorted(holding, key=lambda node: str(node.value) != error.source):
        offset = file.raw(node.span).find(error.source)
        if offset < 0:
            return node.span
        start = node.span.start + offset + error.column
        return Span(min(start, node.span.end), min(start + 1, node.span.end), file.path)
    entries = (entry for node in every_node(root) for entry in node.entries)
    return next((entry.key_span for entry in entries if entry.key == error.source), None)
