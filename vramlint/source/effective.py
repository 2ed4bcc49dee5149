"""The values in force: aliases and merge keys followed, interpolation inside the file resolved, the rest unknown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from vramlint.source.positions import Span
from vramlint.source.tree import Document, Entry, Node, Path, Scalar, SourceFile


class Unknown:
    """The one value `UNKNOWN`: written, but not to be known from this file."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()
WHOLE = re.compile(r"\$\{\s*(\.*[\w./\[\]-]+)\s*\}")
TEMPLATE = re.compile(r"\{\{.*\}\}|\{%.*%\}", re.DOTALL)
MOST_HOPS = 50
MOST_PLAIN = 10_000


@dataclass(frozen=True, slots=True)
class Resolved:
    """A value in force. For a map or seq `value` is None and `node` holds it.

    `via` is where it is used when that is elsewhere than where it is written (the alias or the merge key); `why` says
    why it is `UNKNOWN`.
    """

    value: Scalar | Unknown
    node: Node
    via: Span | None = None
    why: str | None = None


class Effective:
    """Look-ups by path in one document."""

    def __init__(self, file: SourceFile, document: Document) -> None:
        self.file = file
        self.root = document.root
        self._interpolates = file.format != "python"
        self._entries_of: dict[int, dict[str, tuple[Entry, Span | None]]] = {}

    def get(self, path: Path) -> Resolved | None:
        """What stands at `path`, or None if nothing does."""
        return self._at(path, 0)

    def keys(self, path: Path = ()) -> list[str]:
        """The keys of the mapping at `path`, merged ones included, in order; none where it is no mapping."""
        found = self.get(path)
        return list(self.entries(found.node)) if found else []

    def entries(self, node: Node) -> dict[str, tuple[Entry, Span | None]]:
        """A mapping's entries by key, the last of duplicates, explicit ones before merged ones, with the place of the merge."""
        known = self._entries_of.get(id(node))
        if known is not None:
            return known
        merged: dict[str, tuple[Entry, Span | None]] = {}
        self._entries_of[id(node)] = merged
        own: dict[str, tuple[Entry, Span | None]] = {}
        for entry in node.entries:
            if entry.key == "<<" and self.file.format == "yaml":
                for source in self._merged(entry.value):
                    for key, (inherited, _) in self.entries(source).items():
                        merged.setdefault(key, (inherited, entry.key_span))
            else:
                own[entry.key] = (entry, None)
        merged |= own
        return merged

    def plain(self, node: Node) -> object:
        """The node as Python data, unknown scalars as `UNKNOWN`; at most some thousand values, the rest is cut off."""
        return self._plain(node, [MOST_PLAIN], 0)

    def scalar(self, node: Node) -> Resolved:
        """A scalar, alias or opaque node as a value in force."""
        return self._resolved(node, None, 0)

    def _plain(self, node: Node, left: list[int], depth: int) -> object:
        left[0] -= 1
        if left[0] < 0 or depth > MOST_HOPS:
            return UNKNOWN
        found = self._resolved(node, None, 0)
        if found.node.kind == "map":
            return {key: self._plain(e.value, left, depth + 1) for key, (e, _) in self.entries(found.node).items()}
        if found.node.kind == "seq":
            return [self._plain(item, left, depth + 1) for item in found.node.items]
        return found.value

    def _merged(self, node: Node) -> list[Node]:
        target = _followed(node)
        if target.kind == "seq":
            return [_followed(item) for item in target.items if _followed(item).kind == "map"]
        return [target] if target.kind == "map" else []

    def _at(self, path: Path, hops: int) -> Resolved | None:
        node, via = self.root, None
        for step in path:
            here = self._resolved(node, via, hops)
            node, via = here.node, here.via
            if isinstance(step, str):
                found = self.entries(node).get(step) if node.kind == "map" else None
                if found is None:
                    return None
                node, via = found[0].value, found[1] or via
            elif node.kind != "seq" or not 0 <= step < len(node.items):
                return None
            else:
                node = node.items[step]
        return self._resolved(node, via, hops, path)

    def _resolved(self, node: Node, via: Span | None, hops: int, path: Path = ()) -> Resolved:
        if node.kind == "alias":
            target = _followed(node)
            return self._resolved(target, via or node.span, hops, path)
        if node.kind == "opaque":
            return Resolved(UNKNOWN, node, via, node.why)
        if node.kind == "scalar" and self._interpolates and isinstance(node.value, str):
            return self._interpolated(node, node.value, via, hops, path)
        return Resolved(node.value, node, via)

    def _interpolated(self, node: Node, text: str, via: Span | None, hops: int, path: Path) -> Resolved:
        if "${" not in text:
            if text.startswith("{{") and TEMPLATE.fullmatch(text):
                return Resolved(UNKNOWN, node, via, f"{text[:60]} is filled in by a template")
            return Resolved(text, node, via)
        whole = WHOLE.fullmatch(text.strip())
        if whole is None or hops > MOST_HOPS:
            return Resolved(UNKNOWN, node, via, f"{text[:60]} is not known from this file")
        name = whole[1]
        up = len(name) - len(name.lstrip("."))
        steps = tuple(part for part in re.split(r"[.\[\]]+", name[up:]) if part)
        base = path[: len(path) - up] if up else ()
        target = self._at((*base, *(int(s) if s.isdigit() else s for s in steps)), hops + 1)
        if target is None:
            return Resolved(UNKNOWN, node, via, f"{text[:60]} is not defined in this file")
        return Resolved(target.value, target.node, via or node.span, target.why)


def effective(file: SourceFile, document: Document) -> Effective:
    """The document's values in force."""
    return Effective(file, document)


def _followed(node: Node) -> Node:
    hops = 0
    while node.kind == "alias" and node.referent is not None and hops < MOST_HOPS:
        node, hops = node.referent, hops + 1
    return node
