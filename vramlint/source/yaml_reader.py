"""YAML text → tree, from PyYAML's events: they have the exact place of every scalar, key and alias."""

from __future__ import annotations

import re
from typing import Any

import yaml

from vramlint.source.limits import Meter
from vramlint.source.positions import Span
from vramlint.source.tree import Document, Duplicate, Entry, Node, Scalar, SourceError

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PROPERTIES = re.compile(r"(?:[&!][^\s,\[\]{}]*[ \t\r\n]+)+|[&!][^\s,\[\]{}]*$")
RESOLVERS = yaml.SafeLoader.yaml_implicit_resolvers
NUMBER_CONSTRUCTOR = yaml.constructor.SafeConstructor()
BOOLEANS = yaml.constructor.SafeConstructor.bool_values


class _Frame:
    """A collection whose end has not been seen."""

    __slots__ = ("entries", "event", "items", "key", "keys")

    def __init__(self, event: Any) -> None:
        self.event = event
        self.entries: list[Entry] | None = [] if isinstance(event, yaml.MappingStartEvent) else None
        self.items: list[Node] = []
        self.key: Node | None = None
        self.keys: dict[str, Span] = {}


class YamlReader:
    """Builds the documents of one text. `base` is where the body begins in the file's text (1 behind a BOM)."""

    def __init__(self, path: str, text: str, loader: Any = LOADER) -> None:
        self._path = path
        self._base = 1 if text.startswith("\ufeff") else 0
        self._body = text[self._base :]
        self._loader = loader
        self._meter = Meter(path)
        self.duplicates: list[Duplicate] = []

    def read(self) -> tuple[Document, ...]:
        """All documents. Raises `SourceError` for text that is no YAML."""
        documents: list[Document] = []
        stack: list[_Frame] = []
        anchors: dict[str, Node] = {}
        root: Node | None = None
        try:
            for event in yaml.parse(self._body, Loader=self._loader):
                if isinstance(event, yaml.DocumentStartEvent):
                    anchors, root = {}, None
                elif isinstance(event, yaml.DocumentEndEvent):
                    if root is not None:
                        documents.append(Document(root, len(documents), anchors))
                elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                    self._meter.node(event.start_mark.index + self._base, len(stack))
                    stack.append(_Frame(event))
                elif isinstance(event, (yaml.NodeEvent, yaml.CollectionEndEvent)):
                    node = self._closed(stack.pop(), event) if isinstance(event, yaml.CollectionEndEvent) else (
                        self._leaf(event, anchors, len(stack))
                    )
                    if node.anchor:
                        anchors[node.anchor] = node
                    if stack:
                        self._place(stack[-1], node, len(documents))
                    else:
                        root = node
        except yaml.YAMLError as error:
            raise self._error(error) from None
        return tuple(documents)

    def _span(self, start: int, end: int) -> Span:
        return Span(start + self._base, end + self._base, self._path)

    def _leaf(self, event: Any, anchors: dict[str, Node], depth: int) -> Node:
        start, end = event.start_mark.index, event.end_mark.index
        self._meter.node(start + self._base, depth)
        if isinstance(event, yaml.AliasEvent):
            referent = anchors.get(event.anchor)
            if referent is None:
                raise SourceError(
                    "syntax", f"alias *{event.anchor} has no anchor &{event.anchor} before it", self._path,
                    self._span(start, end), "define the anchor above its first use",
                )
            return Node(
                "alias", self._span(start, end), target=event.anchor, referent=referent,
                locked=f"the value is inherited from &{event.anchor}",
            )
        if event.anchor or event.tag:
            properties = PROPERTIES.match(self._body, start, end)
            start = properties.end() if properties else start
        written = self._body[start:end]
        locked = None
        if event.tag:
            locked = "the value has a tag"
        elif event.style in ("|", ">"):
            locked = "the value is a block scalar"
        elif "\n" in written or "\r" in written:
            locked = "the value spans several lines"
        elif event.anchor and not written:
            locked = "the value is empty behind an anchor"
        value: Scalar = typed(event.value) if not event.style and not event.tag else event.value
        if event.tag and event.tag.startswith("tag:yaml.org,2002:"):
            value = _tagged(event.tag, event.value)
        return Node("scalar", self._span(start, end), value, event.style or "plain", anchor=event.anchor, locked=locked)

    def _closed(self, frame: _Frame, event: Any) -> Node:
        opened = frame.event
        flow = bool(opened.flow_style)
        children = [e.value for e in frame.entries] if frame.entries is not None else frame.items
        start, end = opened.start_mark.index, event.end_mark.index
        if not flow and children:
            # A block collection's end mark is at the next token, behind comments that are not its own.
            end = children[-1].span.end - self._base
        return Node(
            "seq" if frame.entries is None else "map",
            self._span(start, end),
            style="flow" if flow else "block",
            entries=tuple(frame.entries or ()),
            items=tuple(frame.items),
            anchor=opened.anchor,
        )

    def _place(self, frame: _Frame, node: Node, document: int) -> None:
        if frame.entries is None:
            frame.items.append(node)
        elif frame.key is None:
            frame.key = node
        else:
            key, frame.key = frame.key, None
            name = self._body[key.span.start - self._base : key.span.end - self._base]
            if key.kind == "scalar" and key.style != "plain":
                name = str(key.value)
            if name in frame.keys and name != "<<":
                self.duplicates.append(Duplicate(name, frame.keys[name], key.span, document))
            frame.keys[name] = key.span
            frame.entries.append(Entry(name, key.span, node))

    def _error(self, error: yaml.YAMLError) -> SourceError:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        offset = mark.index if mark is not None else getattr(error, "position", 0)
        offset = min(max(int(offset), 0), len(self._body))
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        return SourceError(
            "syntax", f"not valid YAML: {problem}", self._path, self._span(offset, min(offset + 1, len(self._body))),
        )


def typed(text: str) -> Scalar:
    """A plain scalar as PyYAML (YAML 1.1) reads it; dates stay text."""
    if not text:
        return None
    for tag, pattern in RESOLVERS.get(text[0], ()):
        if pattern.match(text):
            return _tagged(tag, text)
    return text


def _tagged(tag: str, text: str) -> Scalar:
    kind = tag.rpartition(":")[2]
    try:
        if kind == "bool":
            return BOOLEANS[text.lower()]
        if kind == "null":
            return None
        if kind in ("int", "float"):
            node = yaml.ScalarNode(tag, text)
            value: Scalar = getattr(NUMBER_CONSTRUCTOR, f"construct_yaml_{kind}")(node)
            return value
    except (KeyError, ValueError, ArithmeticError):
        return text
    return text
