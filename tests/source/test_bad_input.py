from __future__ import annotations

import sys
import time

import pytest

from vramlint.source import Format, SourceError, effective, format_of, read

FORMATS: tuple[Format, ...] = ("yaml", "toml", "json", "python")
DEEP = 10_000


def error_of(data: bytes, kind: Format = "yaml", seconds: float = 2.0) -> SourceError:
    """The error of a bad file, which must come fast."""
    begun = time.process_time()
    with pytest.raises(SourceError) as caught:
        read("dir/a", data, kind)
    assert time.process_time() - begun < seconds
    assert caught.value.path == "dir/a"
    assert caught.value.message
    if caught.value.span is not None:
        assert caught.value.span.path == "dir/a"
    return caught.value


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"a: \xff\n", 3),
        (b"\xe9: 1\n", 0),
        ("é: ".encode() + b"\xc3(\n", 3),
        (b"a: \xed\xa0\x80", 3),
        ("a: é".encode()[:-1], 3),
    ],
)
def test_not_utf8_is_said_at_its_place(kind: Format, data: bytes, offset: int) -> None:
    error = error_of(data, kind)
    assert error.kind == "not-utf8"
    assert error.span is not None
    assert error.span.start == offset
    assert error.hint == "save the file as UTF-8"


def test_utf16_has_a_hint_of_its_own() -> None:
    error = error_of("a: 1\n".encode("utf-16"))
    assert (error.kind, error.hint) == ("not-utf8", "it looks like UTF-16; save it as UTF-8")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\t\n", "\ufeff".encode(), "\ufeff\n \n".encode()])
def test_empty_is_empty(kind: Format, data: bytes) -> None:
    assert error_of(data, kind).kind == "empty"


@pytest.mark.parametrize("kind", FORMATS)
def test_a_mebibyte_is_the_limit(kind: Format) -> None:
    line = {"yaml": b"# x\n", "toml": b"# x\n", "json": b"  \r\n", "python": b"# x\n"}[kind]
    body = b'{"a": 1}\n' if kind == "json" else b"a: 1\n" if kind == "yaml" else b"a = 1\n"
    full = body + line * (((1 << 20) - len(body)) // 4)
    assert len(full) <= 1 << 20
    assert read("a", full, kind).documents[0].root.entries
    error = error_of(full + line, kind)
    assert error.kind == "too-large"


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ("[" * DEEP, "yaml"),
        ("[" * DEEP + "]" * DEEP, "yaml"),
        ("{a: " * DEEP, "yaml"),
        ("- " * DEEP + "x", "yaml"),
        ("\n".join(" " * i + "a:" for i in range(1000)), "yaml"),
        ("[" * DEEP, "json"),
        ('{"a":' * DEEP, "json"),
        ("[" * DEEP + "]" * DEEP, "json"),
        ("a = " + "[" * DEEP, "toml"),
        ("a = " + "{b=" * DEEP, "toml"),
        (".".join("a" * DEEP) + " = 1", "toml"),
        ("[" + ".".join("a" * DEEP) + "]", "toml"),
        ("a = " + "(" * DEEP, "python"),
        ("a = " + "-" * DEEP * 10 + "1", "python"),
        ("a = b" + ".c" * DEEP * 10, "python"),
        ("a = f" + "()" * DEEP, "python"),
        ("a = " + "+".join("1" * DEEP * 5), "python"),
        ("a = " + "not " * DEEP + "1", "python"),
        ("a = " + "[" * 150 + "]" * 150, "python"),
        ("a = " + "lambda: " * DEEP + "1", "python"),
        ("a = " + "f(" * 150 + ")" * 150, "python"),
        ("if a: pass\n" + "elif b: pass\n" * DEEP, "python"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else None,
)
def test_depth_is_refused_and_does_not_recurse(data: str, kind: Format) -> None:
    assert error_of(data.encode(), kind).kind == "too-deep"


def test_depth_is_refused_by_the_pure_yaml_parser_too() -> None:
    import yaml

    from vramlint.source.yaml_reader import YamlReader

    for text in ("[" * DEEP, "- " * DEEP, "{a: " * DEEP):
        with pytest.raises(SourceError) as caught:
            YamlReader("a", text, yaml.SafeLoader).read()
        assert caught.value.kind == "too-deep"


@pytest.mark.parametrize("kind", ["yaml", "json", "toml"])
def test_a_hundred_levels_are_fine(kind: Format) -> None:
    nested = "[" * 95 + "]" * 95
    text = {"yaml": f"a: {nested}", "json": f'{{"a": {nested}}}', "toml": f"a = {nested}"}[kind]
    assert read("a", text.encode(), kind).documents


@pytest.mark.parametrize("kind", ["yaml", "json", "toml", "python"])
def test_too_many_values_are_refused(kind: Format) -> None:
    many = "[" + "1," * 100_001 + "1]"
    text = many if kind in ("yaml", "json") else f"a = {many}"
    error = error_of(text.encode(), kind, seconds=8)
    assert error.kind == "too-large"
    assert "100,000" in error.message


def test_an_alias_bomb_is_refused_by_arithmetic() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for level in range(1, 10):
        bomb += f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n"
    error = error_of(bomb.encode())
    assert (error.kind, "aliases" in error.message) == ("too-large", True)
    assert error.span is not None


def test_a_bomb_of_merge_keys_is_refused_by_arithmetic() -> None:
    bomb = "a0: &a0 {k: 1}\n" + "".join(f"a{n}: &a{n} {{x: {{<<: *a{n - 1}}}, y: *a{n - 1}}}\n" for n in range(1, 40))
    assert error_of(bomb.encode()).kind == "too-large"


def test_many_honest_aliases_are_fine() -> None:
    text = "base: &b {lr: 1, bs: 2}\n" + "".join(f"run{n}: {{<<: *b, n: {n}}}\n" for n in range(1000))
    file = read("a.yaml", text.encode())
    found = effective(file, file.documents[0]).get(("run999", "lr"))
    assert found is not None
    assert found.value == 1


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "data",
    [
        b"\x00",
        b"a\x00b: 1",
        b"%",
        b"\t",
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b"'",
        b"&",
        b"*",
        b"!",
        b"|",
        b">",
        b"- - -",
        b"---",
        b"...",
        b"a:\x0cb",
        b"\\",
        b"'''",
        b'"""',
        b"#",
        b"=",
        b":",
        b",",
        b"?",
        b"\xc2\x85",
        "\u2028".encode(),
        b"@",
        b"`",
        b"%YAML 9.9\n---\n",
        b"%TAG ! x\n---\n!y z",
        b'"\\UFFFFFFFF"',
        b'"\\ud800"',
        b"<<: 1",
        b"<<: [1, 2]",
        b"!!int x",
        b"!!float [1]",
        b"? ",
        b"a: !<x> b",
        b"0b_",
        b"-:",
        b"- !!binary x",
        b"&a",
        b"*a : b",
        b"[a]]",
        b"{a}}",
        b"!!python/object:os.system x",
        b"%YAML 1." + b"9" * 5000,
    ],
)
def test_scraps_are_read_or_refused_and_never_crash(kind: Format, data: bytes) -> None:
    try:
        file = read("a", data, kind)
    except SourceError as error:
        assert error.kind in ("syntax", "empty", "too-deep", "too-large")  # noqa: PT017 (both ways out are right)
    else:
        for document in file.documents:
            effective(file, document).plain(())


def test_nothing_in_a_file_is_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "antigravity", raising=False)
    read("a.py", b"import antigravity\nprint('run')\nA = print('x')\n")
    read("a.yaml", b"a: !!python/object/apply:builtins.print ['run']\n")
    assert capsys.readouterr().out == ""
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("train.yaml", "yaml"),
        ("a/b.YML", "yaml"),
        ("x.toml", "toml"),
        ("ds_config.json", "json"),
        ("x.jsonc", "json"),
        ("t.py", "python"),
        ("Makefile", None),
        ("a.txt", None),
        ("yaml", None),
        ("-", None),
        (".yaml", None),
    ],
)
def test_the_name_promises_a_format(path: str, kind: Format | None) -> None:
    assert format_of(path) == kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("model: x\nlr: 1\n", "yaml"),
        ("# c\n- a\n", "yaml"),
        ("a = 1\nb = 'x'\n", "toml"),
        ("[model]\nname = 'x'\n", "toml"),
        ('{"a": 1}', "json"),
        ('// c\n{"a": 1}', "json"),
        ("import torch\nA = 1\n", "python"),
        ("from a import b\nb()\n", "python"),
        ("args = TrainingArguments(\n    bf16=True)\n", "python"),
        ("a: x=1\nb: 2\n", "yaml"),
        ("[a, b]\n", "yaml"),
        ("\ufeffa: 1\n", "yaml"),
        ("run: |\n  FOO=1 python x.py\n", "yaml"),
    ],
)
def test_standard_input_is_known_by_its_looks(text: str, kind: Format) -> None:
    assert read("-", text.encode()).format == kind


def test_an_error_has_the_place_in_a_file_with_a_bom_and_crlf() -> None:
    error = error_of("\ufeffa: 1\r\nb: *x\r\n".encode())
    assert error.span is not None
    assert error.span.start == 10
