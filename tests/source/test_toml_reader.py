from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from vramlint.source import Node, SourceError, SourceFile

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Read = Callable[[str, str], SourceFile]
Find = Callable[..., Node]


def plain(node: Node) -> object:
    if node.kind == "map":
        return {entry.key: plain(entry.value) for entry in node.entries}
    return [plain(item) for item in node.items] if node.kind == "seq" else node.value


@pytest.mark.parametrize(
    "text",
    [
        "a = 1\nb.c = 'x'\n\"d e\".f = 2\n",
        "[t]\nx = 1\n[t.u]\ny = 2\n[v.w]\nz = 3\n[v]\nq = 4\n",
        "[[a]]\nx = 1\n[[a]]\nx = 2\n[a.sub]\ny = 3\n[[a.deep]]\n[[a.deep]]\nz = 1\n",
        "a = [1, 2, # c\n 3,\n]\nb = [[1], []]\nc = {x = 1, y.z = 'q'}\n",
        "a = 1\r\nb = '''\r\nx\r\ny'''\r\n[t]\r\nc = \"\"\"\r\nz\"\"\"\r\n",
        'a = """x"""""\nb = \'\'\'\'\'\'\nc = "\\u00e9\\t\\"q\\""\n"k\\u0041" = 1\n',
        "a = 0x1F\nb = 1_000\nc = +5\nd = -0\ne = 1e5\nf = 6.5E-3\ng = inf\nh = -inf\ni = 0o17\nj = 0b11\nk = -0.0\n",
        "a = true\nb = false\n# c\n",
        "[ t . u ]\nx=1\n[t.'v.w']\ny=2\n",
        "a.b.c = 1\na.b.d = 2\n[x]\ny.z = 1\n",
        "😀 = 1\n".replace("😀", '"😀"') + "b = '日本'\n",
    ],
)
def test_values_are_those_of_tomllib(text: str, read_text: Read) -> None:
    assert plain(read_text(text, "toml").documents[0].root) == tomllib.loads(text)


@pytest.mark.parametrize(
    ("text", "path", "spelt"),
    [
        ("a = 1 # c\n", ("a",), "1"),
        ("a.b = 'x'\n", ("a", "b"), "'x'"),
        ("[t]\n  a = [1, 22]\n", ("t", "a", 1), "22"),
        ("[[t]]\na = 1\n[[t]]\na = 2\n", ("t", 1, "a"), "2"),
        ("x = {a = {b = 'q'}}\n", ("x", "a", "b"), "'q'"),
        ("\ufeffa = 1\n", ("a",), "1"),
        ("a = 1\r\nb = 'y'\r\n", ("b",), "'y'"),
        ('a = "😀" # x\nb = 2\n', ("b",), "2"),
        ("d = 1979-05-27 07:32:00\ne = 1\n", ("d",), "1979-05-27 07:32:00"),
        ('a = """x"""""\n', ("a",), '"""x"""""'),
        ("[t]\n", ("t",), "[t]"),
    ],
)
def test_spans_cut_out_exactly_the_value(
    text: str,
    path: tuple[str | int, ...],
    spelt: str,
    read_text: Read,
    node_of: Find,
) -> None:
    file = read_text(text, "toml")
    assert file.raw(node_of(file, *path).span) == spelt


def test_key_spans_are_the_key_of_the_value_not_of_its_table(read_text: Read) -> None:
    text = "[a.b]\nc = 1\n[a]\nd = 2\n"
    file = read_text(text, "toml")
    (entry,) = file.documents[0].root.entries
    assert text[: entry.key_span.start].endswith("1\n[")  # the explicit header of `a`, though it comes later
    assert [file.raw(inner.key_span) for inner in entry.value.entries] == ["b", "d"]


def test_dates_stay_text(read_text: Read, node_of: Find) -> None:
    node = node_of(read_text("a = 2024-01-31\n", "toml"), "a")
    assert (node.value, node.style) == ("2024-01-31", "date")


def test_strings_over_several_lines_are_locked(read_text: Read, node_of: Find) -> None:
    assert node_of(read_text('a = """\nx"""\n', "toml"), "a").locked


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("a = \n", 4),
        ("a = 1\na = 2\n", None),
        ("[a]\n[a]\n", None),
        ("a = [1,,2]", 7),
        ("= 1", 0),
        ("\x00 = 1", 0),
        ('a = "x\n', None),
        ("\ufeffa = \n", 5),
        ("\r\na = x\r\n", 6),
        ("a = '''x", None),
        ("a = {b = 1", None),
        ("a = 1 b = 2", None),
        ("a = 2024-13-01\n", None),
        ("[a\n", None),
        ("a..b = 1\n", None),
        ("a = 1\na.b = 2\n", None),
        ("a = " + "9" * 5000, None),
        ("a = [\n1\n", None),
    ],
)
def test_broken_text_is_an_error_with_a_place(text: str, offset: int | None, read_text: Read) -> None:
    with pytest.raises(SourceError) as caught:
        read_text(text, "toml")
    assert caught.value.kind == "syntax"
    assert caught.value.span is not None
    assert 0 <= caught.value.span.start <= caught.value.span.end <= len(text)
    if offset is not None:
        assert caught.value.span.start == offset
