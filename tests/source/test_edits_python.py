from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.source import Delete, Expression, Insert, Operation, PlainValue, Rename, Set

EditIt = Callable[..., str]
TORCH = "import torch\n"


@pytest.mark.parametrize(
    ("text", "path", "value", "wanted"),
    [
        ("f(a=1)\n", ("f()", "a"), 2, "f(a=2)\n"),
        ("f(a = 1) # c\r\n", ("f()", "a"), 2, "f(a = 2) # c\r\n"),
        ("\ufefff(a=1)\n", ("f()", "a"), 2, "\ufefff(a=2)\n"),
        ("f(a=(1))\n", ("f()", "a"), 2, "f(a=(2))\n"),
        ("f('é', a='😀', b=1)\n", ("f()", "b"), 2, "f('é', a='😀', b=2)\n"),
        ("f(1, 2)\n", ("f()", "1"), 3, "f(1, 3)\n"),
        ("f(a='x')\n", ("f()", "a"), "y", "f(a='y')\n"),
        ("f(a='x')\n", ("f()", "a"), "it's", 'f(a="it\'s")\n'),
        ('f(a="x")\n', ("f()", "a"), 'q"\\\n', 'f(a="q\\"\\\\\\n")\n'),
        ("f(a=True)\n", ("f()", "a"), False, "f(a=False)\n"),
        ("f(a=1)\n", ("f()", "a"), None, "f(a=None)\n"),
        ("f(a=2e-5)\n", ("f()", "a"), 1e-6, "f(a=1.0e-06)\n"),
        ("f(a=-1)\n", ("f()", "a"), 8, "f(a=8)\n"),
        ("f(a=[1, 2])\n", ("f()", "a"), ["x"], 'f(a=["x"])\n'),
        ("f(a=[\n    1,\n    2,\n])\n", ("f()", "a"), [3], "f(a=[3])\n"),
        ("f(a=[1, 2])\n", ("f()", "a", 0), 3, "f(a=[3, 2])\n"),
        ("f(a={'k': 1})\n", ("f()", "a", "k"), 2, "f(a={'k': 2})\n"),
        ("f(a={'k': 1})\n", ("f()", "a"), {"k": 2}, 'f(a={"k": 2})\n'),
        ("BS = 8  # batch\nf(BS)\n", ("BS",), 4, "BS = 4  # batch\nf(BS)\n"),
        ("BS = 8\nf(a=BS)\nprint(BS * 2)\n", ("BS",), 4, "BS = 4\nf(a=BS)\nprint(BS * 2)\n"),
        ("BS = 8\nT = BS * 2\nf(a=T)\n", ("BS",), 4, "BS = 4\nT = BS * 2\nf(a=T)\n"),
        ("BS = 8\nf(a=BS)\n", ("f()", "a"), 4, "BS = 4\nf(a=BS)\n"),
        ("A = 8\nB = A\nf(a=B)\n", ("f()", "a"), 4, "A = 4\nB = A\nf(a=B)\n"),
        (
            "class C:\n    lr: float = 2e-4\nf(a=C.lr)\n",
            ("f()", "a"),
            1e-4,
            "class C:\n    lr: float = 0.0001\nf(a=C.lr)\n",
        ),
        ("c = {'a': 1}\nf(**c)\n", ("f()", "a"), 2, "c = {'a': 2}\nf(**c)\n"),
        ("c = dict(a=1)\nf(**c)\n", ("c", "a"), 2, "c = dict(a=2)\nf(**c)\n"),
        ("c = {'a': 1}\nf(**c)\ng(**c)\n", ("c", "a"), 2, "c = {'a': 2}\nf(**c)\ng(**c)\n"),
        ("a = C(x=1)\na.y = 2\n", ("C()", "y"), 3, "a = C(x=1)\na.y = 3\n"),
        ("m.config.use_cache = True\n", ("m.config.use_cache",), False, "m.config.use_cache = False\n"),
        (TORCH + "f(a=torch.bfloat16)\n", ("f()", "a"), Expression("torch.float16"), TORCH + "f(a=torch.float16)\n"),
        (
            TORCH + "D = torch.bfloat16\nf(a=D)\n",
            ("f()", "a"),
            Expression("torch.float16"),
            TORCH + "D = torch.float16\nf(a=D)\n",
        ),
        (TORCH + "f(a='bfloat16')\n", ("f()", "a"), Expression("torch.float16"), TORCH + "f(a=torch.float16)\n"),
        (TORCH + "f(a=torch.bfloat16)\n", ("f()", "a"), "float16", TORCH + 'f(a="float16")\n'),
        ("def main():\n\tx = g(h(i(a=1)))\n", ("i()", "a"), 2, "def main():\n\tx = g(h(i(a=2)))\n"),
        ("f(a=1)\nf(a=2)\n", ("f()#2", "a"), 3, "f(a=1)\nf(a=3)\n"),
    ],
)
def test_set(text: str, path: tuple[str | int, ...], value: PlainValue, wanted: str, edit: EditIt) -> None:
    assert edit(text, Set(path, value), kind="python") == wanted


@pytest.mark.parametrize(
    ("text", "path", "after", "wanted"),
    [
        ("f()\n", ("f()",), None, "f(k=9)\n"),
        ("f(\n)\n", ("f()",), None, "f(k=9)\n"),
        ("f(a=1)\n", ("f()",), "a", "f(a=1, k=9)\n"),
        ("f(a=1, b=2)\n", ("f()",), "a", "f(a=1, k=9, b=2)\n"),
        ("f(x, a=1)\n", ("f()",), "0", "f(x, a=1, k=9)\n"),
        ("f(x)\n", ("f()",), "0", "f(x, k=9)\n"),
        ("f(x, y)\n", ("f()",), "0", "f(x, y, k=9)\n"),
        (
            "f(\n    a=1,  # one\n    b=2,  # two\n)\n",
            ("f()",),
            "a",
            "f(\n    a=1,  # one\n    k=9,\n    b=2,  # two\n)\n",
        ),
        (
            "f(\n    a=1,  # one\n    b=2,  # two\n)\n",
            ("f()",),
            None,
            "f(\n    a=1,  # one\n    b=2,  # two\n    k=9,\n)\n",
        ),
        ("f(\n    a=1,\n    b=2  # two\n)\n", ("f()",), "b", "f(\n    a=1,\n    b=2,  # two\n    k=9\n)\n"),
        ("f(\r\n    a=1,\r\n)\r\n", ("f()",), "a", "f(\r\n    a=1,\r\n    k=9,\r\n)\r\n"),
        ("f(a=1,\n  b=2)\n", ("f()",), "b", "f(a=1,\n  b=2, k=9)\n"),
        ("f(a=1,\n  b=2)\n", ("f()",), "a", "f(a=1, k=9,\n  b=2)\n"),
        ("f(a=(1), b=2)\n", ("f()",), "a", "f(a=(1), k=9, b=2)\n"),
        ("f(a=(\n  1\n))\n", ("f()",), "a", "f(a=(\n  1\n), k=9)\n"),
        ("f(a=(1)  # )\n  )\n", ("f()",), "a", "f(a=(1), k=9  # )\n  )\n"),
        ("f(a=')', b=2)\n", ("f()",), "a", "f(a=')', k=9, b=2)\n"),
        ("f(a=g(1), b=[2])\n", ("f()",), "b", "f(a=g(1), b=[2], k=9)\n"),
        ("f(a=g(1), b=[2])\n", ("f()",), "a", "f(a=g(1), k=9, b=[2])\n"),
        ("f(g(a=1))\n", ("g()",), "a", "f(g(a=1, k=9))\n"),
        ("f(a=1,)\n", ("f()",), "a", "f(a=1, k=9,)\n"),
        ("f('😀', a=1)\n", ("f()",), "a", "f('😀', a=1, k=9)\n"),
        ("x = {'a': 1}\n", ("x",), "a", "x = {'a': 1, \"k\": 9}\n"),
        ("x = {}\n", ("x",), None, 'x = {"k": 9}\n'),
        ("x = dict(a=1)\n", ("x",), "a", "x = dict(a=1, k=9)\n"),
        ("f(a={\n    'b': 1,\n})\n", ("f()", "a"), "b", "f(a={\n    'b': 1,\n    \"k\": 9,\n})\n"),
        ("a = 1  # c\nb = 2\n", (), "a", "a = 1  # c\nk = 9\nb = 2\n"),
        ("def m():\n    a = 1\n    return a\n", (), "a", "def m():\n    a = 1\n    k = 9\n    return a\n"),
        ("class C:\n    a: int = 1\n", ("C",), "a", "class C:\n    a: int = 1\n    k = 9\n"),
    ],
)
def test_insert(text: str, path: tuple[str | int, ...], after: str | None, wanted: str, edit: EditIt) -> None:
    assert edit(text, Insert(path, "k", 9, after), kind="python") == wanted


@pytest.mark.parametrize(
    ("text", "path", "wanted"),
    [
        ("f(a=1)\n", ("f()", "a"), "f()\n"),
        ("f(a=1, b=2)\n", ("f()", "a"), "f(b=2)\n"),
        ("f(a=1, b=2)\n", ("f()", "b"), "f(a=1)\n"),
        ("f(x, b=(2))\n", ("f()", "b"), "f(x)\n"),
        ("f(\n    a=1,  # one\n    b=2,  # two\n)\n", ("f()", "b"), "f(\n    a=1,  # one\n)\n"),
        ("f(\n    a=1,  # one\n    b=2  # two\n)\n", ("f()", "b"), "f(\n    a=1  # one\n)\n"),
        ("f(\n    a=1,\n    b=2)\n", ("f()", "b"), "f(\n    a=1)\n"),
        (
            "f(\n    # of a\n    a=1,\n    # of b\n    b=2,\n)\n",
            ("f()", "a"),
            "f(\n    # of a\n    # of b\n    b=2,\n)\n",
        ),
        ("x = {'a': 1, 'b': 2}\n", ("x", "a"), "x = {'b': 2}\n"),
        ("a = 1\nb = 2  # c\nc = 3\n", ("b",), "a = 1\nc = 3\n"),
        ("f(a=1, b=2, *x)\n", ("f()", "a"), "f(b=2, *x)\n"),
    ],
)
def test_delete(text: str, path: tuple[str | int, ...], wanted: str, edit: EditIt) -> None:
    assert edit(text, Delete(path), kind="python") == wanted


@pytest.mark.parametrize(
    ("text", "path", "key", "wanted"),
    [
        ("f(tokenizer=1)\n", ("f()", "tokenizer"), "processing_class", "f(processing_class=1)\n"),
        ("f(a = g(2))\n", ("f()", "a"), "b", "f(b = g(2))\n"),
        ("x = {'a': 1}\n", ("x", "a"), "b", "x = {'b': 1}\n"),
        ('x = {"a": 1}\n', ("x", "a"), "b", 'x = {"b": 1}\n'),
    ],
)
def test_rename(text: str, path: tuple[str | int, ...], key: str, wanted: str, edit: EditIt) -> None:
    assert edit(text, Rename(path, key), kind="python") == wanted


@pytest.mark.parametrize(
    ("text", "operation", "reason"),
    [
        ("N = 8\nf(a=N)\ng(N)\n", Set(("f()", "a"), 4), "N is used in 2 places"),
        ("N = 8\nf(a=N * 2)\n", Set(("f()", "a"), 4), "expression"),
        ("N = 4 * 2\nf(a=N)\n", Set(("f()", "a"), 4), "expression"),
        ("N = 4 * 2\n", Set(("N",), 4), "expression"),
        ("f(a=x if y else z)\n", Set(("f()", "a"), 4), "expression"),
        ("f(a=f'{x}')\n", Set(("f()", "a"), 4), "expression"),
        ("f(a=g())\n", Set(("f()", "a"), 4), "written elsewhere, as g()"),
        ("f(a=g(b=1))\n", Set(("f()", "a", "b"), 4), "written elsewhere, as g()"),
        ("f(a=g(b=1))\n", Insert(("f()", "a"), "k", 4), "call"),
        ("c = {'a': 1}\nf(**c)\ng(**c)\n", Set(("f()", "a"), 2), "used in 2 places"),
        ("c = {'a': 1}\nf(**c)\n", Delete(("f()", "a")), "comes through **"),
        ("c = {'a': 1}\nf(**c, b=1)\n", Insert(("f()",), "k", 4, "a"), "comes through **"),
        ("c = {'a': 1}\nf(**c, b=1)\n", Insert(("f()",), "a", 4, "b"), "there already"),
        ("c = {'a': 1}\nf(**c)\n", Insert(("f()",), "k", 4), "no key to stand beside"),
        ("f(b=1, **kwargs)\n", Insert(("f()",), "k", 4, "b"), "may be there already"),
        ("f(*args)\n", Insert(("f()",), "k", 4), "may be there already"),
        ("f(1, 2)\n", Delete(("f()", "0")), "position"),
        ("f(1, 2)\n", Rename(("f()", "0"), "a"), "position"),
        ("a = C(x=1)\na.y = 2\n", Delete(("C()", "y")), "statement of its own"),
        ("a = C()\na.y = 2\n", Insert(("C()",), "k", 2, "y"), "statement of its own"),
        ("a = C()\nif z:\n    a.y = 2\n", Set(("C()", "y"), 3), "expression"),
        ("A = '''x'''\n", Set(("A",), 1), "plain literal"),
        ("A = 'x' 'y'\n", Set(("A",), 1), "plain literal"),
        ("A = 1; B = 2\n", Insert((), "k", 1, "A"), "something else stands on the line"),
        ("A = 1; B = 2\n", Insert((), "k", 1, "B"), "does not begin its line"),
        ("A = 1; B = 2\n", Delete(("A",)), "something else stands on the line"),
        ("A = (1)\n", Insert((), "k", 1, "A"), "something else stands on the line"),
        ("A = 1\nprint(k)\n", Insert((), "k", 1, "A"), "used in the file already"),
        ("A = 1\n", Insert((), "not a name", 1, "A"), "cannot be a name"),
        ("A = 1\nf(A)\n", Delete(("A",)), "more than it says"),
        ("A = 1\nf(A)\n", Rename(("A",), "B"), "is a name"),
        ("def m():\n    A = 1\n", Delete(("A",)), "could not be read again"),
        ("f(a=1)\n", Insert(("f()",), "class", 1), "name of an argument"),
        ("f(a=1)\n", Rename(("f()", "a"), "b-c"), "name of an argument"),
        ("f(a=1, b=2)\n", Rename(("f()", "a"), "b"), "there already"),
        ("f(a=1)\n", Set(("f()", "a"), Expression("torch.float16")), "not imported"),
        ("def m():\n    import torch\nf(a=1)\n", Set(("f()", "a"), Expression("torch.float16")), "not imported"),
        ("import torch as t\nf(a=1)\n", Set(("f()", "a"), Expression("torch.float16")), "not imported"),
        ("import torch\nf(a=1)\n", Set(("f()", "a"), Expression("torch.x()")), "not imported"),
        ("import torch\nf(a=1)\n", Set(("f()", "a"), ["x", Expression("__import__('os')")]), "not imported"),
        ("f(x for x in y)\n", Insert(("f()",), "k", 1), "beyond its brackets"),
        ("f(a=1, a=2)\n", Set(("f()", "a"), 3), "stands twice"),
        ("f(a={1, 2})\n", Set(("f()", "a"), [1]), "no list"),
        ("x = 1, 2\n", Set(("x",), [1]), "no list"),
        ("f( # (\n)\n", Insert(("f()",), "k", 1), "could not be read again"),
        ("A = 1\nA = 2\n", Set(("A",), 3), "expression"),
        ("f(a=[1, # c\n 2])\n", Set(("f()", "a"), [1]), "comments"),
        ("class C:\n    a = 1\n", Delete(("C",)), "class"),
        ("f(a=1)\n", Set(("f()",), 3), "several lines"),
    ],
)
def test_what_is_not_provably_safe_is_refused_with_a_reason(
    text: str,
    operation: Operation,
    reason: str,
    refusal: EditIt,
) -> None:
    assert reason in refusal(text, operation, kind="python")


def test_an_import_in_a_try_block_counts(edit: EditIt) -> None:
    text = "try:\n    import torch\nexcept ImportError:\n    pass\nf(a=1)\n"
    assert edit(text, Set(("f()", "a"), Expression("torch.float16")), kind="python") == text.replace(
        "a=1", "a=torch.float16"
    )


def test_two_keywords_at_once(edit: EditIt) -> None:
    text = "TrainingArguments(\n    per_device_train_batch_size=8,\n    gradient_accumulation_steps=8,\n)\n"
    call = "TrainingArguments()"
    changes = (
        Set((call, "per_device_train_batch_size"), 2),
        Set((call, "gradient_accumulation_steps"), 32),
        Insert((call,), "gradient_checkpointing", value=True, after="per_device_train_batch_size"),
    )
    assert edit(text, *changes, kind="python") == (
        "TrainingArguments(\n    per_device_train_batch_size=2,\n    gradient_checkpointing=True,\n"
        "    gradient_accumulation_steps=32,\n)\n"
    )


def test_a_call_whose_result_has_a_name_twice(edit: EditIt) -> None:
    text = "model, tokenizer = load('a/b')\nmodel = get_peft_model(model, r=16)\n"
    call = "get_peft_model()"
    changed = edit(text, Set((call, "r"), 8), Insert((call,), "bias", "none", after="r"), kind="python")
    assert changed == 'model, tokenizer = load(\'a/b\')\nmodel = get_peft_model(model, r=8, bias="none")\n'
