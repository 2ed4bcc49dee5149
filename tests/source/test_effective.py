from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import yaml

from vramlint.source import UNKNOWN, Effective, SourceFile, effective

Read = Callable[[str, str], SourceFile]


@pytest.fixture
def in_force(read_text: Read) -> Callable[..., Effective]:
    def build(text: str, kind: str = "yaml") -> Effective:
        file = read_text(text, kind)
        return effective(file, file.documents[0])

    return build


@pytest.mark.parametrize(
    "text",
    [
        "a: &x {b: 1, c: 2}\nd: *x\n",
        "a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n",
        "a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne: {<<: [*x, *y], f: 4}\n",
        "a: &x {b: 1}\nc: &y {<<: *x, d: 2}\ne: {<<: *y, b: 9}\n",
        "a: &x [1, 2]\nb: *x\n",
        "a: &x 1\nb: [*x, {c: *x}]\n",
        "<<: {a: 1}\nb: 2\n",
        "a: 1\na: 2\n",
        "- &x {a: 1}\n- <<: *x\n",
        "a: &x {b: &y {c: 1}}\nd: {<<: *x}\ne: *y\n",
        "a:\n  <<: {b: 1}\n  <<: {c: 2}\n",
    ],
)
def test_aliases_and_merge_keys_are_what_pyyaml_makes_of_them(text: str, in_force: Callable[..., Effective]) -> None:
    assert in_force(text).plain(()) == yaml.safe_load(text)


def test_an_inherited_value_knows_where_it_is_written_and_where_used(in_force: Callable[..., Effective]) -> None:
    text = "base: &b {lr: 1}\nrun:\n  <<: *b\n  bs: 2\nother: *b\n"
    values = in_force(text)
    merged, through, own = values.get(("run", "lr")), values.get(("other", "lr")), values.get(("run", "bs"))
    assert merged is not None
    assert through is not None
    assert own is not None
    assert merged.via is not None
    assert text[merged.node.span.start] == "1"
    assert text[merged.via.start : merged.via.end] == "*b"
    assert merged.via.start > text.index("<<")
    assert through.via == merged.via_span or (through.via is not None and through.via.start > text.index("other"))
    assert own.via is None
    assert values.keys(("run",)) == ["bs", "lr"]


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("a: ${b.c}\nb: {c: 1}\n", ("a",), 1),
        ("a: ${b}\nb: ${c}\nc: x\n", ("a",), "x"),
        ("a: '${b}'\nb: 1.5\n", ("a",), 1.5),
        ("a: ${b[1].c}\nb: [0, {c: 7}]\n", ("a",), 7),
        ("a: ${b.1}\nb: [0, 8]\n", ("a",), 8),
        ("m: {a: '${.b}', b: 3}\n", ("m", "a"), 3),
        ("m: {a: {x: '${..b}'}, b: 4}\n", ("m", "a", "x"), 4),
        ("m: {a: {x: '${..n.y}'}, n: {y: 5}}\n", ("m", "a", "x"), 5),
        ("a: ${m}\nm: {b: 6}\n", ("a", "b"), 6),
        ("a: ${m}\nm: {b: '${.c}', c: 6}\n", ("a", "b"), 6),
        ("a: ${x-y}\nx-y: 1\n", ("a",), 1),
        ("a: &v ${b}\nb: 2\nc: *v\n", ("c",), 2),
        ("d: &d {r: '${.s}'}\nu: {<<: *d, s: 9}\n", ("u", "r"), 9),
        ("a: ' ${b} '\nb: 1\n", ("a",), 1),
        ("a: ${b}\nb:\n", ("a",), None),
    ],
)
def test_whole_interpolations_are_followed(
    text: str,
    path: tuple[str | int, ...],
    value: object,
    in_force: Callable[..., Effective],
) -> None:
    found = in_force(text).get(path)
    assert found is not None
    assert found.value == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: ${oc.env:HOME}\n", "is not known from this file"),
        ("a: out/${b}\nb: [1]\n", "is not known from this file"),
        ("a: ${b}/${oc.env:X}\nb: 1\n", "is not known from this file"),
        ("a: x${a}\n", "is not known from this file"),
        ("a: ${b.${c}}\nb: {x: 1}\nc: x\n", "is not known from this file"),
        ("a: ${mul:${b},2}\nb: 1\n", "is not known from this file"),
        ("a: '{{ model }}'\n", "filled in by a template"),
        ("a: 'x-{{ model }}'\n", "filled in by a template"),
        ("a: '{% if x %}1{% endif %}'\n", "filled in by a template"),
        ("a: ${b}\n", "is not defined in this file"),
        ("a: ${b.c}\nb: {d: 1}\n", "is not defined in this file"),
        ("a: ${b.c}\nb: 1\n", "is not defined in this file"),
        ("a: ${b}\nb: ${a}\n", "refers to itself"),
        ("a: ${a}\n", "refers to itself"),
        ("a: ${a.b}\n", "refers to itself"),
        ("a: ${b}\nb: ${oc.env:X}\n", "oc.env:X"),
        ("a: ${.....b}\nb: 1\n", "leads out of the file"),
    ],
)
def test_what_the_file_does_not_say_is_unknown_and_says_why(
    text: str, why: str, in_force: Callable[..., Effective]
) -> None:
    found = in_force(text).get(("a",))
    assert found is not None
    assert found.value is UNKNOWN
    assert why in (found.why or "")


@pytest.mark.parametrize(("text", "value"), [
    ("a: out/${b}\nb: 1\n", "out/1"), ("a: ${b}${b.c}\nb: {c: x}\n", UNKNOWN), ("a: ${b}-${c.d}\nb: 1\nc: {d: x}\n", "1-x"),
])
def test_references_in_a_text(text: str, value: object, in_force: Callable[..., Effective]) -> None:
    found = in_force(text).get(("a",))
    assert found is not None
    assert found.value == value


def test_a_bomb_of_references_in_texts_is_cut_off(in_force: Callable[..., Effective]) -> None:
    text = "p0: x\n" + "".join(f"p{i}: '${{p{i - 1}}}${{p{i - 1}}}'\n" for i in range(1, 200))
    found = in_force(text).get(("p199",))
    assert found is not None
    assert found.value is UNKNOWN or len(str(found.value)) <= 4_000


def test_below_an_unknown_value_everything_is_unknown(in_force: Callable[..., Effective]) -> None:
    found = in_force("a: ${oc.decode:x}\n").get(("a", "b", "c"))
    assert found is not None
    assert found.value is UNKNOWN


@pytest.mark.parametrize("path", [("b",), ("a", "b"), ("a", 0), ("l", 2), ("l", "x"), ("l", -1), ("a", "b", "c")])
def test_what_is_not_there_is_none(path: tuple[str | int, ...], in_force: Callable[..., Effective]) -> None:
    assert in_force("a: 1\nl: [1, 2]\n").get(path) is None


def test_plain_data_has_unknown_in_its_place(in_force: Callable[..., Effective]) -> None:
    assert in_force("a: [1, '${oc.env:X}', {b: x}]\n").plain(("a",)) == [1, UNKNOWN, {"b": "x"}]


def test_chains_of_references_take_no_time(in_force: Callable[..., Effective]) -> None:
    text = "p0: {k: 1, l: 2}\n" + "".join(
        f"p{i}: {{k: '${{p{i - 1}.k}}', l: '${{p{i - 1}}}'}}\n" for i in range(1, 400)
    )
    begun = time.monotonic()
    values = in_force(text)
    first, last = values.get(("p30", "k")), values.get(("p399", "l", "k"))
    values.plain(())
    assert first is not None
    assert first.value == 1
    assert last is not None  # UNKNOWN or 1, but soon
    assert time.monotonic() - begun < 2


def test_a_bomb_of_references_is_cut_off(in_force: Callable[..., Effective]) -> None:
    text = "p0: [x]\n" + "".join(f"p{i}: ['${{p{i - 1}}}', '${{p{i - 1}}}', '${{p{i - 1}}}']\n" for i in range(1, 45))
    begun = time.monotonic()
    in_force(text).plain(("p44",))
    assert time.monotonic() - begun < 2


def test_a_dollar_in_python_is_text(in_force: Callable[..., Effective]) -> None:
    found = in_force('A = "${b}"\n', "python").get(("A",))
    assert found is not None
    assert found.value == "${b}"


def test_arguments_that_are_calls_are_followed(in_force: Callable[..., Effective]) -> None:
    values = in_force("f(cfg=LoraConfig(r=8))\n", "python")
    found = values.get(("f()", "cfg", "r"))
    assert found is not None
    assert found.value == 8


def test_json_and_toml_interpolate_too(in_force: Callable[..., Effective]) -> None:
    for text, kind in (('{"a": "${b}", "b": 1}', "json"), ('a = "${b}"\nb = 1\n', "toml")):
        found = in_force(text, kind).get(("a",))
        assert found is not None
        assert found.value == 1


def test_a_relative_reference_is_found_from_its_node_alone(in_force: Callable[..., Effective]) -> None:
    values = in_force("m: {a: '${.b}', b: 3}\n")
    node = values.root.entries[0].value.entries[0].value
    assert values.scalar(node).value == 3
    assert values.plain(node) == 3
