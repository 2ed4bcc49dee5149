"""The values in force: aliases and merge keys followed, interpolation inside the file resolved, the rest unknown."""

from __future__ import annotations

import re
from typing import Final

from vramlint.dataclass import dataclass, replace
from vramlint.source.positions import Span
from vramlint.source.tree import Document, Entry, Node, Path, Scalar, SourceFile


class Unknown:
    """The one value `UNKNOWN`: written, but not to be known from this file."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()
REFERENCE = re.compile(r"\$\{\s*(\.*)([\w-]+(?:\.[\w-]+|\[[\w-]+\])*)\s*\}")
STEP = re.compile(r"[\w-]+")
MOST_HOPS = 50
MOST_REFERRED = 10_000
MOST_PLAIN = 10_000
MOST_TEXT = 4_000


@dataclass(frozen=True, slots=True)
class Resolved:
    """A value in force. For a map or seq `value` is None and `node` holds it.

    `via` is where it is used when that is elsewhere than where it is written (the alias or the merge key); `why` says
    why it is `UNKNOWN`. `path` is where it stands: another than was asked for where an interpolation led there.
    """

    value: Scalar | Unknown
    node: Node
    via: Span | None = None
    why: str | None = None
    path: Path = ()

    @property
    def via_span(self) -> Span | None:
        """The place of use, if it is not the place of writing."""
        return self.via


class Effective:
    """Look-ups by path in one document.

    `${a.b}`, `${a[0]}` and the relative `${.x}` (a sibling), `${..x}` (one level up) are followed where they are the
    whole scalar, and in a text (`/data/${name}`), as OmegaConf does; its resolvers (`${oc.env:…}`) and Jinja are unknown.
    """

    def __init__(self, file: SourceFile, document: Document) -> None:
        self.file = file
        self.root = document.root
        self._python = file.format == "python"
        self._known: dict[Path, Resolved | None] = {}
        self._open: set[Path] = set()
        self._entries_of: dict[int, dict[str, tuple[Entry, Span | None]]] = {}
        self._referred = 0

    def get(self, path: Path) -> Resolved | None:
        """What stands at `path`, or None if nothing does."""
        if path not in self._known:
            self._known[path] = self._found(path)
        return self._known[path]

    def keys(self, path: Path = ()) -> list[str]:
        """The keys of the mapping at `path`, merged ones included, in order; none where it is no mapping."""
        found = self.get(path)
        return list(self.entries(found.node)) if found else []

    def entries(self, node: Node) -> dict[str, tuple[Entry, Span | None]]:
        """A mapping's entries by key, with the place of the merge that brought them, as its format merges.

        YAML: own keys win, then the first of several merged mappings. Python: what comes last. Duplicates: the last.
        """
        known = self._entries_of.get(id(node))
        if known is not None:
            return known
        own: dict[str, tuple[Entry, Span | None]] = {}
        merged: dict[str, tuple[Entry, Span | None]] = {}
        for entry in node.entries:
            if not entry.merge:
                own[entry.key] = (entry, None)
                continue
            via = entry.value.span
            for source in self._sources(entry.value):
                for key, (inherited, _) in self.entries(source).items():
                    if self._python:
                        own[key] = (inherited, via)
                    else:
                        merged.setdefault(key, (inherited, via))
        self._entries_of[id(node)] = own | {key: found for key, found in merged.items() if key not in own}
        return self._entries_of[id(node)]

    def plain(self, at: Path | Node) -> object:
        """The data at a path (or of a node); what is unknown, or beyond some thousand values, is `UNKNOWN`."""
        found = self.scalar(at) if isinstance(at, Node) else self.get(at)
        left = [MOST_PLAIN]
        return UNKNOWN if found is None else self._plain(found, left, 0)

    def scalar(self, node: Node) -> Resolved:
        """A node of this document as a value in force; `get` is quicker where the path is known."""
        text = node.value
        path = self._path_of(node) if isinstance(text, str) and "${." in text.replace(" ", "") else ()
        return self._resolved(node, None, path)

    def _path_of(self, node: Node) -> Path:
        """Where a node stands in the document, for references that count from there."""
        pending: list[tuple[Node, Path]] = [(self.root, ())]
        while pending:
            here, path = pending.pop()
            if here is node:
                return path
            pending += [(entry.value, (*path, entry.key)) for entry in here.entries]
            pending += [(item, (*path, index)) for index, item in enumerate(here.items)]
        return ()

    def _plain(self, found: Resolved, left: list[int], depth: int) -> object:
        left[0] -= 1
        if left[0] < 0 or depth > MOST_HOPS * 2:
            return UNKNOWN
        node = found.node
        if found.value is UNKNOWN or node.kind not in ("map", "seq"):
            return found.value
        if node.kind == "map":
            return {
                key: self._plain(self._resolved(entry.value, via, (*found.path, key)), left, depth + 1)
                for key, (entry, via) in self.entries(node).items()
            }
        return [
            self._plain(self._resolved(item, None, (*found.path, index)), left, depth + 1)
            for index, item in enumerate(node.items)
        ]

    def _sources(self, node: Node) -> list[Node]:
        target = _followed(node)
        sources = [_followed(item) for item in target.items] if target.kind == "seq" else [target]
        return [source for source in sources if source.kind == "map"]

    def _found(self, path: Path) -> Resolved | None:
        if not path:
            return self._resolved(self.root, None, ())
        parent = self.get(path[:-1])
        if parent is None:
            return None
        if parent.value is UNKNOWN:
            return replace(parent, path=(*parent.path, path[-1])) if parent.why else None
        node, step = parent.node, path[-1]
        if isinstance(step, str):
            found = self.entries(node).get(step) if node.kind == "map" else None
            if found is None:
                return None
            return self._resolved(found[0].value, found[1] or parent.via, (*parent.path, step))
        if node.kind != "seq" or not 0 <= step < len(node.items):
            return None
        return self._resolved(node.items[step], parent.via, (*parent.path, step))

    def _resolved(self, node: Node, via: Span | None, path: Path) -> Resolved:
        if node.kind == "alias":
            return self._resolved(_followed(node), via or node.span, path)
        if node.kind == "opaque":
            return Resolved(UNKNOWN, node, via, node.why, path)
        if isinstance(node.value, str) and not self._python and ("{" in node.value):
            return self._interpolated(node, node.value, via, path)
        return Resolved(node.value, node, via, None, path)

    def _interpolated(self, node: Node, text: str, via: Span | None, path: Path) -> Resolved:
        """A text that may refer to another value of the file, or to something outside it."""
        def unknown(why: str) -> Resolved:
            return Resolved(UNKNOWN, node, via, f"{text[:60]} {why}", path)

        if "${" not in text:
            if "{%" in text or "{{" in text:
                return unknown("is filled in by a template")
            return Resolved(text, node, via, None, path)
        reference = REFERENCE.fullmatch(text.strip())
        if reference is None:
            joined = self._joined(text, path)
            return Resolved(joined, node, via, None, path) if joined is not None else unknown("is not known from this file")
        if path in self._open:
            return unknown("refers to itself")
        if len(self._open) > MOST_HOPS:
            return unknown("leads through too many references")
        up = len(reference[1])
        if up > len(path):
            return unknown("leads out of the file")
        steps: Path = tuple(STEP.findall(reference[2]))
        self._open.add(path)
        try:
            target = self._referent((*path[: len(path) - up], *steps) if up else steps)
        finally:
            self._open.discard(path)
        if target is None:
            return unknown("is not defined in this file")
        if target.value is UNKNOWN:
            return Resolved(UNKNOWN, node, via, target.why, path)
        self._referred += target.node.kind in ("map", "seq")
        if self._referred > MOST_REFERRED:
            return unknown("is one reference too many")
        return replace(target, via=via or node.span)

    def _joined(self, text: str, path: Path) -> str | None:
        """A text with each `${a.b}` in it replaced by the scalar that it stands for; None where one is not to be known."""
        if path in self._open or len(self._open) > MOST_HOPS or len(text) > MOST_TEXT:
            return None
        if "$" in REFERENCE.sub("", text) or "\\" in text:  # a resolver, a nested reference, an escape
            return None
        parts: list[str] = []
        self._open.add(path)
        try:
            start = 0
            for match in REFERENCE.finditer(text):
                up, steps = len(match[1]), tuple(STEP.findall(match[2]))
                target = self._referent((*path[: len(path) - up], *steps) if up else steps) if up <= len(path) else None
                self._referred += 1
                if target is None or isinstance(target.value, Unknown | bool | None) or self._referred > MOST_REFERRED:
                    return None
                parts += [text[start : match.start()], str(target.value)[:MOST_TEXT]]
                start = match.end()
        finally:
            self._open.discard(path)
        return "".join([*parts, text[start:]])[:MOST_TEXT]

    def _referent(self, path: Path) -> Resolved | None:
        """The value at a path whose numbers may be list indices."""
        place: Path = ()
        for step in path:
            here = self.get(place)
            index = here is not None and here.node.kind == "seq" and isinstance(step, str) and step.isdecimal()
            place = (*place, int(step) if index else step)
        return self.get(place)


def effective(file: SourceFile, document: Document) -> Effective:
    """The document's values in force."""
    return Effective(file, document)


def _followed(node: Node) -> Node:
    hops = 0
    while node.kind == "alias" and node.referent is not None and hops < MOST_HOPS:
        node, hops = node.referent, hops + 1
    return node
