"""What is a comment and what only looks like one."""

from __future__ import annotations

import re

import pytest

from vramlint.source import read
from vramlint.source.comments import comments

MARK = re.compile(r"(?:#|//)[ \t]*mark (\w+)")


@pytest.mark.parametrize(("name", "text", "expected"), [
    ("a.py", '# mark one\nx = "# mark two"  # mark three\n', ["one", "three"]),
    ("a.py", '"""Docs.\n\n# mark two\n"""\nx = 1\n# mark three\n', ["three"]),
    ("a.py", "\ufeff# mark one\r\nx = 1\r\n\r\n# mark two\r\n", ["one", "two"]),
    ("a.py", "x = '''\n# mark one\n''' # mark two\nif x:\n    pass  # mark three\n", ["two", "three"]),
    ("a.yaml", "# mark one\na: '# mark two' # mark three\nb: c#mark four\n", ["one", "three"]),
    ("a.yaml", "a: |\n  # mark one\n  text\n# mark two\nb: 1\n", ["two"]),
    ("a.yaml", "- 😀 # mark one\n- x#mark two\n", ["one"]),
    ("a.toml", 'a = "# mark one" # mark two\nb = """\n# mark three\n"""\n', ["two"]),
    ("a.json", '{"a": "// mark one", // mark two\n "b": 1}', ["two"]),
])
def test_comments(name: str, text: str, expected: list[str]) -> None:
    file = read(name, text.encode("utf-8"))
    assert [match[1] for match in comments(file, MARK)] == expected


def test_only_a_part_of_the_file() -> None:
    file = read("a.yaml", b"# mark one\na: 1\n# mark two\n")
    assert [match[1] for match in comments(file, MARK, 5)] == ["two"]
    assert [match[1] for match in comments(file, MARK, 0, 12)] == ["one"]
