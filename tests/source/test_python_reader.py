from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.source import Entry, Node, SourceError, SourceFile

Read = Callable[[str, str], SourceFile]
Find = Callable[..., Node]


def entry(file: SourceFile, key: str) -> Entry:
    (found,) = [e for e in file.documents[0].root.entries if e.key == key]
    return found


def keys(file: SourceFile) -> list[str]:
    return [e.key for e in file.documents[0].root.entries]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1", 1),
        ("-1", -1),
        ("2e-5", 2e-5),
        ("'x'", "x"),
        ("True", True),
        ("None", None),
        ("5 * 8", 40),
        ("2 ** 10", 1024),
        ("7 // 2", 3),
        ("7 / 2", 3.5),
        ("1 + 2 * 3", 7),
        ("-(3 - 5)", 2),
        ("1_000", 1000),
        ("float('2e-5')", 2e-5),
        ("int(8)", 8),
        ("0x10", 16),
        ("10 % 4", 2),
        ("'a' 'b'", "ab"),
        ("int('12')", 12),
    ],
)
def test_literals_and_arithmetic_are_folded(expression: str, value: object, read_text: Read, node_of: Find) -> None:
    node = node_of(read_text(f"A = {expression}\n", "python"), "A")
    assert node.kind == "scalar"
    assert (type(node.value), node.value) == (type(value), value)


@pytest.mark.parametrize(
    "expression",
    [
        "f'{x}'",
        "x if y else z",
        "lambda: 1",
        "[i for i in range(3)]",
        "1 / 0",
        "2 ** 10000",
        "10 ** 400",
        "a < b",
        "x[0]",
        "b'x'",
        "...",
        "1j",
        "not True",
        "'a' + 'b'",
        "[*a, 1]",
        "unknown",
        "1 if True else 2",
        "'%d' % 3",
    ],
)
def test_what_cannot_be_folded_is_opaque_and_says_what_it_is(expression: str, read_text: Read, node_of: Find) -> None:
    node = node_of(read_text(f"A = {expression}\n", "python"), "A")
    assert node.kind == "opaque"
    assert node.why


@pytest.mark.parametrize(
    ("imports", "call", "key", "target"),
    [
        (
            "from transformers import TrainingArguments",
            "TrainingArguments()",
            "TrainingArguments()",
            "transformers.TrainingArguments",
        ),
        (
            "import transformers",
            "transformers.TrainingArguments()",
            "TrainingArguments()",
            "transformers.TrainingArguments",
        ),
        (
            "import transformers as tf",
            "tf.TrainingArguments()",
            "TrainingArguments()",
            "transformers.TrainingArguments",
        ),
        ("from peft import LoraConfig as LC", "LC()", "LoraConfig()", "peft.LoraConfig"),
        ("import peft", "peft.get_peft_model()", "get_peft_model()", "peft.get_peft_model"),
        ("from peft import get_peft_model", "get_peft_model()", "get_peft_model()", "peft.get_peft_model"),
        (
            "from transformers import AutoModel",
            "AutoModel.from_pretrained()",
            "AutoModel.from_pretrained()",
            "transformers.AutoModel.from_pretrained",
        ),
        (
            "import transformers",
            "transformers.AutoModel.from_pretrained()",
            "AutoModel.from_pretrained()",
            "transformers.AutoModel.from_pretrained",
        ),
        ("import torch.nn as nn", "nn.Linear()", "Linear()", "torch.nn.Linear"),
        ("import torch", "torch.nn.Linear()", "Linear()", "torch.nn.Linear"),
        ("", "tokenizer()", "tokenizer()", "tokenizer"),
        ("", "model.enable()", "model.enable()", "model.enable"),
        ("", "self.model.enable()", "model.enable()", "self.model.enable"),
        ("from . import LoraConfig", "LoraConfig()", "LoraConfig()", ".LoraConfig"),
    ],
)
def test_calls_go_by_their_name_however_imported(
    imports: str, call: str, key: str, target: str, read_text: Read
) -> None:
    made = entry(read_text(f"{imports}\n{call}\n", "python"), key)
    assert (made.value.kind, made.value.style, made.value.target) == ("map", "call", target)


def test_calls_are_found_at_any_depth_in_the_order_of_the_text(read_text: Read) -> None:
    text = (
        "class A:\n    x = f(1)\n    def m(self):\n        return g(h(2), k=[i(3)])\n"
        "if __name__ == '__main__':\n    with j(4):\n        f(5)\n@k(6)\ndef n(): pass\n"
    )
    assert [key for key in keys(read_text(text, "python")) if "()" in key] == [
        "f()",
        "g()",
        "h()",
        "i()",
        "j()",
        "f()#2",
        "k()",
    ]


def test_arguments_are_by_position_and_by_name(read_text: Read) -> None:
    file = read_text("f(1, 'x', a=True, b=[1, 2], c={'d': None})\n", "python")
    call = entry(file, "f()").value
    assert [(e.key, e.value.kind, file.raw(e.key_span)) for e in call.entries] == [
        ("0", "scalar", "1"),
        ("1", "scalar", "'x'"),
        ("a", "scalar", "a"),
        ("b", "seq", "b"),
        ("c", "map", "c"),
    ]


def test_a_call_as_argument_is_an_alias_of_its_own_entry(read_text: Read, node_of: Find) -> None:
    file = read_text("f(cfg=LoraConfig(r=8))\ng = LoraConfig(r=16)\nh(g)\n", "python")
    inner = node_of(file, "f()", "cfg")
    assert (inner.kind, inner.target) == ("alias", "LoraConfig()")
    assert inner.referent is entry(file, "LoraConfig()").value
    assert node_of(file, "h()", "0").target == "LoraConfig()#2"
    assert node_of(file, "g").target == "LoraConfig()#2"
    assert file.documents[0].anchors["LoraConfig()"] is inner.referent


@pytest.mark.parametrize(
    ("text", "value", "style"),
    [
        ("import torch\nf(a=torch.bfloat16)\n", "torch.bfloat16", "attribute"),
        ("import torch as t\nf(a=t.bfloat16)\n", "torch.bfloat16", "attribute"),
        ("from torch import bfloat16\nf(a=bfloat16)\n", "torch.bfloat16", "attribute"),
        ("f(a=torch.bfloat16)\n", "torch.bfloat16", "attribute"),
        ("from peft import TaskType\nf(a=TaskType.CAUSAL_LM)\n", "TaskType.CAUSAL_LM", "attribute"),
        ("import torch\nD = torch.float16\nf(a=D)\n", "torch.float16", "attribute"),
        ("A = 512\nf(a=A)\n", 512, "name"),
        ("A = 512\nB = A\nf(a=B)\n", 512, "name"),
        ("f(a=A)\nA = 512\n", 512, "name"),
        ("A = 4\nf(a=A * 2)\n", 8, "folded"),
        ("A = 5 * 8\nf(a=A)\n", 40, "folded"),
        ("class C:\n    lr = 2e-5\nf(a=C.lr)\n", 2e-5, "name"),
        ("def main():\n    n = 3\n    f(a=n)\n", 3, "name"),
        ("A: int = 6\nf(a=A)\n", 6, "name"),
        ("if True:\n    A = 6\nf(a=A)\n", 6, "name"),
    ],
)
def test_names_bound_once_carry_their_value(
    text: str, value: object, style: str, read_text: Read, node_of: Find
) -> None:
    node = node_of(read_text(text, "python"), "f()", "a")
    assert (node.kind, node.value, node.style) == ("scalar", value, style)


@pytest.mark.parametrize(
    "text",
    [
        "A = 1\nA = 2\nf(a=A)\n",
        "A = 1\nA += 1\nf(a=A)\n",
        "A = 1\nfor A in x: pass\nf(a=A)\n",
        "A = 1\ndef g(A): f(a=A)\n",
        "A = 1\ndef g():\n    global A\n    A = 2\nf(a=A)\n",
        "A = 1\nimport A\nf(a=A)\n",
        "A = 1\nfrom x import *\nf(a=A)\n",
        "A = 1\n[A := 2]\nf(a=A)\n",
        "A, B = 1, 2\nf(a=A)\n",
        "A = 1\ndel A\nf(a=A)\n",
        "A = 1\nwith x as A: pass\nf(a=A)\n",
        "A = 1\ntry: pass\nexcept E as A: pass\nf(a=A)\n",
        "A = 1\nmatch x:\n    case {'k': A}: pass\nf(a=A)\n",
        "A = 1\nmatch x:\n    case {**A}: pass\nf(a=A)\n",
        "A = 1\ndef A(): pass\nf(a=A)\n",
        "A = 1\nclass A: pass\nf(a=A)\n",
        "class C:\n    A = 1\n    A = 2\nf(a=C.A)\n",
        "class C:\n    A = 1\nC.A = 2\nf(a=C.A)\n",
        "class C:\n    A = 1\n    A += 2\nf(a=C.A)\n",
        "class C:\n    A = 1\nf(a=A)\n",
        "A = A2\nA2 = A\nf(a=A)\n",
        "def g(args): f(a=args.x)\n",
        "args = parse()\nf(a=args.x)\n",
        "f(a=unheard_of)\n",
        "A = [1]\nA.append(2)\nf(a=A)\n",
        "A = {'k': 1}\nA['k'] = 2\nf(a=A)\n",
        "A = {'k': 1}\nA.update(k=2)\nf(a=A)\n",
        "A = [1]\ndel A[0]\nf(a=A)\n",
    ],
)
def test_names_that_may_hold_something_else_are_opaque(text: str, read_text: Read, node_of: Find) -> None:
    assert node_of(read_text(text, "python"), "f()", "a").kind == "opaque"


def test_a_use_of_a_constant_has_its_own_place_and_that_of_the_literal(read_text: Read, node_of: Find) -> None:
    text = "MAX_LENGTH = 512\nf(a=MAX_LENGTH)\n"
    file = read_text(text, "python")
    use = node_of(file, "f()", "a")
    assert file.raw(use.span) == "MAX_LENGTH"
    assert use.referent is not None
    assert file.raw(use.referent.span) == "512"
    assert use.locked is None
    assert use.rests_on == (node_of(file, "MAX_LENGTH"),)


def test_a_constant_used_twice_is_locked_where_it_is_used(read_text: Read, node_of: Find) -> None:
    file = read_text("N = 512\nf(a=N)\ng(b=N)\n", "python")
    assert node_of(file, "f()", "a").locked == "N is used in 2 places"
    assert node_of(file, "N").locked is None


@pytest.mark.parametrize(
    ("text", "found", "open_"),
    [
        ("c = {'a': 1, 'b': 2}\nf(**c)\n", {"a": 1, "b": 2}, False),
        ("c = dict(a=1)\nf(**c, b=2)\n", {"a": 1, "b": 2}, False),
        ("f(**{'a': 1})\n", {"a": 1}, False),
        ("f(**dict(a=1, b=2))\n", {"a": 1, "b": 2}, False),
        ("c = {'a': 1}\nd = {**c, 'b': 2}\nf(**d)\n", {"a": 1, "b": 2}, False),
        ("f(a=1, **kwargs)\n", {"a": 1}, True),
        ("f(a=1, **g())\n", {"a": 1}, True),
        ("f(*args, a=1)\n", {"a": 1}, True),
        ("c = {'a': 1, **x}\nf(**c)\n", {}, True),
        ("c = {'a': 1}\nc['b'] = 2\nf(**c)\n", {}, True),
        ("c = {1: 2}\nf(**c)\n", {}, True),
        ("def g(**c): f(a=1, **c)\n", {"a": 1}, True),
    ],
)
def test_splats_of_known_dicts_expand_and_others_leave_the_call_open(
    text: str,
    found: dict[str, object],
    open_: bool,
    read_text: Read,
) -> None:
    call = entry(read_text(text, "python"), "f()").value
    assert {e.key: e.value.value for e in call.entries} == found
    assert bool(call.why) is open_


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("a = C(x=1)\na.x = 2\n", "scalar", 2),
        ("a = C()\na.x = 2\n", "scalar", 2),
        ("a = C(x=1)\nif y:\n    a.x = 2\n", "opaque", None),
        ("a = C(x=1)\na.x = 2\na.x = 3\n", "opaque", None),
        ("a = C(x=1)\na.x += 2\n", "opaque", None),
        ("a = C(x=1)\na.x, b = 2, 3\n", "opaque", None),
        ("a = C(x=1)\ndel a.x\n", "opaque", None),
        ("a = C(x=1)\nb = a\nb.x = 2\n", "opaque", None),
        ("a = C(x=1)\nb = c = 1\na.y = 2\n", "scalar", 1),
        ("def m():\n    a = C(x=1)\n    a.x = 5\n", "scalar", 5),
        ("a = C(x=1)\ndef m():\n    a.x = 5\n", "opaque", None),
        ("a = C(x=1)\na.x = g()\n", "alias", None),
    ],
)
def test_attributes_set_later_count(text: str, kind: str, value: object, read_text: Read) -> None:
    call = entry(read_text(text, "python"), "C()").value
    (argument,) = [e for e in call.entries if e.key == "x"]
    assert (argument.value.kind, argument.value.value) == (kind, value)


def test_attributes_of_other_things_are_entries_of_the_module(read_text: Read, node_of: Find) -> None:
    file = read_text("model.config.use_cache = False\nself.x = 1\n", "python")
    assert node_of(file, "model.config.use_cache").value is False
    assert "self.x" not in keys(file)


def test_classes_are_maps_of_what_their_body_assigns(read_text: Read, node_of: Find) -> None:
    file = read_text("class Args:\n    lr: float = 2e-4\n    bs = 4\n    def m(self): x = 1\n", "python")
    node = node_of(file, "Args")
    assert (node.kind, node.style) == ("map", "class")
    assert [(e.key, e.value.value) for e in node.entries] == [("lr", 2e-4), ("bs", 4)]


@pytest.mark.parametrize(
    ("text", "path", "spelt"),
    [
        ("A = 'é'; B = 7\n", ("B",), "7"),
        ('print("😀"); f(bs=16)\n', ("f()", "bs"), "16"),
        ("x = '日本語'\r\nf(a='ü', b=2)\r\n", ("f()", "b"), "2"),
        ("\ufeffA = 1\n", ("A",), "1"),
        ("\ufeff\nA = 1\n", ("A",), "1"),
        ("A = (1)\n", ("A",), "1"),
        ("f(a=(\n  1))\n", ("f()", "a"), "1"),
        ("A = 'x\x0cy'\nB = 3\n", ("B",), "3"),
        ("A = 'x\u2028y'\nB = 3\n", ("B",), "3"),
        ("A = 1\x0c\nB = 3\n", ("B",), "3"),
        ("A = 1\rB = 3\r", ("B",), "3"),
        ("f(a=-1)\n", ("f()", "a"), "-1"),
        ("f(a=[1, (2, 'é', 3)])\n", ("f()", "a", 1, 2), "3"),
        ("f(a={'é': 1, 'b': 22})\n", ("f()", "a", "b"), "22"),
    ],
)
def test_spans_cut_out_exactly_the_value(
    text: str,
    path: tuple[str | int, ...],
    spelt: str,
    read_text: Read,
    node_of: Find,
) -> None:
    file = read_text(text, "python")
    assert file.raw(node_of(file, *path).span) == spelt


def test_a_bom_is_no_part_of_the_code_but_of_the_text(read_text: Read, node_of: Find) -> None:
    file = read_text("\ufeffA = 1\n", "python")
    assert file.text[0] == "\ufeff"
    assert node_of(file, "A").span.start == 5


@pytest.mark.parametrize(
    ("literal", "locked"),
    [
        ("'x'", False),
        ('"x"', False),
        ("r'x'", False),
        ("'a\\'b'", False),
        ("'''x'''", True),
        ("'a' 'b'", True),
        ('"""x\ny"""', True),
        ("('a'\n 'b')", True),
        ("''", False),
        ("'a\\\nb'", True),
    ],
)
def test_strings_that_are_not_one_plain_literal_are_locked(
    literal: str, locked: bool, read_text: Read, node_of: Find
) -> None:
    assert bool(node_of(read_text(f"A = {literal}\n", "python"), "A").locked) is locked


def test_duplicate_keys_of_a_dict_are_recorded(read_text: Read) -> None:
    (twice,) = read_text("A = {'a': 1, 'b': 2, 'a': 3}\n", "python").duplicates
    assert (twice.key, twice.first.start, twice.second.start) == ("a", 5, 21)


def test_a_keyword_given_twice_is_recorded(read_text: Read) -> None:
    # ast takes it; Python's compiler does not.
    (twice,) = read_text("f(a=1, a=2)\n", "python").duplicates
    assert (twice.key, twice.first.start, twice.second.start) == ("a", 2, 7)


@pytest.mark.parametrize(
    ("text", "offset"),
    [("A = (\n", None), ("A = 1 1\n", None), ("é = = 1\n", 4), ("A = 1\0\n", 5), ("  A = 1\n", None)],
)
def test_broken_text_is_an_error_with_a_place(text: str, offset: int | None, read_text: Read) -> None:
    with pytest.raises(SourceError) as caught:
        read_text(text, "python")
    assert caught.value.kind == "syntax"
    assert caught.value.span is not None
    if offset is not None:
        assert caught.value.span.start == offset


def test_reading_warns_of_nothing(read_text: Read, recwarn: pytest.WarningsRecorder) -> None:
    read_text("A = '\\d'\nB = 1 is 1\n", "python")
    assert not recwarn.list
