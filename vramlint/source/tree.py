"""One small tree for every format: values with the places they were written at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vramlint.source.positions import LineIndex, Span

Scalar = str | int | float | bool | None
Format = Literal["yaml", "toml", "json", "python"]
Path = tuple[str | int, ...]
"""Keys and indices from the root of a document."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping with its value."""

    key: str
    key_span: Span
    value: Node


@dataclass(frozen=True, slots=True)
class Node:
    """A value as written.

    `scalar`: `value` holds it as its format reads it. `map`: `entries`. `seq`: `items`. `alias`: `target` names the
    anchor; it is never expanded here. `opaque`: an expression that cannot be folded to a value; `why` says what it is.
    `locked` says why the text of this node must not be edited (block scalar, tag, folded expression …), else None.
    `referent` is what stands behind it elsewhere: the anchored node of an alias, the literal of a Python constant.
    """

    kind: Literal["scalar", "map", "seq", "alias", "opaque"]
    span: Span
    value: Scalar = None
    style: str = ""
    entries: tuple[Entry, ...] = ()
    items: tuple[Node, ...] = ()
    anchor: str | None = None
    target: str | None = None
    why: str | None = None
    locked: str | None = None
    referent: Node | None = None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A key that stands twice in one mapping; the last one counts."""

    key: str
    first: Span
    second: Span
    document: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: its root and, for aliases, the nodes that carry anchors."""

    root: Node
    index: int
    anchors: dict[str, Node]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as read: its text, and one tree per document in it (YAML may hold several, the others one)."""

    path: str
    text: str
    format: Format
    documents: tuple[Document, ...]
    lines: LineIndex
    duplicates: tuple[Duplicate, ...] = ()


class SourceError(Exception):
    """A file that cannot be read as what it claims to be; `span` is where, `hint` what to do."""

    def __init__(self, kind: str, message: str, path: str, span: Span | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.path = path
        self.span = span
        self.hint = hint
