"""Where in a text something stands: spans in code points, and line:column computed from them on demand."""

from __future__ import annotations

from bisect import bisect_right

from vramlint.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of code points in the text of the file `path`, the text exactly as read (BOM and CRLF kept)."""

    start: int
    end: int
    path: str = ""


class LineIndex:
    """Offsets ⇄ 1-based line and column (code points). Lines end at LF, CRLF and CR only."""

    __slots__ = ("_starts",)

    def __init__(self, text: str) -> None:
        starts = [0]
        position = 0
        while True:
            newline = text.find("\n", position)
            carriage = text.find("\r", position, newline if newline >= 0 else len(text))
            if carriage >= 0:
                position = carriage + (2 if text.startswith("\r\n", carriage) else 1)
            elif newline >= 0:
                position = newline + 1
            else:
                break
            starts.append(position)
        self._starts = starts

    def position(self, offset: int) -> tuple[int, int]:
        """The 1-based (line, column) of a code point offset."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line_start(self, line: int) -> int:
        """The offset of the first code point of the 1-based `line`."""
        return self._starts[line - 1]

    @property
    def line_count(self) -> int:
        """How many lines there are; a final newline opens one more, empty."""
        return len(self._starts)
