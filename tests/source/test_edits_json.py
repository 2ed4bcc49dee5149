from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.source import Delete, Expression, Insert, Operation, PlainValue, Rename, Set

EditIt = Callable[..., str]


@pytest.mark.parametrize(
    ("text", "path", "value", "wanted"),
    [
        ('{"a": 1}', ("a",), 2, '{"a": 2}'),
        ('{"a" : "auto" }\r\n', ("a",), 2, '{"a" : 2 }\r\n'),
        ('{"a": 1}', ("a",), 'x"\n\u2028é', '{"a": "x\\"\\n\\u2028\\u00e9"}'),
        ('{"a": 1}', ("a",), "é", '{"a": "é"}'),
        ('{"a": 1}', ("a",), 2e-5, '{"a": 2.0e-05}'),
        ('{"a": 1}', ("a",), None, '{"a": null}'),
        ('{"a": 1}', ("a",), True, '{"a": true}'),
        ('{"a": [1, {"b": 2}]}', ("a", 1, "b"), 3, '{"a": [1, {"b": 3}]}'),
        ('{"a": [\n1,\n2\n]}', ("a",), [3], '{"a": [3]}'),
        ('{"a": {"b": 1}}', ("a",), {"c": [None]}, '{"a": {"c": [null]}}'),
        ("1", (), 2, "2"),
        ('{"a": 1 /* x */, // y\n}', ("a",), 2, '{"a": 2 /* x */, // y\n}'),
        ('{"a": 1}', ("a",), "\ud800", '{"a": "\\ud800"}'),
    ],
)
def test_set(text: str, path: tuple[str | int, ...], value: PlainValue, wanted: str, edit: EditIt) -> None:
    assert edit(text, Set(path, value), kind="json") == wanted


@pytest.mark.parametrize(
    ("text", "path", "after", "wanted"),
    [
        ("{}", (), None, '{"k": 9}'),
        ("{\n}", (), None, '{"k": 9}'),
        ('{"a": 1}', (), "a", '{"a": 1, "k": 9}'),
        ('{"a": 1, "b": 2}', (), "a", '{"a": 1, "k": 9, "b": 2}'),
        ('{\n  "a": 1,\n  "b": 2\n}\n', (), "a", '{\n  "a": 1,\n  "k": 9,\n  "b": 2\n}\n'),
        ('{\n  "a": 1,\n  "b": 2\n}\n', (), "b", '{\n  "a": 1,\n  "b": 2,\n  "k": 9\n}\n'),
        ('{\r\n\t"a": 1\r\n}', (), None, '{\r\n\t"a": 1,\r\n\t"k": 9\r\n}'),
        ('{\n  "a": 1, // one\n  "b": 2 // two\n}', (), "a", '{\n  "a": 1, // one\n  "k": 9,\n  "b": 2 // two\n}'),
        ('{\n  "a": 1, // one\n  "b": 2 // two\n}', (), "b", '{\n  "a": 1, // one\n  "b": 2, // two\n  "k": 9\n}'),
        ('{\n  "a": 1,\n}', (), "a", '{\n  "a": 1,\n  "k": 9,\n}'),
        (
            '{\n  "a": {\n    "b": 1\n  },\n  "c": 2\n}',
            (),
            "a",
            '{\n  "a": {\n    "b": 1\n  },\n  "k": 9,\n  "c": 2\n}',
        ),
        ('{\n  "a": {\n    "b": 1\n  }\n}', ("a",), "b", '{\n  "a": {\n    "b": 1,\n    "k": 9\n  }\n}'),
        ('{ "a": 1,\n  "b": 2 }', (), "a", '{ "a": 1, "k": 9,\n  "b": 2 }'),
        ('{ "a": 1,\n  "b": 2 }', (), "b", '{ "a": 1,\n  "b": 2, "k": 9 }'),
        ('[{"a": 1}, {"a": 2}]', (1,), "a", '[{"a": 1}, {"a": 2, "k": 9}]'),
    ],
)
def test_insert(text: str, path: tuple[str | int, ...], after: str | None, wanted: str, edit: EditIt) -> None:
    assert edit(text, Insert(path, "k", 9, after), kind="json") == wanted


@pytest.mark.parametrize(
    ("text", "path", "wanted"),
    [
        ('{"a": 1}', ("a",), "{}"),
        ('{"a": 1, "b": 2}', ("a",), '{"b": 2}'),
        ('{"a": 1, "b": 2}', ("b",), '{"a": 1}'),
        ('{\n  "a": 1,\n  "b": 2\n}', ("a",), '{\n  "b": 2\n}'),
        ('{\n  "a": 1,\n  "b": 2\n}', ("b",), '{\n  "a": 1\n}'),
        ('{\n  "a": 1, // one\n  "b": 2 // two\n}', ("b",), '{\n  "a": 1 // one\n}'),
        (
            '{\n  "a": 1, // one\n  // of b\n  "b": 2, // two\n  "c": 3\n}',
            ("b",),
            '{\n  "a": 1, // one\n  // of b\n  "c": 3\n}',
        ),
        ('{\r\n  "a": 1,\r\n  "b": 2\r\n}', ("a",), '{\r\n  "b": 2\r\n}'),
        ('{\n  "a": 1\n}', ("a",), "{\n}"),
        ('{"a": {"b": 1, "c": 2}}', ("a", "b"), '{"a": {"c": 2}}'),
        ('{"a": 1, "b": 2,\n "c": 3}', ("b",), '{"a": 1,\n "c": 3}'),
    ],
)
def test_delete(text: str, path: tuple[str | int, ...], wanted: str, edit: EditIt) -> None:
    assert edit(text, Delete(path), kind="json") == wanted


def test_rename(edit: EditIt) -> None:
    assert edit('{"a" : 1}', Rename(("a",), 'b"é'), kind="json") == '{"b\\"é" : 1}'


@pytest.mark.parametrize(
    ("text", "operation", "reason"),
    [
        ('{"a": 1, "a": 2}', Set(("a",), 3), "stands twice"),
        ('{"a": 1, "a": 2}', Insert((), "k", 3, "a"), "stands twice"),
        ('{"a": 1}', Insert((), "a", 3), "there already"),
        ('{"a": [1, // c\n2]}', Set(("a",), [1]), "comments"),
        ('{"a": 1}', Set(("a",), float("nan")), "no text"),
        ('{"a": 1}', Set(("a",), Expression("x.y")), "no Python"),
        ("[1]", Insert((), "k", 1), "no mapping"),
    ],
)
def test_what_is_not_provably_safe_is_refused_with_a_reason(
    text: str,
    operation: Operation,
    reason: str,
    refusal: EditIt,
) -> None:
    assert reason in refusal(text, operation, kind="json")
