"""One walk over a document beside its schema: which canonical keys stand where, and which keys the schema lacks."""

from __future__ import annotations

import re
from typing import Any

from vramlint.dataclass import dataclass, field
from vramlint.dialects.tables import ABOUT, Json, Tables
from vramlint.source import UNKNOWN, Document, Effective, Entry, Node, Path, Resolved, SourceFile, Span

MOST_DEPTH = 12
REPEATED = re.compile(r"#\d+$")


@dataclass(frozen=True, slots=True)
class Written:
    """A canonical key said by the document.

    `value` is the data as written, `UNKNOWN` with `why` where it cannot be known. `about` is the schema's mapping for
    it, `described` the property's whole schema. `implied` says what it follows from where it is not itself written.
    """

    key: str
    value: Any
    path: Path
    entry: Entry
    about: Json
    described: Json
    why: str | None = None
    via: Span | None = None
    implied: str | None = None

    @property
    def rank(self) -> int:
        """Which of several places counts: the least. A name of the past yields to today's."""
        return int(self.about.get("rank", 0)) * 2 + ("renamed" in self.about)


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping of the document that the schema knows: the root, a group, a call."""

    path: Path
    node: Node
    schema: Json
    about: Json
    name: str = ""


@dataclass(frozen=True, slots=True)
class Stray:
    """A key that the schema does not have at this place; `section` is where it stands."""

    path: Path
    entry: Entry
    section: Section


@dataclass(frozen=True, slots=True)
class Reference:
    """A key that names another file, or that holds what such a file would say; `kind` is the schema's `refers`."""

    kind: str
    path: Path
    entry: Entry
    resolved: Resolved


@dataclass(slots=True)
class Findings:
    """What the walk collects. `names` holds every known key by the places that have it."""

    written: list[Written] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    strays: list[Stray] = field(default_factory=list)
    renamed: list[tuple[Path, Entry, Json, Section]] = field(default_factory=list)
    names: dict[str, list[tuple[Path, Entry, Any]]] = field(default_factory=dict)
    references: list[Reference] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reading:
    """One document beside one dialect's tables: its values in force and what the walk over it found."""

    tables: Tables
    file: SourceFile
    document: Document
    values: Effective
    found: Findings

    @property
    def python(self) -> bool:
        """Whether the document is a script: its sections are calls."""
        return self.file.format == "python"


def reading_of(
    tables: Tables, document: Document, values: Effective, skipped: frozenset[str] = frozenset(), at: tuple[str, ...] = (),
) -> Reading:
    """What the document says in the schema's words; `skipped` are keys of the root that do not count.

    `at`: which mapping of the schema the document stands for, where it is not the whole. Raises `KeyError` if there is none.
    """
    found = Findings()
    root = tables.root(values.file.format)
    for key in at:
        inner = tables.property(root, key)
        if inner is None:
            raise KeyError(key)
        root = inner
    section = Section((), values.root, root, tables.resolved(root).get(ABOUT, {}))
    _walk(tables, values, section, found, skipped)
    return Reading(tables, values.file, document, values, found)


def _walk(tables: Tables, effective: Effective, section: Section, found: Findings, skipped: frozenset[str]) -> None:
    found.sections.append(section)
    _imply(section.about.get("sets"), section, found)
    positional = section.about.get("positional", ())
    for key, (entry, merged) in effective.entries(section.node).items():
        if key in skipped:
            continue
        name = positional[int(key)] if key.isdigit() and int(key) < len(positional) else key
        schema = tables.property(section.schema, name)
        path = (*section.path, key)
        if schema is None:
            if not (key.isdigit() and section.node.style == "call"):
                found.strays.append(Stray(path, entry, section))
            continue
        resolved = effective.get(path) or Resolved(UNKNOWN, entry.value, None, "it cannot be followed")
        value = effective.plain(path) if resolved.node.kind == "seq" else resolved.value
        found.names.setdefault(name, []).append((path, entry, value))
        described = tables.resolved(schema)
        about = described.get(ABOUT, {})
        if "renamed" in about:
            found.renamed.append((path, entry, about["renamed"], section))
        _take(tables, effective, found, Place(path, entry, resolved, schema, described, about, merged))


@dataclass(frozen=True, slots=True)
class Place:
    """One entry with what the schema says about it."""

    path: Path
    entry: Entry
    resolved: Resolved
    schema: Json
    described: Json
    about: Json
    merged: Span | None


def _take(tables: Tables, effective: Effective, found: Findings, place: Place) -> None:
    node, about = place.resolved.node, place.about
    if "refers" in about:
        found.references.append(Reference(about["refers"], place.path, place.entry, place.resolved))
    is_null = node.kind == "scalar" and place.resolved.value is None
    if "given" in about and not is_null:
        inner = Section(place.path, node, place.described, about, str(place.path[-1]))
        _imply(about["given"], inner, found, place.entry)
    if node.kind == "map" and ("properties" in place.described or "patternProperties" in place.described):
        # A call that is an argument stands among the calls of the script too, and counts there.
        is_elsewhere = place.entry.value.kind == "alias" and node.style == "call" and node.target != "dict"
        if len(place.path) <= MOST_DEPTH and not is_elsewhere:
            name = REPEATED.sub("", str(place.path[-1]))
            _walk(tables, effective, Section(place.path, node, place.schema, about, name), found, frozenset())
    elif "key" in about:
        is_scalar = node.kind not in ("map", "seq")
        value = place.resolved.value if is_scalar else effective.plain(place.path)
        why = place.resolved.why
        if (elsewhere := said_elsewhere(node)) is not None:
            value, why = UNKNOWN, elsewhere
        found.written.append(Written(
            about["key"], value, place.path, place.entry, about, place.described, why,
            place.resolved.via or place.merged,
        ))


def said_elsewhere(node: Node) -> str | None:
    """Why a Python value that has a name is not to be known: what a call gives, an attribute that is no number type."""
    if node.kind == "map" and node.style == "call" and node.target != "dict":
        return f"it is what the call {node.target or 'of a function'}() gives"
    if node.style == "attribute" and not str(node.value).startswith("torch."):
        return f"it is {node.value}, which is said elsewhere"
    return None


def _imply(sets: Any, section: Section, found: Findings, entry: Entry | None = None) -> None:
    """Canonical keys that follow from the section being there."""
    for key, value in (sets or {}).items():
        place = entry or Entry(section.name, section.node.span, section.node)
        found.written.append(
            Written(key, value, section.path, place, {"key": key, "rank": 1}, {}, implied=f"{section.name} is there"),
        )
