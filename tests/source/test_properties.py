"""What holds for any text: it is read as its format's own parser reads it; an edit does what it says or is refused."""

from __future__ import annotations

import ast
import json
import math
import os
import re
import sys
from collections.abc import Iterator

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lab.edits import independent, is_right, operations_of
from tests.source.texts import DATA, MAPPING, NEWLINES, python_text, toml_text, yaml_text
from vramlint.source import Edited, Format, Node, SourceError, SourceFile, apply, read
from vramlint.source.effective import effective
from vramlint.source.yaml_reader import YamlReader

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FACTOR = int(os.environ.get("VRAMLINT_EXAMPLES", "1"))
"""How many times more examples than usual: for a long run after a change of the readers or the edits."""


def examples(count: int) -> settings:
    return settings(MANY, max_examples=count * FACTOR)


MANY = settings(max_examples=60 * FACTOR, deadline=None, suppress_health_check=list(HealthCheck))


def every_node(node: Node) -> Iterator[Node]:
    yield node
    for child in (*(entry.value for entry in node.entries), *node.items):
        yield from every_node(child)


def line_breaks(text: str) -> set[str]:
    return set(re.findall("\r\n|\r|\n", text))


def check_edits(file: SourceFile) -> int:
    """Every edit is right to another parser, or refused; how many were made."""
    before = independent(file.text, file.format)
    made = 0
    for operation in operations_of(file):
        result = apply(file, [operation])
        if isinstance(result, Edited):
            made += 1
            assert is_right(before, file, operation, result), (file.text, operation, result.text)
            if line_breaks(file.text):
                assert line_breaks(result.text) <= line_breaks(file.text), (file.text, result.text)
            assert result.text.startswith("\ufeff") == file.text.startswith("\ufeff")
    return made


def same(found: object, wanted: object) -> bool:
    if isinstance(found, float) and isinstance(wanted, float) and math.isnan(found):
        return math.isnan(wanted)
    if isinstance(found, dict) and isinstance(wanted, dict):
        return list(found) == [str(key) for key in wanted] and all(
            same(a, b) for a, b in zip(found.values(), wanted.values(), strict=True)
        )
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(same(a, b) for a, b in zip(found, wanted, strict=True))
    return type(found) is type(wanted) and found == wanted


def plain(node: Node) -> object:
    if node.kind == "map":
        return {entry.key: plain(entry.value) for entry in node.entries}
    return [plain(item) for item in node.items] if node.kind == "seq" else node.value


@MANY
@given(yaml_text())
def test_yaml_is_read_as_pyyaml_reads_it(text: str) -> None:
    try:
        wanted = yaml.safe_load(text.removeprefix("\ufeff"))
    except yaml.YAMLError:
        return  # what we make of it is the next test but one
    file = read("a.yaml", text.encode())
    found = effective(file, file.documents[0])
    if "${" not in text and "{{" not in text:
        names = {True: "on"}
        keys = sorted(str(names.get(key, key)) for key in wanted) if isinstance(wanted, dict) else []
        assert sorted(found.keys(())) == keys
        for key, value in wanted.items() if isinstance(wanted, dict) else ():
            if not isinstance(value, dict | list) and key is not True:
                resolved = found.get((key,))
                assert resolved is not None
                assert same(resolved.value, value)


@MANY
@given(yaml_text())
def test_yaml_spans_cut_out_what_reads_as_the_value(text: str) -> None:
    try:
        file = read("a.yaml", text.encode())
    except SourceError:
        return
    for node in every_node(file.documents[0].root):
        if node.kind == "scalar" and node.style not in ("|", ">") and node.locked is None:
            assert same(yaml.safe_load(file.raw(node.span)), node.value)
        for entry in node.entries:
            assert str(yaml.load(file.raw(entry.key_span), yaml.BaseLoader)) == entry.key  # noqa: S506 (all text)


@MANY
@given(yaml_text())
def test_both_yaml_parsers_give_the_same_tree(text: str) -> None:
    try:
        wanted = YamlReader("a", text, yaml.SafeLoader).read()
    except SourceError:
        return
    assert YamlReader("a", text).read() == wanted


@examples(20)
@given(yaml_text())
def test_yaml_edits_are_right_or_refused(text: str) -> None:
    try:
        file = read("a.yaml", text.encode())
        independent(text, "yaml")
    except (SourceError, yaml.YAMLError, TypeError):
        return
    check_edits(file)


@examples(200)
@given(st.text(alphabet="ab:  -[]{},#&*!|>'\"\n\t?~0.%@\r\u2028é<", max_size=40))
@example("a: &x\n- *x")
@example("? - a\n: b")
@example("a: 1 # c\u2028b: 2\n")
@example("{a: 1, ? b}")
@example("a:\n- b\n-c: d\n")
@example("!!str a: b\n? |\n  x\n: y\n")
def test_any_text_is_yaml_to_us_where_it_is_to_pyyaml_and_edits_of_it_are_right(text: str) -> None:
    try:
        nodes = [
            node for node in yaml.compose_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if node is not None
        ]
    except (yaml.YAMLError, ValueError):
        nodes = []
    try:
        file = read("a.yaml", text.encode())
    except SourceError as error:
        # PyYAML lets a list hold itself; we do not.
        assert not nodes or "inside its own anchor" in error.message or error.kind == "empty", text  # noqa: PT017
        return
    assert nodes
    try:
        independent(text, "yaml")
    except (yaml.YAMLError, TypeError, ValueError):
        return
    check_edits(file)


@MANY
@given(toml_text())
def test_toml_is_read_as_tomllib_reads_it_and_its_edits_are_right(text: str) -> None:
    try:
        wanted = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError:
        with pytest.raises(SourceError):
            read("a.toml", text.encode())
        return
    try:
        file = read("a.toml", text.encode())
    except SourceError as error:
        assert error.kind == "empty"  # noqa: PT017
        return
    for node in every_node(file.documents[0].root):
        if node.kind == "scalar" and node.style != "date":
            assert same(tomllib.loads(f"k = {file.raw(node.span)}")["k"], node.value)
    assert [entry.key for entry in file.documents[0].root.entries] == list(wanted)
    check_edits(file)


@examples(200)
@given(st.text(alphabet="ab= .[]{},#'\"\n\r\t0-_\\:é", max_size=40))
def test_any_text_is_toml_to_us_where_it_is_to_tomllib(text: str) -> None:
    try:
        wanted = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError):
        wanted = None
    try:
        file = read("a.toml", text.encode())
    except SourceError as error:
        assert wanted is None or error.kind == "empty", text  # noqa: PT017
        return
    assert wanted is not None
    assert [entry.key for entry in file.documents[0].root.entries] == list(wanted)
    check_edits(file)


@MANY
@given(DATA | MAPPING, st.sampled_from([None, 1, 2, "\t"]), NEWLINES, st.booleans(), st.sampled_from(["", "\ufeff"]))
def test_json_is_read_as_the_json_module_reads_it_and_its_edits_are_right(
    data: object,
    indent: int | str | None,
    newline: str,
    escaped: bool,
    bom: str,
) -> None:
    text = json.dumps(data, indent=indent, ensure_ascii=escaped).replace("\n", newline)
    file = read("a.json", (bom + text).encode())
    assert same(plain(file.documents[0].root), json.loads(text))
    for node in every_node(file.documents[0].root):
        assert same(plain(node), json.loads(file.raw(node.span)))
    check_edits(file)


@examples(200)
@given(st.text(alphabet='ab:[]{},"\n\\ 0.1e-+tru', max_size=30))
def test_any_text_is_json_to_us_where_it_is_to_the_json_module(text: str) -> None:
    try:
        wanted: object = json.loads(text)
    except ValueError:
        return
    if not text.isspace():
        assert read("a.json", text.encode()).duplicates or same(
            plain(read("a.json", text.encode()).documents[0].root), wanted
        )


@examples(10)
@given(python_text())
def test_python_spans_cut_out_what_reads_as_the_value_and_edits_are_right(text: str) -> None:
    file = read("a.py", text.encode())
    for node in every_node(file.documents[0].root):
        if node.kind == "scalar" and node.style in ("plain", "single", "double"):
            assert same(ast.literal_eval(file.raw(node.span)), node.value)
        if node.style == "name":
            assert file.raw(node.span).isidentifier()
            assert node.referent is not None
            assert same(ast.literal_eval(file.raw(node.referent.span)), node.value)
    check_edits(file)


@examples(200)
@given(
    st.binary(max_size=60) | st.text(max_size=60).map(str.encode), st.sampled_from(["yaml", "toml", "json", "python"])
)
def test_any_bytes_are_read_or_refused(data: bytes, kind: Format) -> None:
    try:
        file = read("a", data, kind)
    except SourceError as error:
        if error.span is not None:
            assert 0 <= error.span.start <= error.span.end <= len(data)  # noqa: PT017
    else:
        assert file.text.encode() == data
        for document in file.documents:
            for node in every_node(document.root):
                assert 0 <= node.span.start <= node.span.end <= len(file.text)
