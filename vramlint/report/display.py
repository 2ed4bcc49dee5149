"""Text from strangers on a terminal: control characters shown, not obeyed, and widths as a terminal counts."""

from __future__ import annotations

from collections.abc import Iterator

TAB = "    "


def printable(text: str) -> str:
    """The text on one line; nothing in it moves the cursor, turns the writing direction or hides other text."""
    return text if text.isascii() and text.isprintable() else "".join(shown for shown, _ in cells(text))


def cells(text: str) -> Iterator[tuple[str, int]]:
    """For each code point what to print and how many columns that takes; a tab is four spaces."""
    if text.isascii() and text.isprintable():
        for character in text:
            yield character, 1
        return
    from unicodedata import category, combining, east_asian_width  # noqa: PLC0415  # plain ASCII needs no tables

    for character in text:
        kind = category(character)
        if character == "\t":
            yield TAB, len(TAB)
        elif character < " " or character == "\x7f":
            yield chr(0x2421 if character == "\x7f" else 0x2400 + ord(character)), 1
        elif character in "\ufeff\ufe0e\ufe0f\u200d":
            yield ("" if character == "\ufeff" else character), 0
        elif kind in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            yield "\ufffd", 1
        elif combining(character) or kind in ("Mn", "Me"):
            yield character, 0
        else:
            yield character, 2 if east_asian_width(character) in "WF" else 1


def width(text: str) -> int:
    """Columns that the text takes when printed by `printable`."""
    return sum(columns for _, columns in cells(text))
