"""YAML text → tree, from PyYAML's events: they have the exact place of every scalar, key and alias."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import yaml

from vramlint.source.limits import Meter
from vramlint.source.positions import Span
from vramlint.source.tree import Document, Duplicate, Entry, Node, Scalar, SourceError
from vramlint.source.yaml_scalars import STANDARD, Untyped, plain, typed

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PROPERTIES = re.compile(
    r"(?:(?:&[^\s,\[\]{}]+|!<[^>\s]*>|!\S*)(?:[ \t\r\n\x85\u2028\u2029]+(?:#[^\r\n]*[\r\n]+\s*)*|$))+",
)
BREAKS = re.compile("[\r\n\x85\u2028\u2029]")
UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
STYLES = {None: "plain", "": "plain", "'": "single", '"': "double", "|": "|", ">": ">"}
MERGE = object()
"""What the key `<<` is, when it is written plainly."""

COLLECTION_TAGS = (None, "!", STANDARD + "map", STANDARD + "seq")


class YamlReader:
    """Builds the documents of one text. PyYAML gets the text without a BOM; `base` puts its offsets back."""

    def __init__(self, path: str, text: str, loader: Any = None) -> None:
        self._path = path
        self._base = 1 if text.startswith("\ufeff") else 0
        self._body = text[self._base :]
        self._loader = loader or LOADER
        self._meter = Meter(path)
        self._anchors: dict[str, Node] = {}
        self._weights: dict[str, int] = {}
        self._open_anchors: set[str] = set()
        self._has_question = "?" in text
        self._next: Any = None
        self.duplicates: list[Duplicate] = []

    def read(self) -> tuple[Document, ...]:
        """All documents. Raises `SourceError` (syntax, too-deep, too-large, empty)."""
        documents: list[Document] = []
        try:
            loader = self._loader(self._body)
            self._next = loader.get_event
            while True:
                event = self._next()
                if isinstance(event, yaml.StreamEndEvent):
                    break
                if isinstance(event, yaml.DocumentStartEvent):
                    self._anchors, self._weights = {}, {}
                    root = self._node(self._next(), 0, len(documents))
                    documents.append(Document(root, len(documents), self._anchors))
        except yaml.YAMLError as error:
            raise self._error(error) from None
        except (ValueError, OverflowError) as error:
            # The pure loader passes an impossible escape or version number on to chr() and int().
            raise self._syntax(f"{error}", 0, 0) from None
        if not documents:
            raise SourceError("empty", "the file holds only comments", self._path, None, "is this the right file?")
        return tuple(documents)

    def _span(self, start: int, end: int) -> Span:
        return Span(start + self._base, end + self._base, self._path)

    def _node(self, event: Any, depth: int, document: int) -> Node:
        start = event.start_mark.index
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        anchor = event.anchor
        before = self._meter.expanded
        self._meter.node(start + self._base, depth)
        if anchor:
            if anchor in self._anchors or anchor in self._open_anchors:
                raise self._syntax(f"the anchor &{anchor} is defined a second time", start, event.end_mark.index)
            self._open_anchors.add(anchor)
        if isinstance(event, yaml.ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, yaml.MappingStartEvent):
            node = self._map(event, depth, document)
        else:
            node = self._seq(event, depth, document)
        if anchor:
            self._open_anchors.discard(anchor)
            self._anchors[anchor] = node
            self._weights[anchor] = self._meter.expanded - before
        return node

    def _alias(self, event: Any, depth: int) -> Node:
        name, start, end = event.anchor, event.start_mark.index, event.end_mark.index
        referent = self._anchors.get(name)
        if referent is None:
            if name in self._open_anchors:
                raise self._syntax(f"alias *{name} stands inside its own anchor", start, end, "write the value out")
            hint = "define the anchor above its first use"
            raise self._syntax(f"alias *{name} has no anchor &{name} before it", start, end, hint)
        self._meter.node(start + self._base, depth, self._weights[name])
        return Node(
            "alias", self._span(start, end), target=name, referent=referent,
            locked=f"the value is inherited from &{name}",
        )

    def _scalar(self, event: Any) -> Node:
        start, end = self._behind_properties(event), event.end_mark.index
        if event.style in ("|", ">"):
            # The end mark is at the next line that holds something.
            end = start + len(self._body[start:end].rstrip())
        elif start == end:
            # Between brackets libyaml puts an empty value at the next token, the pure parser behind the colon.
            while start > 0 and self._body[start - 1] in " \t":
                start -= 1
            end = start
        style, tag = STYLES[event.style], event.tag
        written = self._body[start:end]
        locked = why = None
        value: Scalar = event.value
        try:
            if tag is None or (tag == "!" and event.implicit[0]):
                if style == "plain":
                    value, style = plain(event.value)
            else:
                value, _ = typed(tag, event.value)
        except Untyped as error:
            why = str(error)
        if tag is not None:
            locked = "the value has a tag"
        elif style in ("|", ">"):
            locked = "the value is a block scalar"
        elif BREAKS.search(written):
            locked = "the value spans several lines"
        elif event.anchor and not written:
            locked = "the value is empty behind an anchor"
        span, anchor = self._span(start, end), event.anchor
        if why:
            return Node("opaque", span, style=style, anchor=anchor, why=why, locked=locked or why)
        return Node("scalar", span, value, style, anchor=anchor, locked=locked)

    def _behind_properties(self, event: Any) -> int:
        """Where the value itself begins, behind its anchor and tag."""
        start: int = event.start_mark.index
        if event.anchor is None and event.tag is None:
            return start
        end = max(start, event.end_mark.index)
        properties = PROPERTIES.match(self._body, start, end)
        return properties.end() if properties else end

    def _map(self, event: Any, depth: int, document: int) -> Node:
        entries: list[Entry] = []
        seen: dict[object, Span] = {}
        while True:
            opening = self._next()
            if isinstance(opening, yaml.MappingEndEvent):
                return self._closed("map", event, opening, tuple(entries), ())
            name, span, locked, identity = self._key(opening, depth + 1, document)
            value = self._node(self._next(), depth + 1, document)
            entries.append(Entry(name, span, value, identity is MERGE, locked))
            # PyYAML takes `yes` and `on` for one key, and we cannot tell `1` from `"1"`: either way an edit is refused.
            first = seen.setdefault(name, span)
            if identity is not name:
                first = min(first, seen.setdefault((type(identity), identity), span), key=lambda known: known.start)
            if first is not span:
                self.duplicates.append(Duplicate(name, first, span, document))

    def _key(self, event: Any, depth: int, document: int) -> tuple[str, Span, str | None, object]:
        """A key's text, its place, why it must stay, and what it is to PyYAML."""
        if not isinstance(event, yaml.ScalarEvent):
            node = self._node(event, depth, document)
            text = self._body[node.span.start - self._base : node.span.end - self._base]
            return text, node.span, "the key is no plain text", text
        scalar: Any = event
        name, start, end = scalar.value, scalar.start_mark.index, scalar.end_mark.index
        identity: object = name
        locked = None
        if scalar.anchor or scalar.tag is not None:
            node = self._node(scalar, depth, document)
            return name, node.span, "the key is written in an unusual way", name
        self._meter.node(start + self._base, depth)
        span = self._span(start, end)
        if not scalar.style:
            if name == "<<":
                identity = MERGE
            elif not name.isidentifier() or len(name) <= 5:
                with suppress(Untyped):
                    identity = plain(name)[0]
                identity = name if isinstance(identity, str) else identity
            if not name:
                locked = "the key is empty"
        if BREAKS.search(self._body, start, end):
            locked = "the key spans several lines"
        if self._has_question and self._after_question(start):
            locked = "the key stands in an unusual position"
        return name, span, locked, identity

    def _after_question(self, offset: int) -> bool:
        """Behind `? `, as in `? key`: the value may then stand on a line of its own."""
        mark = offset
        while mark > 0 and self._body[mark - 1] in " \t\r\n":
            mark -= 1
        if mark == 0 or self._body[mark - 1] != "?":
            return False
        line = max(self._body.rfind("\n", 0, mark), self._body.rfind("\r", 0, mark)) + 1
        return not BREAKS.search(self._body, mark, offset) or not self._body[line : mark - 1].strip(" -")

    def _seq(self, event: Any, depth: int, document: int) -> Node:
        items: list[Node] = []
        while True:
            opening = self._next()
            if isinstance(opening, yaml.SequenceEndEvent):
                return self._closed("seq", event, opening, (), tuple(items))
            items.append(self._node(opening, depth + 1, document))

    def _closed(self, kind: Any, event: Any, ending: Any, entries: tuple[Entry, ...], items: tuple[Node, ...]) -> Node:
        start, end = self._behind_properties(event), ending.end_mark.index
        style, locked = "flow" if event.flow_style else "block", None
        if not event.flow_style:
            # A block collection's end mark is at the next token, behind comments that are not its own.
            last = entries[-1].value if entries else items[-1] if items else None
            end = last.span.end - self._base if last else start
        elif self._body[start : start + 1] not in "{[":
            style, locked = "pair", "the key stands in an unusual position"
        if event.tag is not None:
            locked = "the value has a tag"
        if event.tag not in COLLECTION_TAGS:
            return Node("opaque", self._span(start, max(start, end)), style=style, anchor=event.anchor, locked=locked,
                        why=f"a value of the YAML type {event.tag.removeprefix(STANDARD)[:40]}")
        return Node(kind, self._span(start, max(start, end)), style=style, entries=entries, items=items,
                    anchor=event.anchor, locked=locked)

    def _syntax(self, message: str, start: int, end: int, hint: str | None = None) -> SourceError:
        return SourceError("syntax", f"not valid YAML: {message}", self._path, self._span(start, end), hint)

    def _error(self, error: yaml.YAMLError) -> SourceError:
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        if mark is None:
            # A reader error counts bytes or code points, depending on the loader.
            found = UNPRINTABLE.search(self._body)
            offset, problem = (found.start(), "a control character") if found else (0, problem)
        else:
            offset = min(max(int(mark.index), 0), len(self._body))
        if "maximum nesting depth" in problem:  # libyaml 0.2.6 has a limit of its own, a thousand, and scans ahead
            return self._meter.too_deep(offset + self._base)
        line_start = max(self._body.rfind("\n", 0, offset), self._body.rfind("\r", 0, offset)) + 1
        indent = self._body[line_start : offset + 1]
        hint = None
        if "\t" in indent and not indent.strip():
            hint = "indent with spaces; YAML takes no tabs there"
        elif "quoted scalar" in f"{getattr(error, 'context', '')}":
            hint = "is a closing quote missing?"
        return self._syntax(problem, offset, min(offset + 1, len(self._body)), hint)
