"""Where the tables, keys and values of a TOML text stand; what the values are, and whether it is TOML, tomllib says."""

from __future__ import annotations

import re
from typing import Literal

from vramlint.dataclass import dataclass, field
from vramlint.source.limits import MOST_DEPTH, Meter
from vramlint.source.positions import Span

BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\r\n]*)*")
SPACE = re.compile(r"[ \t]*")
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
BASIC = re.compile(r'"(?:[^"\\\r\n]+|\\.)*"')
LITERAL = re.compile(r"'[^'\r\n]*'")
LONG_BASIC = re.compile(r'"""(?:[^\\]|\\.)*?"""(?!")', re.DOTALL)
LONG_LITERAL = re.compile(r"'''.*?'''(?!')", re.DOTALL)
WORD = re.compile(r"[^\s,\]}#\"'\[{]+(?: \d[^\s,\]}#]*)?")
VALUES = ((LONG_BASIC, "long"), (LONG_LITERAL, "long"), (BASIC, "double"), (LITERAL, "single"), (WORD, "plain"))
PLAIN_ESCAPES = re.compile(r"\\u([0-9a-fA-F]{4})|\\U([0-9a-fA-F]{8})|\\(.)")
ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}

Key = tuple[str, Span]


class Irregular(Exception):  # noqa: N818 (no error yet: tomllib words it)
    """Text at this offset that is no TOML to this scanner."""


@dataclass(slots=True)
class Leaf:
    """A scalar: its place, and how it is quoted."""

    span: Span
    style: str


@dataclass(slots=True)
class Array:
    """An array of values, or of tables."""

    span: Span
    items: list[Part]
    style: Literal["flow", "tables"] = "flow"


@dataclass(slots=True)
class Table:
    """A table while it is being filled: its keys may come from several places of the file. `span` is its header."""

    span: Span
    style: Literal["root", "table", "implicit", "dotted", "flow"]
    children: dict[str, Part] = field(default_factory=dict)
    key_spans: dict[str, Span] = field(default_factory=dict)


Part = Leaf | Array | Table


class TomlScanner:
    """One pass over a text."""

    def __init__(self, path: str, text: str, meter: Meter) -> None:
        self._path = path
        self._text = text
        self._meter = meter

    def scan(self, offset: int) -> Table:
        """The root table of the text from `offset` on. Raises `Irregular`, or `SourceError` beyond the limits."""
        text = self._text
        root = current = Table(Span(offset, len(text), self._path), "root")
        offset = _end(BLANK, text, offset)
        while offset < len(text):
            if text.startswith("[", offset):
                current, offset = self._header(root, offset)
            else:
                keys, offset = self._keys(offset)
                offset = self._after(offset, "=")
                value, offset = self._value(_end(SPACE, text, offset), len(keys))
                self._define(current, keys, value)
            offset = _end(BLANK, text, offset)
        return root

    def _after(self, offset: int, character: str) -> int:
        if not self._text.startswith(character, offset):
            raise Irregular(offset)
        return offset + len(character)

    def _header(self, root: Table, start: int) -> tuple[Table, int]:
        array = self._text.startswith("[[", start)
        keys, offset = self._keys(start + (2 if array else 1))
        end = self._after(offset, "]]" if array else "]")
        header = Span(start, end, self._path)
        table = root
        for name, span in keys[:-1]:
            table = self._inside(table, name, span, "implicit")
        name, span = keys[-1]
        if array:
            made = Table(header, "table")
            table.key_spans.setdefault(name, span)
            tables = table.children.setdefault(name, Array(header, [], "tables"))
            if not isinstance(tables, Array):
                raise Irregular(start)
            tables.items.append(made)
            return made, end
        known = table.children.get(name)
        table = self._inside(table, name, span, "table")
        if isinstance(known, Table):
            table.style = "table"
        table.span = header
        return table, end

    def _inside(self, table: Table, name: str, span: Span, style: Literal["table", "implicit", "dotted"]) -> Table:
        """The table `name` in another one, made if it is not there; of an array of tables the last."""
        child = table.children.get(name)
        if child is None:
            child = table.children[name] = Table(span, style)
            table.key_spans[name] = span
        elif style == "table":
            table.key_spans[name] = span
        if isinstance(child, Array) and child.items:
            child = child.items[-1]
        if not isinstance(child, Table):
            raise Irregular(span.start)
        return child

    def _keys(self, offset: int) -> tuple[list[Key], int]:
        """A dotted key, and the offset of what ends it (`=` or `]`)."""
        text = self._text
        keys: list[Key] = []
        while True:
            offset = _end(SPACE, text, offset)
            match = BARE_KEY.match(text, offset) or BASIC.match(text, offset) or LITERAL.match(text, offset)
            if match is None:
                raise Irregular(offset)
            keys.append((_key_name(match[0]), Span(offset, match.end(), self._path)))
            self._meter.node(offset, len(keys))
            offset = _end(SPACE, text, match.end())
            if not text.startswith(".", offset):
                return keys, offset
            offset += 1

    def _define(self, table: Table, keys: list[Key], value: Part) -> None:
        for name, span in keys[:-1]:
            table = self._inside(table, name, span, "dotted")
        name, span = keys[-1]
        if name in table.children:
            raise Irregular(span.start)
        table.key_spans[name] = span
        table.children[name] = value

    def _value(self, offset: int, depth: int) -> tuple[Part, int]:
        self._meter.node(offset, min(depth, MOST_DEPTH + 1))
        if self._text.startswith("[", offset):
            return self._array(offset, depth)
        if self._text.startswith("{", offset):
            return self._inline(offset, depth)
        for pattern, style in VALUES:
            match = pattern.match(self._text, offset)
            if match:
                return Leaf(Span(offset, match.end(), self._path), style), match.end()
        raise Irregular(offset)

    def _array(self, start: int, depth: int) -> tuple[Part, int]:
        items: list[Part] = []
        offset = _end(BLANK, self._text, start + 1)
        while not self._text.startswith("]", offset):
            value, offset = self._value(offset, depth + 1)
            items.append(value)
            offset = self._separated(offset, "]")
        return Array(Span(start, offset + 1, self._path), items), offset + 1

    def _inline(self, start: int, depth: int) -> tuple[Part, int]:
        table = Table(Span(start, start, self._path), "flow")
        offset = _end(BLANK, self._text, start + 1)
        while not self._text.startswith("}", offset):
            keys, offset = self._keys(offset)
            offset = self._after(offset, "=")
            value, offset = self._value(_end(SPACE, self._text, offset), depth + len(keys))
            self._define(table, keys, value)
            offset = self._separated(offset, "}")
        table.span = Span(start, offset + 1, self._path)
        return table, offset + 1

    def _separated(self, offset: int, closing: str) -> int:
        offset = _end(BLANK, self._text, offset)
        if self._text.startswith(",", offset):
            return _end(BLANK, self._text, offset + 1)
        if not self._text.startswith(closing, offset):
            raise Irregular(offset)
        return offset


def _end(pattern: re.Pattern[str], text: str, offset: int) -> int:
    match = pattern.match(text, offset)
    return match.end() if match else offset


def _key_name(written: str) -> str:
    if written[0] == "'":
        return written[1:-1]
    return PLAIN_ESCAPES.sub(_unescaped, written[1:-1]) if written[0] == '"' else written


def _unescaped(match: re.Match[str]) -> str:
    code = match[1] or match[2]
    if code:
        return chr(min(int(code, 16), 0x10FFFF))
    return ESCAPED.get(match[3], match[3])
