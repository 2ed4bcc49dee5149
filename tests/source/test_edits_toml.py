from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.source import Delete, Insert, Operation, PlainValue, Rename, Set

EditIt = Callable[..., str]


@pytest.mark.parametrize(
    ("text", "path", "value", "wanted"),
    [
        ("a = 1 # c\n", ("a",), 2, "a = 2 # c\n"),
        ("a=1", ("a",), 2, "a=2"),
        ("[t]\r\na = 1\r\n", ("t", "a"), 2, "[t]\r\na = 2\r\n"),
        ("\ufeffa = 1\n", ("a",), 2, "\ufeffa = 2\n"),
        ("a.b = 1\n", ("a", "b"), 2, "a.b = 2\n"),
        ("a = 'x'\n", ("a",), "y", "a = 'y'\n"),
        ("a = 'x'\n", ("a",), "it's", 'a = "it\'s"\n'),
        ('a = "x"\n', ("a",), 'q"\n\x07', 'a = "q\\"\\n\\u0007"\n'),
        ("a = 1\n", ("a",), "y", 'a = "y"\n'),
        ("a = 1\n", ("a",), 2e-5, "a = 2.0e-05\n"),
        ("a = 1\n", ("a",), False, "a = false\n"),
        ("a = 1\n", ("a",), ["x", 2], 'a = ["x", 2]\n'),
        ("a = 1\n", ("a",), {"b": 1, "c d": "x"}, 'a = {b = 1, "c d" = "x"}\n'),
        ("a = [1, 2]\n", ("a", 1), 3, "a = [1, 3]\n"),
        ("a = [\n 1,\n 2,\n]\n", ("a",), [3], "a = [3]\n"),
        ("a = {b = 1, c.d = 2}\n", ("a", "c", "d"), 3, "a = {b = 1, c.d = 3}\n"),
        ("[[t]]\na = 1\n[[t]]\na = 2\n", ("t", 1, "a"), 3, "[[t]]\na = 1\n[[t]]\na = 3\n"),
        ("a = 2024-01-31\n", ("a",), 1, "a = 1\n"),
    ],
)
def test_set(text: str, path: tuple[str | int, ...], value: PlainValue, wanted: str, edit: EditIt) -> None:
    assert edit(text, Set(path, value), kind="toml") == wanted


@pytest.mark.parametrize(
    ("text", "path", "after", "wanted"),
    [
        ("a = 1 # c\nb = 2\n", (), "a", "a = 1 # c\nk = 9\nb = 2\n"),
        ("a = 1\n[t]\nb = 2\n", (), None, "a = 1\nk = 9\n[t]\nb = 2\n"),
        ("[t]\n  b = 2\n[u]\nc = 1\n", ("t",), None, "[t]\n  b = 2\n  k = 9\n[u]\nc = 1\n"),
        ("[t]\n\n[u]\n", ("t",), None, "[t]\nk = 9\n\n[u]\n"),
        ("[t] # c\r\n[u]\r\n", ("t",), None, "[t] # c\r\nk = 9\r\n[u]\r\n"),
        ("[t]", ("t",), None, "[t]\nk = 9"),
        ("[[t]]\na = 1\n[[t]]\na = 2\n", ("t", 0), "a", "[[t]]\na = 1\nk = 9\n[[t]]\na = 2\n"),
        ("[t]\na = [\n 1, # x\n]\nb = 1\n", ("t",), "a", "[t]\na = [\n 1, # x\n]\nk = 9\nb = 1\n"),
        ("[t]\na.b = 1\nc = 2\n", ("t",), "c", "[t]\na.b = 1\nc = 2\nk = 9\n"),
        ("[t]\nc = 2\n[t.u]\nd = 1\n", ("t",), None, "[t]\nc = 2\nk = 9\n[t.u]\nd = 1\n"),
        ("a = {b = 1}\n", ("a",), "b", "a = {b = 1, k = 9}\n"),
        ("a = {b = 1, c = 2}\n", ("a",), "b", "a = {b = 1, k = 9, c = 2}\n"),
        ("a = {}\n", ("a",), None, "a = {k = 9}\n"),
        ("a = '''x\ny''' # c\n", (), "a", "a = '''x\ny''' # c\nk = 9\n"),
        ("\ufeffa = 1\n", (), "a", "\ufeffa = 1\nk = 9\n"),
    ],
)
def test_insert(text: str, path: tuple[str | int, ...], after: str | None, wanted: str, edit: EditIt) -> None:
    assert edit(text, Insert(path, "k", 9, after), kind="toml") == wanted


@pytest.mark.parametrize(
    ("text", "path", "wanted"),
    [
        ("a = 1\n# of b\nb = 2 # two\nc = 3\n", ("b",), "a = 1\n# of b\nc = 3\n"),
        ("[t]\na = 1\n", ("t", "a"), "[t]\n"),
        ("a = 1\nb = 2", ("b",), "a = 1"),
        ("a = {b = 1, c = 2}\n", ("a", "b"), "a = {c = 2}\n"),
        ("a = {b = 1, c = 2}\n", ("a", "c"), "a = {b = 1}\n"),
        ("a = [\n 1,\n]\nb = 1\n", ("a",), "b = 1\n"),
    ],
)
def test_delete(text: str, path: tuple[str | int, ...], wanted: str, edit: EditIt) -> None:
    assert edit(text, Delete(path), kind="toml") == wanted


@pytest.mark.parametrize(
    ("text", "path", "key", "wanted"),
    [
        ("a = 1\n", ("a",), "b", "b = 1\n"),
        ("'a' = 1\n", ("a",), "b c", "'b c' = 1\n"),
        ("a = 1\n", ("a",), "b c", '"b c" = 1\n'),
        ("a.b = 1\n", ("a", "b"), "c", "a.c = 1\n"),
        ("[t]\na = 1\n", ("t",), "u", "[u]\na = 1\n"),
    ],
)
def test_rename(text: str, path: tuple[str | int, ...], key: str, wanted: str, edit: EditIt) -> None:
    assert edit(text, Rename(path, key), kind="toml") == wanted


@pytest.mark.parametrize(
    ("text", "operation", "reason"),
    [
        ("a.b = 1\n", Insert((), "k", 1, "a"), "a table or a dotted key"),
        ("a.b = 1\n", Insert(("a",), "k", 1, "b"), "a table or a dotted key"),
        ("[t]\na = 1\n", Insert((), "k", 1, "t"), "a table or a dotted key"),
        ("[t]\na = 1\n", Insert((), "k", 1), "no key to stand beside"),
        ("[a.b]\nc = 1\n", Insert(("a",), "k", 1), "a table or a dotted key"),
        ("[[t]]\na = 1\n", Insert((), "k", 1, "t"), "a table or a dotted key"),
        ("[[t]]\na = 1\n", Insert(("t",), "k", 1), "no mapping"),
        ("[t]\na = 1\n", Delete(("t",)), "a table or a dotted key"),
        ("a.b = 1\n", Delete(("a", "b")), "a table or a dotted key"),
        ("a.b = 1\n", Delete(("a",)), "a table or a dotted key"),
        ("[t]\na = 1\n", Set(("t",), 1), "several lines"),
        ("a = '''x'''\n", Set(("a",), 1), "several lines"),
        ("a = 1\n", Set(("a",), None), "no null"),
        ("a = [1, # c\n 2]\n", Set(("a",), [1]), "comments"),
        ("[t.u]\na = 1\n[t.v]\nb = 1\n", Rename(("t",), "w"), "more than it says"),
        ("a = 1\nb = 1\n", Rename(("a",), "b"), "there already"),
    ],
)
def test_what_is_not_provably_safe_is_refused_with_a_reason(
    text: str,
    operation: Operation,
    reason: str,
    refusal: EditIt,
) -> None:
    assert reason in refusal(text, operation, kind="toml")
