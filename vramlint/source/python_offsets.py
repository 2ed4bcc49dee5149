"""Places of `ast`, which counts lines and UTF-8 bytes, as code points of the text."""

from __future__ import annotations

from vramlint.source.positions import LineIndex


class Offsets:
    """Offsets into `text`, which may begin with a BOM that `ast` has not seen; each line is looked at once."""

    __slots__ = ("_base", "_known", "_lines", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._base = 1 if text.startswith("\ufeff") else 0
        self._lines = LineIndex(text)
        self._known: dict[int, tuple[int, list[int] | None]] = {}

    def byte(self, line: int, byte: int) -> int:
        """The offset of a byte of a 1-based line."""
        start, code_points = self._line(line)
        return start + (byte if code_points is None else code_points[min(byte, len(code_points) - 1)])

    def column(self, line: int, column: int) -> int:
        """The offset of a 0-based column in code points, as a SyntaxError has it."""
        return min(self._line(min(line, self._lines.line_count))[0] + column, len(self._text))

    def _line(self, line: int) -> tuple[int, list[int] | None]:
        """Where the line starts, and for each of its bytes the code point it belongs to (None: they are the same)."""
        if line not in self._known:
            start = self._lines.line_start(line) + (self._base if line == 1 else 0)
            stop = self._lines.line_start(line + 1) if line < self._lines.line_count else len(self._text)
            written = self._text[start:stop]
            points: list[int] | None = None
            if not written.isascii():
                points = [index for index, character in enumerate(written) for _ in character.encode()]
                points.append(len(written))
            self._known[line] = (start, points)
        return self._known[line]
