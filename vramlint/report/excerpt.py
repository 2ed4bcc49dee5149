"""The lines that a finding is about, numbered, each marked place underlined."""

from __future__ import annotations

from collections.abc import Sequence

from vramlint.dataclass import dataclass
from vramlint.report.display import cells, printable, width
from vramlint.report.paint import Paint
from vramlint.source import SourceFile, Span

MOST_COLUMNS = 100
BEFORE_MARK = 30
"""Columns kept before a mark that stands beyond `MOST_COLUMNS`, as in a minified JSON file."""

MOST_CODE_POINTS = 4 * MOST_COLUMNS
"""Looked at to fill the columns: a line may hold a million, and many of no width."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place to underline and what to say beside it; the one that the finding is about has carets, others dashes."""

    span: Span
    label: str
    role: str
    character: str = "^"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file, its text without the line end, and the first code point of it that is shown."""

    number: int
    offset: int
    text: str
    first: int = 0


def excerpt(file: SourceFile, marks: Sequence[Mark], paint: Paint) -> list[str]:
    """The marked lines, and the one before the first mark given, in the order of the file."""
    by_line: dict[int, list[Mark]] = {}
    for mark in marks:
        by_line.setdefault(line_of(file, mark.span), []).append(mark)
    lines = {number: _line(file, number, here) for number, here in by_line.items()}
    before = line_of(file, marks[0].span) - 1
    if before >= 1 and (line := _line(file, before, ())).text.strip():
        lines.setdefault(before, line)
    indent = " " * len(str(max(lines)))
    bar = paint("|", "gutter")
    shown = [f"{indent} {bar}"]
    previous = 0
    for number, line in sorted(lines.items()):
        if previous and number > previous + 1:
            shown.append(paint("...", "gutter"))
        shown.append(f"{paint(str(number).rjust(len(indent)), 'gutter')} {bar} {_shown(line)}".rstrip())
        shown += [f"{indent} {bar} {_underline(line, mark, paint)}" for mark in by_line.get(number, ())]
        previous = number
    return shown


def line_of(file: SourceFile, span: Span) -> int:
    """The number of the line that a span starts on."""
    return file.lines.position(min(span.start, len(file.text)))[0]


def _line(file: SourceFile, number: int, marks: Sequence[Mark]) -> Line:
    start = file.lines.line_start(number)
    end = file.lines.line_start(number + 1) if number < file.lines.line_count else len(file.text)
    text = file.text[start:end].rstrip("\r\n")
    first = min((mark.span.start - start for mark in marks), default=0)
    return Line(number, start, text, _first_shown(text, first))


def _first_shown(text: str, marked: int) -> int:
    """0, or where to cut so that the code point `marked` is seen."""
    if marked <= MOST_CODE_POINTS and width(text[: marked + 1]) <= MOST_COLUMNS:
        return 0
    first = marked
    while first > max(0, marked - MOST_CODE_POINTS) and width(text[first - 1 : marked]) <= BEFORE_MARK:
        first -= 1
    return first


def _shown(line: Line) -> str:
    """What is seen of a line, with `…` where it is cut."""
    seen = ["…" if line.first else ""]
    taken = 0
    for piece, columns in cells(line.text[line.first : line.first + MOST_CODE_POINTS]):
        taken += columns
        if taken > MOST_COLUMNS:
            seen.append("…")
            break
        seen.append(piece)
    return "".join(seen)


def _underline(line: Line, mark: Mark, paint: Paint) -> str:
    """The marks under a line; a span over several lines is underlined to the end of its first."""
    start = min(mark.span.start - line.offset, len(line.text))
    end = min(mark.span.end - line.offset, start + MOST_CODE_POINTS)
    indent = width(line.text[line.first : start]) + (1 if line.first else 0)
    length = max(1, min(width(line.text[start:end]), MOST_COLUMNS + 1 - indent))
    label = f" {printable(mark.label)}" if mark.label else ""
    return " " * indent + paint(mark.character * length + label, mark.role)
