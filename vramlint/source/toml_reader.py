"""TOML text → tree: places from the scanner, values from tomllib, and the two held against each other."""

from __future__ import annotations

import re
import sys
from typing import Any

from vramlint.source.limits import Meter
from vramlint.source.positions import LineIndex, Span
from vramlint.source.toml_scanner import Array, Irregular, Leaf, Part, Table, TomlScanner
from vramlint.source.tree import Document, Entry, Node, SourceError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class _Disagreement(Exception):  # noqa: N818 (told to the user as a SourceError)
    """The scanner and tomllib see different data at this offset."""


class TomlReader:
    """Reads the one document of a TOML file."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text

    def read(self) -> tuple[Document, ...]:
        """The document. Raises `SourceError` (syntax, too-deep, too-large)."""
        body = self._text.removeprefix("\ufeff")
        irregular: int | None = None
        root = Table(Span(0, 0, self._path), "root")
        try:
            # First, since it bounds the depth: tomllib recurses as deep as the text nests.
            root = TomlScanner(self._path, self._text, Meter(self._path)).scan(len(self._text) - len(body))
        except Irregular as error:
            irregular = int(str(error))
        try:
            data = tomllib.loads(body)
        except ValueError as error:
            raise self._error(str(error)) from None
        if irregular is not None:
            raise self._unplaced(irregular)
        try:
            return (Document(self._node(root, data), 0, {}),)
        except _Disagreement as error:
            raise self._unplaced(int(str(error))) from None

    def _error(self, message: str) -> SourceError:
        place = PLACE.search(message)
        offset = len(self._text)
        if place and place[1]:
            lines = LineIndex(self._text)
            offset = lines.line_start(min(int(place[1]), lines.line_count)) + int(place[2]) - 1
            offset += place[1] == "1" and self._text.startswith("\ufeff")
        told = PLACE.sub("", message)
        return self._syntax(f"not valid TOML: {told[:1].lower()}{told[1:]}", offset)

    def _unplaced(self, offset: int) -> SourceError:
        return self._syntax("this spelling of TOML cannot be placed", offset, "write it in a simpler way")

    def _syntax(self, message: str, offset: int, hint: str | None = None) -> SourceError:
        offset = min(offset, len(self._text))
        end = min(offset + 1, len(self._text))
        return SourceError("syntax", message, self._path, Span(offset, end, self._path), hint)

    def _node(self, part: Part, data: Any) -> Node:
        """The scanned part with tomllib's values in it. Raises `_Disagreement`."""
        if isinstance(part, Leaf):
            return self._leaf(part, data)
        if isinstance(part, Array):
            if not isinstance(data, list) or len(data) != len(part.items):
                raise _Disagreement(part.span.start)
            items = tuple(self._node(item, value) for item, value in zip(part.items, data, strict=True))
            return Node("seq", part.span, style=part.style, items=items)
        if not isinstance(data, dict) or data.keys() != part.children.keys():
            raise _Disagreement(part.span.start)
        entries = tuple(
            Entry(name, part.key_spans[name], self._node(child, data[name])) for name, child in part.children.items()
        )
        return Node("map", part.span, style=part.style, entries=entries)

    def _leaf(self, leaf: Leaf, data: Any) -> Node:
        span, style = leaf.span, leaf.style
        written = self._text[span.start : span.end]
        if style == "plain" and not isinstance(data, str | int | float | bool | dict | list):
            return Node("scalar", span, written, "date")
        if not _agree(written, style, data):
            raise _Disagreement(span.start)
        long = style == "long" or "\n" in written
        return Node("scalar", span, data, style, locked="the value spans several lines" if long else None)


def _agree(written: str, style: str, data: Any) -> bool:
    if style == "plain":
        if isinstance(data, bool):
            return written == str(data).lower()
        digits = written.replace("_", "")
        if isinstance(data, int):
            return int(digits, 0) == data if digits.lstrip("+-")[:1] == "0" else int(digits) == data
        return isinstance(data, float) and repr(float(digits)) == repr(data)
    if not isinstance(data, str):
        return False
    return style == "long" or (style == "double" and "\\" in written) or written[1:-1] == data
