from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from vramlint.source import Node, SourceError, SourceFile

Read = Callable[[str, str], SourceFile]
Find = Callable[..., Node]


def plain(node: Node) -> object:
    if node.kind == "map":
        return {entry.key: plain(entry.value) for entry in node.entries}
    return [plain(item) for item in node.items] if node.kind == "seq" else node.value


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "1",
        '"x"',
        "null",
        ' {"a": [1, -2.5e3, 1E5, 0.0, true, false, null, "\\ud83d\\ude00\\n"]} \r\n',
        '{"train_batch_size": "auto", "fp16": {"enabled": "auto"}}',
        '{"a": {"b": {"c": []}}}',
        "[[[[]]]]",
        '{"a": Infinity, "b": -Infinity}',
        '{"":1}',
        '{"a":"\\ud800"}',
    ],
)
def test_values_are_those_of_the_json_module(text: str, read_text: Read) -> None:
    found, wanted = plain(read_text(text, "json").documents[0].root), json.loads(text)
    assert repr(found) == repr(wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"a": 1, // c\n "b": 2}', {"a": 1, "b": 2}),
        ('// top\n{"a": [1, 2,],}', {"a": [1, 2]}),
        ('{/* x */"a"/* y\n */: /**/ 1 /* z */}', {"a": 1}),
        ('{"a": "// no comment /* */"}', {"a": "// no comment /* */"}),
        ('\ufeff{"a": 1}', {"a": 1}),
    ],
)
def test_comments_and_trailing_commas_are_taken(text: str, wanted: object, read_text: Read) -> None:
    assert plain(read_text(text, "json").documents[0].root) == wanted


@pytest.mark.parametrize(
    ("text", "path", "spelt"),
    [
        ('{"a": 1, "b": [true, "😀", -1.5e3]}', ("b", 2), "-1.5e3"),
        ('{"😀": {"b" : "x"}}', ("😀", "b"), '"x"'),
        ('\ufeff{"a":\r\n[1 , 22]}', ("a", 1), "22"),
        ('{"a": {"b": 1} }', ("a",), '{"b": 1}'),
    ],
)
def test_spans_cut_out_exactly_the_value(
    text: str,
    path: tuple[str | int, ...],
    spelt: str,
    read_text: Read,
    node_of: Find,
) -> None:
    file = read_text(text, "json")
    assert file.raw(node_of(file, *path).span) == spelt


def test_duplicate_keys_are_recorded_with_both_places(read_text: Read) -> None:
    text = '{"a": 1, "b": {"a": 2, "a": 3}, "a": 4}'
    found = {(twice.key, twice.first.start, twice.second.start) for twice in read_text(text, "json").duplicates}
    assert found == {("a", 15, 23), ("a", 1, 32)}


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ('{"a" 1}', 5),
        ('{"a": tru}', 6),
        ("[1,2", 4),
        ('{"a":1} x', 8),
        ('["\n"]', 2),
        ("# c\n{}", 0),
        ("/* ", 0),
        ("{a: 1}", 1),
        ("{'a': 1}", 1),
        ("[1 2]", 3),
        ("[,1]", 1),
        ('{"a"', 4),
        ('{"a":', 5),
        ('{"a": "x', 6),
        ("[01]", 2),
        ("[1.]", 2),
        ("[+1]", 1),
        ('["\\x"]', 2),
        ("[" + "9" * 5000 + "]", 1),
        ("{\x00}", 1),
        ("\ufeff{,}", 2),
    ],
)
def test_broken_text_is_an_error_at_its_place(text: str, offset: int, read_text: Read) -> None:
    with pytest.raises(SourceError) as caught:
        read_text(text, "json")
    assert (caught.value.kind, caught.value.span and caught.value.span.start) == ("syntax", offset)
