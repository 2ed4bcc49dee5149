"""JSON text → tree, with the places of everything; comments and trailing commas are taken, as people write them."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # the standard library's own string scanner

from vramlint.source.limits import MOST_DIGITS, Meter
from vramlint.source.positions import Span
from vramlint.source.tree import Document, Duplicate, Entry, Node, Scalar, SourceError

BLANK = re.compile(r"(?:[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)*", re.DOTALL)
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
WORDS: dict[str, Scalar] = {
    "true": True, "false": False, "null": None, "NaN": float("nan"), "Infinity": float("inf"),
    "-Infinity": float("-inf"),
}


class JsonReader:
    """Reads one document by recursive descent; the meter bounds the recursion."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text
        self._meter = Meter(path)
        self.duplicates: list[Duplicate] = []

    def read(self) -> tuple[Document, ...]:
        """The document. Raises `SourceError` for text that is no JSON."""
        root, offset = self._value(self._blank(1 if self._text.startswith("\ufeff") else 0), 0)
        offset = self._blank(offset)
        if offset < len(self._text):
            raise self._error("text after the end of the document", offset)
        return (Document(root, 0, {}),)

    def _blank(self, offset: int) -> int:
        match = BLANK.match(self._text, offset)
        return match.end() if match else offset

    def _error(self, message: str, offset: int) -> SourceError:
        return SourceError(
            "syntax", f"not valid JSON: {message}", self._path,
            Span(offset, min(offset + 1, len(self._text)), self._path),
        )

    def _string(self, offset: int) -> tuple[str, int]:
        try:
            value, end = scanstring(self._text, offset + 1, True)
        except json.JSONDecodeError as error:
            raise self._error(error.msg.removesuffix(" at").lower(), error.pos) from None
        return value, end

    def _value(self, offset: int, depth: int) -> tuple[Node, int]:
        self._meter.node(offset, depth)
        text = self._text
        character = text[offset : offset + 1]
        if character == '"':
            value, end = self._string(offset)
            return Node("scalar", Span(offset, end, self._path), value, "double"), end
        if character == "{":
            return self._map(offset, depth)
        if character == "[":
            return self._seq(offset, depth)
        number = NUMBER.match(text, offset)
        if number and not text.startswith("-I", offset):
            written = number[0]
            if len(written) > MOST_DIGITS:
                raise self._error(f"a number of more than {MOST_DIGITS} digits", offset)
            numeric = float(written) if set(written) & set(".eE") else int(written)
            return Node("scalar", Span(offset, number.end(), self._path), numeric, "plain"), number.end()
        for word, constant in WORDS.items():
            if text.startswith(word, offset):
                end = offset + len(word)
                return Node("scalar", Span(offset, end, self._path), constant, "plain"), end
        raise self._error("expected a value" if character else "the document ends where a value was expected", offset)

    def _map(self, start: int, depth: int) -> tuple[Node, int]:
        text, entries = self._text, list[Entry]()
        seen: dict[str, Span] = {}
        offset = self._blank(start + 1)
        while text[offset : offset + 1] != "}":
            if text[offset : offset + 1] != '"':
                raise self._error('expected a key in double quotes or "}"', offset)
            key, end = self._string(offset)
            key_span = Span(offset, end, self._path)
            if key in seen:
                self.duplicates.append(Duplicate(key, seen[key], key_span))
            seen.setdefault(key, key_span)
            offset = self._blank(end)
            if text[offset : offset + 1] != ":":
                raise self._error("expected ':' after the key", offset)
            value, end = self._value(self._blank(offset + 1), depth + 1)
            entries.append(Entry(key, key_span, value))
            offset = self._comma(end, "}")
        return Node("map", Span(start, offset + 1, self._path), style="flow", entries=tuple(entries)), offset + 1

    def _seq(self, start: int, depth: int) -> tuple[Node, int]:
        items: list[Node] = []
        offset = self._blank(start + 1)
        while self._text[offset : offset + 1] != "]":
            value, end = self._value(offset, depth + 1)
            items.append(value)
            offset = self._comma(end, "]")
        return Node("seq", Span(start, offset + 1, self._path), style="flow", items=tuple(items)), offset + 1

    def _comma(self, end: int, closing: str) -> int:
        offset = self._blank(end)
        if self._text[offset : offset + 1] == ",":
            return self._blank(offset + 1)
        if self._text[offset : offset + 1] != closing:
            raise self._error(f"expected ',' or '{closing}'", offset)
        return offset
