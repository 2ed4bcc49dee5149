"""One small tree for every format: values with the places they were written at."""

from __future__ import annotations

from typing import Literal

from vramlint.dataclass import dataclass
from vramlint.source.positions import LineIndex, Span

Scalar = str | int | float | bool | None
Format = Literal["yaml", "toml", "json", "python"]
Path = tuple[str | int, ...]
"""Keys and indices from the root of a document."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping with its value.

    `merge`: not a key but a source of keys (YAML `<<`, Python `**`); `value` is the mapping, mostly an alias of it.
    `locked` says why the key must not be renamed, deleted or inserted beside, else None.
    """

    key: str
    key_span: Span
    value: Node
    merge: bool = False
    locked: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A value as written.

    `scalar`: `value` holds it as its format reads it. `map`: `entries`; `why` then says that further keys may be there.
    `seq`: `items`. `alias`: stands for `referent`, which is written elsewhere and called `target`; never expanded here.
    `opaque`: an expression that cannot be folded to a value; `why` says what it is.

    `style` of scalars: plain, single, double, `|`, `>`, long (triple quotes), date (`value` is its text), attribute
    (Python: `torch.bfloat16`), name (Python: a constant; `referent` is its literal) and folded (computed from others).
    `style` of maps and seqs: block, flow, pair (YAML `[a: 1]`); root, table, implicit, dotted, tables (TOML); module,
    class, call (Python; `target` is then the qualified name of what is called).
    `locked` says why the text of this node must not be edited (block scalar, tag, folded expression …), else None.
    `rests_on`: the literals that a name or a folded expression takes its value from.
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
    rests_on: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A key that stands twice in one mapping; the last one counts."""

    key: str
    first: Span
    second: Span
    document: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: its root and, for aliases, the nodes that carry anchors (Python: calls, by their key)."""

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

    def raw(self, span: Span) -> str:
        """The text as written there: how `2e-5` was spelt before its format took it for text."""
        return self.text[span.start : span.end]


class SourceError(Exception):
    """A file that cannot be read as what it claims to be; `span` is where, `hint` what to do."""

    def __init__(self, kind: str, message: str, path: str, span: Span | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.path = path
        self.span = span
        self.hint = hint
