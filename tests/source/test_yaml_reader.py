from __future__ import annotations

import math

import pytest
import yaml

from vramlint.source import Document, Node, SourceError
from vramlint.source.yaml_reader import YamlReader

LOADERS = [
    pytest.param(getattr(yaml, "CSafeLoader", yaml.SafeLoader), id="libyaml"),
    pytest.param(yaml.SafeLoader, id="pure"),
]


@pytest.fixture(params=LOADERS)
def loader(request: pytest.FixtureRequest) -> object:
    return request.param


def root_of(text: str, loader: object = None) -> Node:
    return YamlReader("a.yaml", text, loader).read()[0].root


def written(text: str, node: Node) -> str:
    return text[node.span.start : node.span.end]


def at(node: Node, *path: str | int) -> Node:
    for step in path:
        node = node.items[step] if isinstance(step, int) else next(e.value for e in node.entries if e.key == step)
    return node


@pytest.mark.parametrize(
    "spelling",
    [
        "1",
        "-7",
        "+3",
        "010",
        "0x1F",
        "0b101",
        "1_000",
        "1:30",
        "-1:30:15",
        "0",
        "1.5",
        ".5",
        "1.",
        "1e5",
        "2e-5",
        "2.0e-5",
        "2.0e-05",
        "1.5e+3",
        "1.5e3",
        "1_0.5",
        "1:30.5",
        ".inf",
        "-.inf",
        "yes",
        "No",
        "ON",
        "off",
        "true",
        "False",
        "null",
        "~",
        "Null",
        "text",
        "0o17",
        "1.2.3",
        "08",
        "y",
        "n",
        "-x",
        "a b",
        "none",
        "None",
        "True",
        "1e+5",
        "0.0",
        "-0",
        "0x",
        "12e",
    ],
)
def test_plain_scalars_are_typed_as_pyyaml_types_them(spelling: str, loader: object) -> None:
    wanted = yaml.safe_load(f"k: {spelling}\n")["k"]
    node = at(root_of(f"k: {spelling}\n", loader), "k")
    assert type(node.value) is type(wanted)
    assert node.value == wanted
    assert written(f"k: {spelling}\n", node) == spelling


def test_nan_is_a_float(loader: object) -> None:
    value = at(root_of("k: .nan\n", loader), "k").value
    assert isinstance(value, float)
    assert math.isnan(value)


def test_scientific_notation_without_a_point_is_text_whose_spelling_is_at_hand(loader: object) -> None:
    text = "learning_rate: 2e-5\n"
    node = at(root_of(text, loader), "learning_rate")
    assert (node.value, node.style, written(text, node)) == ("2e-5", "plain", "2e-5")


def test_dates_stay_text(loader: object) -> None:
    node = at(root_of("d: 2024-01-31\n", loader), "d")
    assert (node.value, node.style) == ("2024-01-31", "date")


@pytest.mark.parametrize(
    ("text", "path", "spelt", "value"),
    [
        ("a: 1 # c\n", ("a",), "1", 1),
        ("a:   'it''s'\n", ("a",), "'it''s'", "it's"),
        ('a: "x\\u263Ay"\n', ("a",), '"x\\u263Ay"', "x☺y"),
        ("😀: é\nb: 2\n", ("b",), "2", 2),
        ("a: 😀 # x\nb: y\n", ("b",), "y", "y"),
        ("a: &x 5\n", ("a",), "5", 5),
        ("a: &x\n  5\n", ("a",), "5", 5),
        ("a: !!str 123\n", ("a",), "123", "123"),
        ("a: !!int '7'\n", ("a",), "'7'", 7),
        ("a: &x !!str # why\n  b\n", ("a",), "b", "b"),
        ("a: {b: c, d: [1, 2]}\n", ("a", "d", 1), "2", 2),
        ("- - a\n  - b\n", (0, 1), "b", "b"),
        ("[&a b,&c d]", (1,), "d", "d"),
        ("a: 1\r\nb: 2\r\n", ("b",), "2", 2),
        ("\ufeffa: 1\n", ("a",), "1", 1),
        ("a: x\u2028 \nb: 3\n", ("b",), "3", 3),
        ('a: "x\u2028y"\nb: 3\n', ("b",), "3", 3),
        ("--- # c\na: 1\n...\n", ("a",), "1", 1),
        ("%YAML 1.1\n---\na: 1\n", ("a",), "1", 1),
        ("a: !!bool 'yes'\n", ("a",), "'yes'", True),
    ],
)
def test_spans_cut_out_exactly_the_value(
    text: str,
    path: tuple[str | int, ...],
    spelt: str,
    value: object,
    loader: object,
) -> None:
    node = at(root_of(text, loader), *path)
    assert written(text, node) == spelt
    assert node.value == value


@pytest.mark.parametrize("text", ["a:\nb: 1\n", "a: # c\nb: 1\n", "a:\r\nb: 1\r\n", "{a: , b: 1}", "{a, b: 1}", "a:"])
def test_an_empty_value_is_a_zero_width_null(text: str, loader: object) -> None:
    node = at(root_of(text, loader), "a")
    assert (node.kind, node.value, node.span.end - node.span.start) == ("scalar", None, 0)
    assert text[: node.span.start].rstrip().endswith(("a:", "a"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: |\n  x\n", "the value is a block scalar"),
        ("a: >-\n  x\n  y\n", "the value is a block scalar"),
        ("a: 'x\n  y'\n", "the value spans several lines"),
        ("a: x\n  y\n", "the value spans several lines"),
        ("a: !!str 1\n", "the value has a tag"),
        ("a: &x\nb: *x\n", "the value is empty behind an anchor"),
    ],
)
def test_what_must_not_be_edited_says_why(text: str, reason: str, loader: object) -> None:
    assert at(root_of(text, loader), "a").locked == reason


def test_block_scalars_end_with_their_text(loader: object) -> None:
    text = "a: |\n  one\n\n  two\n\n\nb: 1\n"
    assert written(text, at(root_of(text, loader), "a")) == "|\n  one\n\n  two"
    assert at(root_of(text, loader), "a").value == "one\n\ntwo\n"


def test_aliases_stay_aliases_with_their_own_place(loader: object) -> None:
    text = "a: &x {b: 1}\nc: *x\n<<: *x\n"
    root = root_of(text, loader)
    alias = at(root, "c")
    assert (alias.kind, alias.target, written(text, alias)) == ("alias", "x", "*x")
    assert alias.referent is at(root, "a")
    merge = root.entries[-1]
    assert merge.merge
    assert text[merge.key_span.start : merge.key_span.end] == "<<"


def test_a_quoted_merge_key_is_an_ordinary_key(loader: object) -> None:
    assert not root_of("'<<': 1\n", loader).entries[0].merge


def test_block_maps_end_where_their_last_value_does(loader: object) -> None:
    text = "a:\n  b: 1\n  # a comment of the next key\nc: 2\n"
    assert written(text, at(root_of(text, loader), "a")) == "b: 1"


def test_flow_maps_begin_behind_their_anchor(loader: object) -> None:
    text = "a: &x  {b: 1}\n"
    assert written(text, at(root_of(text, loader), "a")) == "{b: 1}"


@pytest.mark.parametrize("text", ["? a\n: b\n", "{? a : b}", "? &k a\n: b\n", "?\n  a\n: b\n"])
def test_keys_behind_a_question_mark_are_locked(text: str, loader: object) -> None:
    assert root_of(text, loader).entries[0].locked


@pytest.mark.parametrize("text", ["[a, b]: c\n", "{a: 1}: c\n", "&x a: 1\n*x : 2\n", "!!str a: 1\n", "{?, b: 1}"])
def test_keys_that_are_no_plain_text_are_locked(text: str, loader: object) -> None:
    assert any(entry.locked for entry in root_of(text, loader).entries)


def test_a_question_mark_elsewhere_locks_nothing(loader: object) -> None:
    assert root_of("a: why?\nb: 1\n", loader).entries[1].locked is None


def test_unknown_tags_are_opaque_whatever_they_hold(loader: object) -> None:
    root = root_of("a: !foo {b: 1}\nc: !bar\n  - 1\nd: !baz x\ne: =\nf: !!set {x}\n", loader)
    assert [entry.value.kind for entry in root.entries] == ["opaque"] * 5
    assert all(entry.value.why and entry.value.locked for entry in root.entries)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("a: 1\nb: 2\na: 3\n", ["a"]),
        ("{a: 1, a: 2}", ["a"]),
        ("a: 1\n'a': 2\n", ["a"]),
        ("1: a\n'1': b\n", ["1"]),
        ("yes: 1\non: 2\n", ["on"]),
        ("a: {b: 1, b: 2}\nc: {b: 1}\n", ["b"]),
        ("a: 1\na: 2\na: 3\n", ["a", "a"]),
        ("a: 1\nb: 2\n", []),
        ("a: &x {b: 1}\nc: &y {b: 2}\nd: {<<: *x, b: 3}\n", []),
    ],
)
def test_duplicate_keys_are_recorded_with_both_places(text: str, keys: list[str], loader: object) -> None:
    reader = YamlReader("a.yaml", text, loader)
    reader.read()
    assert [twice.key for twice in reader.duplicates] == keys
    for twice in reader.duplicates:
        assert twice.first.start < twice.second.start
        assert text[twice.second.start : twice.second.end].strip("'") == twice.key


def test_every_document_is_read(loader: object) -> None:
    documents: tuple[Document, ...] = YamlReader("a.yaml", "a: 1\n---\nb: 2\n---\n", loader).read()
    assert [document.index for document in documents] == [0, 1, 2]
    assert [len(document.root.entries) for document in documents] == [1, 1, 0]


def test_anchors_do_not_reach_into_the_next_document(loader: object) -> None:
    with pytest.raises(SourceError, match="no anchor &x before it"):
        YamlReader("a.yaml", "a: &x 1\n---\nb: *x\n", loader).read()


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("a: [1, 2\n", None, "flow sequence|expected"),
        ('a: "x\nb: 1\n', None, "."),
        ("a: b: c\n", 4, "mapping values are not allowed"),
        ("a: *x\n", 3, "no anchor &x before it"),
        ("a: &x 1\nb: &x 2\n", 11, "second time"),
        ("a: &x [*x]\n", 7, "inside its own anchor"),
        ("a: @x\n", 3, "."),
        ("a: 1\nb: \x00\n", 8, "control character"),
        ("é: 1\nb: \x07\n", 8, "control character"),
        ("\ufeffa: *x\n", 4, "no anchor"),
    ],
)
def test_broken_text_is_an_error_at_its_place(text: str, offset: int | None, message: str, loader: object) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        YamlReader("a.yaml", text, loader).read()
    assert caught.value.kind == "syntax"
    assert caught.value.span is not None
    if offset is not None:
        assert caught.value.span.start == offset


@pytest.mark.parametrize("text", ["a:\n\tb: 1\n", "a: 1\n\t b: 1\n"])
def test_a_tab_as_indentation_has_a_hint(text: str) -> None:
    with pytest.raises(SourceError) as caught:
        root_of(text)
    assert caught.value.hint == "indent with spaces; YAML takes no tabs there"


@pytest.mark.parametrize("text", ["# only\n# comments\n", "\ufeff# c"])
def test_only_comments_is_empty(text: str, loader: object) -> None:
    with pytest.raises(SourceError) as caught:
        YamlReader("a.yaml", text, loader).read()
    assert caught.value.kind == "empty"


@pytest.mark.parametrize("text", ["9" * 5000, "1" + ":59" * 50_000, "0b" + "1" * 5000, "1." + "9" * 5000])
def test_endless_numbers_are_not_computed(text: str, loader: object) -> None:
    node = at(root_of(f"a: {text}\n", loader), "a")
    assert node.kind == "opaque"
    assert "digits" in (node.why or "")


def test_a_tab_behind_a_key_is_taken_where_libyaml_takes_it() -> None:
    if not hasattr(yaml, "CSafeLoader"):
        pytest.skip("PyYAML without libyaml takes no tab there")
    assert at(root_of("a:\t1\n"), "a").value == 1
