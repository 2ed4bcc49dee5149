from __future__ import annotations

import pytest

from vramlint.source import LineIndex


@pytest.mark.parametrize(
    ("text", "offset", "place"),
    [
        ("", 0, (1, 1)),
        ("a\nb", 2, (2, 1)),
        ("a\r\nb", 3, (2, 1)),
        ("a\r\nb", 1, (1, 2)),
        ("a\rb", 2, (2, 1)),
        ("a\n", 2, (2, 1)),
        ("😀: x", 3, (1, 4)),
        ("a\u2028b", 2, (1, 3)),
        ("a\x85b\x0cc", 4, (1, 5)),
        ("\ufeffa", 1, (1, 2)),
        ("\r\r\n\n", 3, (3, 1)),
    ],
)
def test_line_and_column_count_code_points_and_only_three_line_breaks(
    text: str, offset: int, place: tuple[int, int]
) -> None:
    assert LineIndex(text).position(offset) == place


def test_line_starts_are_the_inverse_of_positions() -> None:
    text = "a\r\nbb\rccc\n\ndddd"
    lines = LineIndex(text)
    assert lines.line_count == 5
    for line in range(1, lines.line_count + 1):
        assert lines.position(lines.line_start(line)) == (line, 1)
