from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.source import Delete, Edited, Insert, Operation, PlainValue, Rename, Set, apply, read

EditIt = Callable[..., str]


@pytest.mark.parametrize(
    ("text", "path", "value", "wanted"),
    [
        ("a: 1\n", ("a",), 2, "a: 2\n"),
        ("a: 1", ("a",), 2, "a: 2"),
        ("a: 1 # why\n", ("a",), 2, "a: 2 # why\n"),
        ("a:   1   # why\n", ("a",), 2, "a:   2   # why\n"),
        ("a: 1\r\nb: 2\r\n", ("a",), 3, "a: 3\r\nb: 2\r\n"),
        ("\ufeffa: 1\n", ("a",), 2, "\ufeffa: 2\n"),
        ("a: 'x'\n", ("a",), "y", "a: 'y'\n"),
        ("a: 'x'\n", ("a",), "it's", "a: 'it''s'\n"),
        ('a: "x"\n', ("a",), "y", 'a: "y"\n'),
        ('a: "x"\n', ("a",), 'q"\\', 'a: "q\\"\\\\"\n'),
        ("a: x\n", ("a",), "all-linear", "a: all-linear\n"),
        ("a: x\n", ("a",), "org/model-7B.v2", "a: org/model-7B.v2\n"),
        ("a: x\n", ("a",), "no", 'a: "no"\n'),
        ("a: x\n", ("a",), "y", 'a: "y"\n'),
        ("a: x\n", ("a",), "null", 'a: "null"\n'),
        ("a: x\n", ("a",), "8", 'a: "8"\n'),
        ("a: x\n", ("a",), "2e-5", 'a: "2e-5"\n'),
        ("a: x\n", ("a",), "", 'a: ""\n'),
        ("a: x\n", ("a",), "a: b # c", 'a: "a: b # c"\n'),
        ("a: x\n", ("a",), "two\nlines\t\x07\U0001f600\u2028", 'a: "two\\nlines\\t\\u0007😀\\u2028"\n'),
        ("a: 'x'\n", ("a",), 3, "a: 3\n"),
        ("lr: 2e-5\n", ("lr",), 2e-5, "lr: 2.0e-05\n"),
        ("lr: 1\n", ("lr",), 1e16, "lr: 1.0e+16\n"),
        ("lr: 1\n", ("lr",), 0.5, "lr: 0.5\n"),
        ("lr: 1\n", ("lr",), 3.0, "lr: 3.0\n"),
        ("a: 1\n", ("a",), True, "a: true\n"),
        ("a: 1\n", ("a",), None, "a: null\n"),
        ("a: 1\n", ("a",), ["q_proj", 1], "a: [q_proj, 1]\n"),
        ("a: 1\n", ("a",), {"b": "no", "c d": None}, 'a: {b: "no", "c d": null}\n'),
        ("a:\n", ("a",), 2, "a: 2\n"),
        ("a:", ("a",), 2, "a: 2"),
        ("a: # later\nb: 1\n", ("a",), 2, "a: 2 # later\nb: 1\n"),
        ("a:\r\nb: 1\r\n", ("a",), 2, "a: 2\r\nb: 1\r\n"),
        ("a: ~\n", ("a",), 2, "a: 2\n"),
        ("- \n- b\n", (0,), 2, "- 2 \n- b\n"),
        ("{a: 1, b: [1, 2]}", ("b", 1), 3, "{a: 1, b: [1, 3]}"),
        ("a: [1, 2] # c\n", ("a",), [3], "a: [3] # c\n"),
        ("a: [\n  1,\n  2\n]\nb: 1\n", ("a",), [3], "a: [3]\nb: 1\n"),
        ("a:\n  - x\n  - y\nb: 1\n", ("a",), ["p", "q", "r"], "a:\n  - p\n  - q\n  - r\nb: 1\n"),
        ("a:\n- x\n- y\n", ("a",), ["z"], "a:\n- z\n"),
        ("a: &x 1\nb: 2\n", ("a",), 3, "a: &x 3\nb: 2\n"),
        ("😀: {b: 1}\n", ("😀", "b"), 2, "😀: {b: 2}\n"),
        ("a: ${b}\nb: 1\n", ("a",), 2, "a: 2\nb: 1\n"),
        ("--- 1\n--- 2\n", (), 3, "--- 3\n--- 2\n"),
        ("a: 2024-01-31\n", ("a",), 1, "a: 1\n"),
        ("a:\t1\n", ("a",), 2, "a:\t2\n"),
    ],
)
def test_set_changes_the_value_and_nothing_else(
    text: str,
    path: tuple[str | int, ...],
    value: PlainValue,
    wanted: str,
    edit: EditIt,
) -> None:
    assert edit(text, Set(path, value)) == wanted


@pytest.mark.parametrize(
    ("text", "path", "after", "wanted"),
    [
        ("a: 1\nb: 2\n", (), "a", "a: 1\nk: 9\nb: 2\n"),
        ("a: 1\nb: 2\n", (), None, "a: 1\nb: 2\nk: 9\n"),
        ("a: 1", (), "a", "a: 1\nk: 9"),
        ("a: 1 # why\nb: 2\n", (), "a", "a: 1 # why\nk: 9\nb: 2\n"),
        ("a: 1\n# of b\nb: 2\n", (), "a", "a: 1\nk: 9\n# of b\nb: 2\n"),
        ("a: 1\r\nb: 2\r\n", (), "a", "a: 1\r\nk: 9\r\nb: 2\r\n"),
        ("a: 1\rb: 2\r", (), "a", "a: 1\rk: 9\rb: 2\r"),
        ("a: 1\r\nb: 2", (), "b", "a: 1\r\nb: 2\r\nk: 9"),
        ("\ufeffa: 1\n", (), "a", "\ufeffa: 1\nk: 9\n"),
        ("m:\n    a: 1\nb: 2\n", ("m",), "a", "m:\n    a: 1\n    k: 9\nb: 2\n"),
        ("m:\n    a: 1\nb: 2\n", (), "m", "m:\n    a: 1\nk: 9\nb: 2\n"),
        ("m:\n  a: 1\n", (), None, "m:\n  a: 1\nk: 9\n"),
        ("a: 1\nm:\n  b: 1\n", (), None, "a: 1\nk: 9\nm:\n  b: 1\n"),
        ("l:\n  - a: 1\n    b: 2\n", ("l", 0), "a", "l:\n  - a: 1\n    k: 9\n    b: 2\n"),
        ("l:\n-   a: 1\n    b: 2\n", ("l", 0), "b", "l:\n-   a: 1\n    b: 2\n    k: 9\n"),
        ("a: |\n  x\n  y\n\nb: 1\n", (), "a", "a: |\n  x\n  y\nk: 9\n\nb: 1\n"),
        ("a: |-\n  x", (), "a", "a: |-\n  x\nk: 9"),
        ("a: 'x\n  y'\nb: 1\n", (), "a", "a: 'x\n  y'\nk: 9\nb: 1\n"),
        ("a: [1,\n  2] # c\nb: 1\n", (), "a", "a: [1,\n  2] # c\nk: 9\nb: 1\n"),
        ("a:\nb: 1\n", (), "a", "a:\nk: 9\nb: 1\n"),
        ("a: # c\nb: 1\n", (), "a", "a: # c\nk: 9\nb: 1\n"),
        ("{a: 1, b: 2}", (), "a", "{a: 1, k: 9, b: 2}"),
        ("{a: 1, b: 2}", (), None, "{a: 1, b: 2, k: 9}"),
        ("{a: 1, b: 2,}", (), "b", "{a: 1, b: 2, k: 9,}"),
        ("m: {} # c\n", ("m",), None, "m: {k: 9} # c\n"),
        ("m: { }\n", ("m",), None, "m: {k: 9}\n"),
        ("{\n  a: 1, # one\n  b: 2 # two\n}\n", (), "a", "{\n  a: 1, # one\n  k: 9,\n  b: 2 # two\n}\n"),
        ("{\n  a: 1, # one\n  b: 2 # two\n}\n", (), "b", "{\n  a: 1, # one\n  b: 2, # two\n  k: 9\n}\n"),
        ("{\n  a: 1,\n  b: 2,\n}\n", (), "b", "{\n  a: 1,\n  b: 2,\n  k: 9,\n}\n"),
        (
            "base: &b {x: 1}\nrun:\n  <<: *b\n  y: 2\n",
            ("run",),
            "y",
            "base: &b {x: 1}\nrun:\n  <<: *b\n  y: 2\n  k: 9\n",
        ),
        (
            "base: &b {k: 1}\nrun:\n  <<: *b\n  y: 2\n",
            ("run",),
            "y",
            "base: &b {k: 1}\nrun:\n  <<: *b\n  y: 2\n  k: 9\n",
        ),
        ("run:\n  <<: {x: 1}\n", ("run",), "<<", "run:\n  <<: {x: 1}\n  k: 9\n"),
        ("a: 1\n---\nb: 2\n", (), "a", "a: 1\nk: 9\n---\nb: 2\n"),
        ("a: !foo {x: 1}\nb: 2\n", (), "a", "a: !foo {x: 1}\nk: 9\nb: 2\n"),
    ],
)
def test_insert_adds_a_line_in_the_habit_of_the_sibling(
    text: str,
    path: tuple[str | int, ...],
    after: str | None,
    wanted: str,
    edit: EditIt,
) -> None:
    assert edit(text, Insert(path, "k", 9, after)) == wanted


@pytest.mark.parametrize(
    ("text", "path", "wanted"),
    [
        ("a: 1\nb: 2\nc: 3\n", ("b",), "a: 1\nc: 3\n"),
        ("a: 1\nb: 2\n", ("b",), "a: 1\n"),
        ("a: 1\nb: 2", ("b",), "a: 1"),
        ("a: 1\r\nb: 2", ("b",), "a: 1"),
        ("a: 1\r\nb: 2\r\nc: 3\r\n", ("b",), "a: 1\r\nc: 3\r\n"),
        ("\ufeffa: 1\nb: 2\n", ("a",), "\ufeffb: 2\n"),
        (
            "# of a\na: 1 # one\n# of b\nb: 2 # two\n# of c\nc: 3 # three\n",
            ("b",),
            "# of a\na: 1 # one\n# of b\n# of c\nc: 3 # three\n",
        ),
        ("m:\n  a: 1\n  b: 2\nc: 3\n", ("m",), "c: 3\n"),
        ("m:\n  a: 1\n  b: 2\n", ("m", "a"), "m:\n  b: 2\n"),
        ("a: |\n  x\n  y\nb: 1\n", ("a",), "b: 1\n"),
        ("a: [1,\n  2] # c\nb: 1\n", ("a",), "b: 1\n"),
        ("a:\nb: 1\n", ("a",), "b: 1\n"),
        ("l:\n  - a: 1\n    b: 2\n", ("l", 0, "b"), "l:\n  - a: 1\n"),
        ("{a: 1, b: 2, c: 3}", ("a",), "{b: 2, c: 3}"),
        ("{a: 1, b: 2, c: 3}", ("b",), "{a: 1, c: 3}"),
        ("{a: 1, b: 2, c: 3}", ("c",), "{a: 1, b: 2}"),
        ("m: {a: 1}\n", ("m", "a"), "m: {}\n"),
        ("{\n  a: 1, # one\n  b: 2, # two\n  c: 3 # three\n}\n", ("b",), "{\n  a: 1, # one\n  c: 3 # three\n}\n"),
        ("{\n  a: 1, # one\n  b: 2 # two\n}\n", ("b",), "{\n  a: 1 # one\n}\n"),
    ],
)
def test_delete_takes_the_entry_and_leaves_the_neighbours_comments(
    text: str,
    path: tuple[str | int, ...],
    wanted: str,
    edit: EditIt,
) -> None:
    assert edit(text, Delete(path)) == wanted


@pytest.mark.parametrize(
    ("text", "path", "key", "wanted"),
    [
        ("a: 1 # c\n", ("a",), "b", "b: 1 # c\n"),
        ("'a': 1\n", ("a",), "b", "'b': 1\n"),
        ('"a" : 1\n', ("a",), "b", '"b" : 1\n'),
        ("a:\n  x: 1\n", ("a",), "b", "b:\n  x: 1\n"),
        ("{a: 1}", ("a",), "b c", '{"b c": 1}'),
        ("a: 1\n", ("a",), "on", '"on": 1\n'),
        ("a: &x 1\nb: *x\n", ("b",), "c", "a: &x 1\nc: *x\n"),
    ],
)
def test_rename_keeps_the_value_and_the_quotes(
    text: str,
    path: tuple[str | int, ...],
    key: str,
    wanted: str,
    edit: EditIt,
) -> None:
    assert edit(text, Rename(path, key)) == wanted


@pytest.mark.parametrize(
    ("text", "operation", "reason"),
    [
        ("a: |\n  x\n", Set(("a",), 1), "block scalar"),
        ("a: >\n  x\n", Set(("a",), 1), "block scalar"),
        ("a: x\n  y\n", Set(("a",), 1), "several lines"),
        ("a: 'x\n  y'\n", Set(("a",), 1), "several lines"),
        ("a: !!str 1\n", Set(("a",), 1), "tag"),
        ("a: !foo {x: 1}\n", Set(("a",), 1), "tag"),
        ("a: !foo {x: 1}\n", Insert(("a",), "k", 1), "no mapping"),
        ("a: &x 1\nb: *x\n", Set(("b",), 2), "inherited from &x"),
        ("a: &x 1\nb: *x\n", Set(("a",), 2), "also used through *x"),
        ("a: &x {c: 1}\nb: *x\n", Set(("b", "c"), 2), "inherited from &x"),
        ("a: &x {c: 1}\nb: *x\n", Set(("a", "c"), 2), "also used through *x"),
        ("a: &x {c: 1}\nb: *x\n", Insert(("a",), "k", 2), "also used through *x"),
        ("a: &x {c: 1}\nb: *x\n", Insert(("b",), "k", 2), "inherited from &x"),
        ("a: &x {c: 1}\nb: *x\n", Delete(("a",)), "also used through *x"),
        ("a: {d: &x {c: 1}}\nb: *x\n", Set(("a",), 1), "also used through *x"),
        ("a: &x {c: 1}\nb: {<<: *x}\n", Set(("b", "c"), 2), "inherited through a merge key"),
        ("a: &x {c: 1}\nb: {<<: *x, d: 1}\n", Set(("b", "<<"), 2), "inherited from &x"),
        ("a: &x {c: 1}\nb: {<<: *x, d: 1}\n", Delete(("b", "<<")), "merge key"),
        ("a: &x {c: 1}\nb: {<<: *x, c: 2}\n", Delete(("b", "c")), "also inherited"),
        ("a: &x {c: 1}\nb: {<<: *x, c: 2, d: 1}\n", Rename(("b", "c"), "e"), "also inherited"),
        ("a: &x {c: 1}\nb: {<<: *x, d: 1}\n", Rename(("b", "d"), "c"), "also inherited"),
        ("a: 1\na: 2\n", Set(("a",), 3), "stands twice"),
        ("a: 1\na: 2\n", Delete(("a",)), "stands twice"),
        ("a: 1\na: 2\nb: 1\n", Insert((), "k", 3, "a"), "stands twice"),
        ("m: {x: 1}\nm: {y: 1}\n", Insert(("m",), "k", 3), "stands twice"),
        ("yes: 1\non: 2\n", Set(("on",), 3), "stands twice"),
        ("? a\n: b\n", Set(("a",), 1), "unusual position"),
        ("? a\n: b\nc: 1\n", Insert((), "k", 1, "a"), "unusual position"),
        ("? a\n: b\nc: 1\n", Delete(("a",)), "unusual position"),
        ("- - a: 1\n", Insert((0, 0), "k", 1, "a"), "unusual position"),
        ("[a: 1]", Insert((0,), "k", 1, "a"), "unusual position"),
        ("[x, y]: 1\n", Set(("[x, y]",), 2), "no plain text"),
        ("&q a: 1\n", Rename(("a",), "b"), "unusual way"),
        ("a: 1\n", Insert((), "a", 2), "there already"),
        ("a: 1\nb: 2\n", Rename(("a",), "b"), "there already"),
        ("a: 1\n", Insert((), "k", 2, "b"), "there is no b"),
        ("a: 1\n", Set(("b",), 2), "there is no b"),
        ("a: [1]\n", Set(("a", 1), 2), "there is no item 1"),
        ("a: [1]\n", Set(("a", -1), 2), "there is no item -1"),
        ("a: 1\n", Set(("a", "b"), 2), "there is no b"),
        ("a: 1\n", Insert(("a",), "k", 2), "no mapping"),
        ("a:\n", Insert(("a",), "k", 2), "no mapping"),
        ("- 1\n", Insert((), "k", 2), "no mapping"),
        ("a: [1]\n", Delete(("a", 0)), "no key"),
        ("a: 1\n", Delete(()), "no key"),
        ("m:\n  a: 1\n", Delete(("m", "a")), "left empty"),
        ("a: 1\n", Delete(("a",)), "left empty"),
        ("l:\n  - a: 1\n    b: 2\n", Delete(("l", 0, "a")), "begin its line"),
        ("m:\n  a: 1\n", Set(("m",), 1), "several lines"),
        ("l:\n  - a: 1\n", Set(("l",), [1]), "more than plain items"),
        ("l:\n  - 1 # one\n  - 2\n", Set(("l",), [1]), "more than plain items"),
        ("a: [1, # one\n  2]\n", Set(("a",), [1]), "comments"),
        ("a: 1\n", Set(("a",), float("inf")), "no text"),
        ("a: 1\n", Set(("a",), "\ud800"), "surrogate"),
        ("a: 1\n", Set(("a",), 1, document=3), "no document"),
        ("a: 1\n", Set(("a",), 1, document=-1), "no document"),
        ("{a}", Set(("a",), 1), "more than it says"),
        ("a: &x\nb: 1\n", Set(("a",), 1), "empty behind an anchor"),
        ("- &x 1\n- *x\n", Set((0,), 2), "also used through"),
    ],
)
def test_what_is_not_provably_safe_is_refused_with_a_reason(
    text: str,
    operation: Operation,
    reason: str,
    refusal: EditIt,
) -> None:
    assert reason in refusal(text, operation)


def test_several_changes_go_in_together(edit: EditIt) -> None:
    text = "bs: 8 # batch\nga: 8\nold: 1\nlr: 2e-5\n"
    changes = (
        Set(("bs",), 2),
        Set(("ga",), 32),
        Insert((), "k", True, "bs"),
        Delete(("old",)),
        Rename(("lr",), "learning_rate"),
    )
    assert edit(text, *changes) == "bs: 2 # batch\nk: true\nga: 32\nlearning_rate: 2e-5\n"


def test_two_keys_behind_one_sibling_stand_in_their_order(edit: EditIt) -> None:
    assert edit("a: 1\nb: 2\n", Insert((), "k", 1, "a"), Insert((), "l", 2, "a")) == "a: 1\nk: 1\nl: 2\nb: 2\n"


def test_changes_of_the_same_text_go_in_one_after_the_other(edit: EditIt) -> None:
    assert edit("a: 1\nb: 2\n", Insert((), "k", 1, "a"), Delete(("a",))) == "k: 1\nb: 2\n"
    assert edit("{a: 1, b: 2, c: 3}", Delete(("b",)), Delete(("c",))) == "{a: 1}"
    assert edit("{\n  a: 1 # c\n}", Insert((), "k", 1, "a"), Insert((), "l", 2, "a")).count(":") == 3


@pytest.mark.parametrize(
    "operations",
    [
        (Set(("a",), 1), Set(("a",), 2)),
        (Insert((), "k", 1), Insert((), "k", 2)),
        (Delete(("a",)), Delete(("a",))),
        (Rename(("a",), "x"), Rename(("b",), "x")),
        (Set(("a",), 1), Set(("zz",), 2)),
    ],
)
def test_changes_that_contradict_each_other_leave_the_file_alone(
    operations: tuple[Operation, ...], refusal: EditIt
) -> None:
    assert refusal("a: 1\nb: 2\n", *operations)


def test_the_replacements_lead_from_the_old_text_to_the_new() -> None:
    text = "a: 1\nb: 2\nc: {d: 1, e: 2}\n"
    for changes in (
        (Set(("a",), 5), Insert((), "k", 1, "b")),
        (Delete(("c", "d")), Delete(("c", "e"))),
        (Insert((), "k", 1, "a"), Delete(("a",))),
    ):
        result = apply(read("a.yaml", text.encode()), changes)
        assert isinstance(result, Edited)
        built = text
        for change in sorted(result.edits, key=lambda e: e.start, reverse=True):
            built = built[: change.start] + change.text + built[change.end :]
        assert built == result.text


def test_no_operations_change_nothing(edit: EditIt) -> None:
    assert edit("a:   1\n") == "a:   1\n"


def test_an_unused_anchor_does_not_matter(edit: EditIt) -> None:
    assert edit("a: &x {b: 1}\n", Set(("a", "b"), 2)) == "a: &x {b: 2}\n"
    assert edit("a: &x [1]\n", Set(("a",), [2])) == "a: &x [2]\n"


def test_other_documents_stay(edit: EditIt) -> None:
    assert edit("a: 1\n---\na: 2\n", Set(("a",), 3, document=1)) == "a: 1\n---\na: 3\n"
