"""TOML text → tree, by an own scanner for the places; its values are held against tomllib's."""

from __future__ import annotations

import re
import sys
from typing import Any

from vramlint.source.limits import Meter
from vramlint.source.positions import LineIndex, Span
from vramlint.source.tree import Document, Entry, Node, Scalar, SourceError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\r\n]*)*")
SPACE = re.compile(r"[ \t]*")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
BASIC = re.compile(r'"(?:[^"\\\r\n]|\\.)*"')
LITERAL = re.compile(r"'[^'\r\n]*'")
LONG_BASIC = re.compile(r'"""(?:[^\\]|\\.)*?"""(?!")', re.DOTALL)
LONG_LITERAL = re.compile(r"'''.*?'''(?!')", re.DOTALL)
WORD = re.compile(r"[^\s,\]}#]+(?: \d[^\s,\]}#]*)?")


class _Table:
    """A table while it is being filled: its entries come from several places of the file."""

    __slots__ = ("children", "key_spans", "last_array", "span", "style")

    def __init__(self, span: Span, style: str) -> None:
        self.span = span
        self.style = style
        self.children: dict[str, Node | _Table | list[_Table]] = {}
        self.key_spans: dict[str, Span] = {}


class TomlReader:
    """Reads the one document of a TOML file."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text
        self._meter = Meter(path)

    def read(self) -> tuple[Document, ...]:
        """The document. Raises `SourceError` for text that is no TOML."""
        body = self._text.removeprefix("\ufeff")
        try:
            expected = tomllib.loads(body.replace("\r\n", "\n"))
        except (tomllib.TOMLDecodeError, ValueError) as error:
            raise self._error(str(error)) from None
        try:
            root = self._scan(len(self._text) - len(body))
        except (LookupError, AttributeError, TypeError, ValueError):
            raise SourceError("syntax", "the positions in this TOML could not be established", self._path, None) from None
        node = self._frozen(root, 0)
        if _plain(node) != _comparable(expected):
            raise SourceError("syntax", "the positions in this TOML could not be established", self._path, None)
        return (Document(node, 0, {}),)

    def _error(self, message: str) -> SourceError:
        place = re.search(r"\(at line (\d+), column (\d+)\)", message)
        offset = len(self._text)
        if place:
            lines = LineIndex(self._text)
            offset = lines.line_start(min(int(place[1]), lines.line_count)) + int(place[2]) - 1
        offset = min(offset, len(self._text))
        told = re.sub(r" \(at .*\)$", "", message)
        return SourceError(
            "syntax", f"not valid TOML: {told[:1].lower()}{told[1:]}", self._path,
            Span(offset, min(offset + 1, len(self._text)), self._path),
        )

    def _scan(self, offset: int) -> _Table:
        text = self._text
        root = current = _Table(Span(offset, len(text), self._path), "table")
        offset = BLANK.match(text, offset).end()  # type: ignore[union-attr]  # BLANK matches the empty string
        while offset < len(text):
            if text.startswith("[", offset):
                current, offset = self._header(root, offset)
            else:
                keys, offset = self._key(offset)
                offset = SPACE.match(text, offset + 1).end()  # type: ignore[union-attr]
                value, offset = self._value(offset, len(keys))
                self._define(current, keys, value)
            offset = BLANK.match(text, offset).end()  # type: ignore[union-attr]
        return root

    def _header(self, root: _Table, start: int) -> tuple[_Table, int]:
        array = self._text.startswith("[[", start)
        keys, offset = self._key(start + (2 if array else 1))
        end = offset + (2 if array else 1)
        table = root
        for name, span in keys[:-1]:
            table.key_spans.setdefault(name, span)
            child = table.children.setdefault(name, _Table(span, "table"))
            table = child[-1] if isinstance(child, list) else child  # type: ignore[assignment]
        name, span = keys[-1]
        whole = Span(start, end, self._path)
        table.key_spans.setdefault(name, span)
        if array:
            made = _Table(whole, "table")
            table.children.setdefault(name, []).append(made)  # type: ignore[union-attr]
            return made, end
        child = table.children.setdefault(name, _Table(whole, "table"))
        if isinstance(child, _Table):
            child.span = whole
            table.key_spans[name] = span
        return child[-1] if isinstance(child, list) else child, end  # type: ignore[return-value]

    def _key(self, offset: int) -> tuple[list[tuple[str, Span]], int]:
        """A dotted key and the offset of what ends it (`=` or `]`)."""
        text, keys = self._text, list[tuple[str, Span]]()
        while True:
            offset = SPACE.match(text, offset).end()  # type: ignore[union-attr]
            match = BARE_KEY.match(text, offset) or BASIC.match(text, offset) or LITERAL.match(text, offset)
            written = match[0]  # type: ignore[index]
            name = written if written[0] not in "\"'" else str(tomllib.loads(f"k = {written}")["k"])
            keys.append((name, Span(offset, offset + len(written), self._path)))
            offset = SPACE.match(text, offset + len(written)).end()  # type: ignore[union-attr]
            if text[offset] != ".":
                return keys, offset
            offset += 1

    def _define(self, table: _Table, keys: list[tuple[str, Span]], value: Node) -> None:
        for name, span in keys[:-1]:
            table.key_spans.setdefault(name, span)
            table = table.children.setdefault(name, _Table(span, "dotted"))  # type: ignore[assignment]
        name, span = keys[-1]
        table.key_spans[name] = span
        table.children[name] = value

    def _value(self, offset: int, depth: int) -> tuple[Node, int]:
        self._meter.node(offset, depth)
        text = self._text
        if text[offset] == "[":
            return self._array(offset, depth)
        if text[offset] == "{":
            return self._inline(offset, depth)
        for pattern, style in (
            (LONG_BASIC, "long"), (LONG_LITERAL, "long"), (BASIC, "double"), (LITERAL, "single"), (WORD, "plain"),
        ):
            match = pattern.match(text, offset)
            if match:
                written = match[0]
                span = Span(offset, match.end(), self._path)
                locked = "the value spans several lines" if style == "long" else None
                value: Any = tomllib.loads(f"k = {written}".replace("\r\n", "\n"))["k"]
                if not isinstance(value, str | int | float | bool):
                    value, locked = written, "the value is a date"
                return Node("scalar", span, value, style, locked=locked), match.end()
        raise ValueError(offset)

    def _array(self, start: int, depth: int) -> tuple[Node, int]:
        text, items = self._text, list[Node]()
        offset = BLANK.match(text, start + 1).end()  # type: ignore[union-attr]
        while text[offset] != "]":
            value, offset = self._value(offset, depth + 1)
            items.append(value)
            offset = BLANK.match(text, offset).end()  # type: ignore[union-attr]
            if text[offset] == ",":
                offset = BLANK.match(text, offset + 1).end()  # type: ignore[union-attr]
        return Node("seq", Span(start, offset + 1, self._path), style="flow", items=tuple(items)), offset + 1

    def _inline(self, start: int, depth: int) -> tuple[Node, int]:
        text = self._text
        table = _Table(Span(start, start, self._path), "inline")
        offset = BLANK.match(text, start + 1).end()  # type: ignore[union-attr]
        while text[offset] != "}":
            keys, offset = self._key(offset)
            offset = BLANK.match(text, offset + 1).end()  # type: ignore[union-attr]
            value, offset = self._value(offset, depth + 1)
            self._define(table, keys, value)
            offset = BLANK.match(text, offset).end()  # type: ignore[union-attr]
            if text[offset] == ",":
                offset = BLANK.match(text, offset + 1).end()  # type: ignore[union-attr]
        table.span = Span(start, offset + 1, self._path)
        return self._frozen(table, depth), offset + 1

    def _frozen(self, table: _Table, depth: int) -> Node:
        self._meter.node(table.span.start, depth)
        entries = []
        for name, child in table.children.items():
            span = table.key_spans[name]
            if isinstance(child, list):
                items = tuple(self._frozen(part, depth + 1) for part in child)
                child = Node("seq", items[0].span, style="tables", items=items)
            elif isinstance(child, _Table):
                child = self._frozen(child, depth + 1)
            entries.append(Entry(name, span, child))
        style = {"inline": "flow"}.get(table.style, table.style)
        return Node("map", table.span, style=style, entries=tuple(entries))


def _plain(node: Node) -> Any:
    if node.kind == "map":
        return {entry.key: _plain(entry.value) for entry in node.entries}
    if node.kind == "seq":
        return [_plain(item) for item in node.items]
    return _comparable(node.value) if node.locked != "the value is a date" else "date"


def _comparable(value: Any) -> Any:
    """Data in which equal means the same value of the same type, NaN included, dates by being dates."""
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, str | int | float | bool):
        return _typed(value)
    return "date"


def _typed(value: Scalar) -> tuple[str, str]:
    return type(value).__name__, repr(value)
