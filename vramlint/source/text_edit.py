"""One replacement in a text, and the small facts about lines that all edits need."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vramlint.dataclass import dataclass
from vramlint.source.tree import Format, SourceFile

HASH_COMMENT = re.compile(r"[ \t]*(?:#[^\r\n]*)?")
SLASH_COMMENT = re.compile(r"[ \t]*(?://[^\r\n]*|/\*[^\r\n]*?\*/[ \t]*)?")


@dataclass(frozen=True, slots=True)
class TextEdit:
    """Replace the code points `start` to `end` by `text`."""

    start: int
    end: int
    text: str


def replaced(text: str, edits: Sequence[TextEdit]) -> str | None:
    """The text with all edits made, or None if two overlap; insertions at one place stay in their order."""
    parts, offset = [], 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < offset:
            return None
        parts += [text[offset : edit.start], edit.text]
        offset = edit.end
    return "".join([*parts, text[offset:]])


def difference(before: str, after: str) -> TextEdit:
    """The one replacement that leads from one text to the other."""
    start, most = 0, min(len(before), len(after))
    while start < most and before[start] == after[start]:
        start += 1
    end = 0
    while end < most - start and before[len(before) - 1 - end] == after[len(after) - 1 - end]:
        end += 1
    return TextEdit(start, len(before) - end, after[start : len(after) - end])


def line_start(file: SourceFile, offset: int) -> int:
    """The offset of the first code point of the line, behind a BOM."""
    start = file.lines.line_start(file.lines.position(offset)[0])
    return start + 1 if start == 0 and file.text.startswith("\ufeff") else start


def line_end(text: str, offset: int) -> int:
    """The offset of the line break (or the end of the text) at or after `offset`."""
    while offset < len(text) and text[offset] not in "\r\n":
        offset += 1
    return offset


def break_at(text: str, offset: int) -> str:
    """The line break at `offset`, empty at the end of the text."""
    return "\r\n" if text.startswith("\r\n", offset) else text[offset : offset + 1]


def newline_near(text: str, offset: int) -> str:
    """The line break that the text uses around `offset`, which is at the end of a line."""
    here = break_at(text, offset)
    if here:
        return here
    before = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset))
    if before < 0:
        return "\n"
    return "\r\n" if text[before - 1 : before + 1] == "\r\n" else text[before]


def comment_end(text: str, offset: int, format: Format) -> int:  # noqa: A002 (the word that all rooms use)
    """Where blanks and a comment of that format end that begin at `offset`."""
    match = (SLASH_COMMENT if format == "json" else HASH_COMMENT).match(text, offset)
    return match.end() if match else offset
