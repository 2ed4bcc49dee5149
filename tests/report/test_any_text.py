"""Any text and any place in it: nothing on the screen drives a terminal, and the caret is there."""

from __future__ import annotations

from unicodedata import category

from hypothesis import given
from hypothesis import strategies as st

from vramlint.findings import Finding, Related
from vramlint.report import render
from vramlint.report.display import cells, printable, width
from vramlint.report.excerpt import MOST_COLUMNS
from vramlint.source import LineIndex, SourceFile, Span, read

JOINER = "\u200d"
DRIVES_A_TERMINAL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from("\n\r\t\ufeff 日🙂\u0301"), max_size=300)


def file_of(text: str) -> SourceFile:
    """A file with that text, whether or not it is any format."""
    empty = read("a.yaml", b"a: 1\n")
    return SourceFile("a.yaml", text, "yaml", empty.documents, LineIndex(text))


@given(TEXTS, st.tuples(*[st.integers(0, 300)] * 4), st.text(max_size=20))
def test_the_screen_is_printable_lines(text: str, offsets: tuple[int, int, int, int], label: str) -> None:
    file = file_of(text)
    first, second = sorted(min(offset, len(text)) for offset in offsets[:2])
    third, fourth = sorted(min(offset, len(text)) for offset in offsets[2:])
    finding = Finding(
        "V1", "n", "error", label, "a.yaml", Span(first, second), label=label, help=(label,),
        related=(Related(Span(third, fourth), label),),
    )
    screen = render("full", [finding], {"a.yaml": file})
    for line in screen.split("\n"):
        assert not {category(character) for character in line if character != JOINER} & DRIVES_A_TERMINAL
    carets = [line for line in screen.split("\n") if "^" in line and line.lstrip().startswith("|")]
    assert any(set(line.partition("| ")[2].lstrip()[:1]) == {"^"} for line in carets)


@given(TEXTS)
def test_widths_add_up(text: str) -> None:
    assert width(text) == sum(width(character) for character in text)
    assert printable(text) == "".join(shown for shown, _ in cells(text))
    assert "\n" not in printable(text)


@given(st.integers(0, 5000), st.integers(1, 5000), st.sampled_from(["a", "日", "\u0301", "\t"]))
def test_no_line_is_wider_than_the_screen(start: int, length: int, character: str) -> None:
    text = character * (start + length)
    finding = Finding("V1", "n", "error", "m", "a.yaml", Span(start, start + length))
    screen = render("full", [finding], {"a.yaml": file_of(text)})
    for line in screen.split("\n")[1:-2]:
        assert width(line) <= MOST_COLUMNS + len("1 | ……") + 1
