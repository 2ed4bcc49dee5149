"""Configs as people might write them, drawn at random: what the properties of readers and edits are held on."""

from __future__ import annotations

import json

from hypothesis import strategies as st

NEWLINES = st.sampled_from(["\n", "\n", "\r\n"])
WORD = st.sampled_from(
    [
        "a",
        "b1",
        "lr",
        "no",
        "2e-5",
        "x y",
        "it's",
        'q"',
        "a: b",
        "é",
        "日本",
        "😀",
        "#",
        "- x",
        "",
        "null",
        "${a}",
        "\\",
        "~",
    ]
)
NUMBER = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False, width=32)
SCALAR = WORD | NUMBER | st.booleans() | st.none()
KEY = st.sampled_from(["a", "b", "lr", "bs", "r", "on", "1", "x-y", "é", "key with space", "😀", "~", "a.b"])
DATA = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEY, inner, max_size=4),
    max_leaves=12,
)
MAPPING = st.dictionaries(KEY, DATA, min_size=1, max_size=5)


@st.composite
def yaml_text(draw: st.DrawFn) -> str:
    """YAML as people write it: block and flow, quotes, comments, odd indents, anchors, empty values, CRLF, BOM."""
    newline, anchors = draw(NEWLINES), []

    def scalar() -> str:
        value = draw(SCALAR)
        style = draw(st.sampled_from(["plain", "single", "double", "anchor", "alias", "block"]))
        if style == "alias" and anchors:
            return "*" + draw(st.sampled_from(anchors))
        text = json.dumps(value) if not isinstance(value, str) else value
        if isinstance(value, str) and (style != "single" or not value):
            text = json.dumps(value, ensure_ascii=False)
        elif isinstance(value, str):
            text = "'" + value.replace("'", "''") + "'"
        if value is None and style == "plain":
            text = ""
        if style == "anchor" and len(anchors) < 4:
            anchors.append(f"x{len(anchors)}")
            return f"&{anchors[-1]} {text or '1'}"
        return text

    def flow(depth: int) -> str:
        kind = draw(st.sampled_from(["scalar", "scalar", "list", "map"])) if depth < 3 else "scalar"
        size = draw(st.integers(0, 3))
        if kind == "list":
            return "[" + ", ".join(flow(depth + 1) or "1" for _ in range(size)) + draw(st.sampled_from(["]", " ]"]))
        if kind == "map":
            return "{" + ", ".join(f"k{i}: {flow(depth + 1)}" for i in range(size)) + "}"
        return scalar()

    def lines(depth: int, indent: str) -> list[str]:
        out = []
        for key in draw(
            st.lists(
                st.sampled_from(["a", "b", "'c'", '"d"', "on", "é", "long key"]), min_size=1, max_size=4, unique=True
            )
        ):
            comment = draw(st.sampled_from(["", "", " # c", "  #"]))
            if draw(st.integers(0, 5)) == 0:
                out.append(indent + "# note")
            kind = draw(st.sampled_from(["scalar", "flow", "map", "list", "text", "merge"])) if depth < 3 else "scalar"
            if kind == "map":
                out += [f"{indent}{key}:{comment}", *lines(depth + 1, indent + "  ")]
            elif kind == "list":
                out.append(f"{indent}{key}:{comment}")
                for _ in range(draw(st.integers(1, 3))):
                    inner = lines(depth + 2, indent + "    ") if draw(st.booleans()) else None
                    out += (
                        [f"{indent}  - {inner[0].strip()}", *inner[1:]]
                        if inner and not inner[0].strip().startswith("#")
                        else [f"{indent}  - {scalar() or '1'}{comment}"]
                    )
            elif kind == "text":
                out += [f"{indent}{key}: |{comment}", f"{indent}  one", f"{indent}  two"]
            elif kind == "merge" and depth == 0 and not any(line.startswith(("<<", "base")) for line in out):
                out = [f"base: &base{comment}", "  x: 1", "  y: [2]", "<<: *base", *out]
            else:
                value = flow(0) if kind == "flow" else scalar()
                out.append(f"{indent}{key}: {value}".rstrip() + comment if value else f"{indent}{key}:{comment}")
        return out

    text = newline.join(lines(0, "")) + draw(st.sampled_from(["", newline, newline + newline]))
    return draw(st.sampled_from(["", "", "\ufeff"])) + text


@st.composite
def toml_text(draw: st.DrawFn) -> str:
    newline = draw(NEWLINES)

    def value(depth: int) -> str:
        kind = draw(st.sampled_from(["int", "str", "literal", "float", "bool", "list", "inline"]))
        if kind == "list" and depth < 3:
            inner = [value(depth + 1) for _ in range(draw(st.integers(0, 3)))]
            joint = draw(st.sampled_from([", ", f",{newline}  ", f", # c{newline}"])) if depth == 0 else ", "
            return f"[{joint.join(inner)}]"
        if kind == "inline" and depth < 3:
            return "{" + ", ".join(f"{k} = {value(3)}" for k in ["p", "q.r", '"s t"'][: draw(st.integers(0, 3))]) + "}"
        if kind == "str":
            return json.dumps(draw(WORD), ensure_ascii=False)
        if kind == "literal":
            return "'" + draw(WORD).replace("'", "") + "'"
        if kind == "float":
            return repr(float(draw(st.integers(-99, 99))) / 8)
        return (
            draw(st.sampled_from(["1_000", "0x1F", "-7", "1979-05-27", "07:32:00", "inf", "6e-5", "+1"]))
            if kind == "int"
            else "true"
        )

    lines = []
    for header in ["", "[t]", "[t.u]", "[[arr]]", "[[arr]]", "['q r'.\"s\"]"][: draw(st.integers(1, 6))]:
        lines += [header + draw(st.sampled_from(["", " # h"]))] if header else []
        keys = draw(st.lists(st.sampled_from(["a", "b", "'c d'", '"é"', "m.n", "m.o", "1"]), max_size=5, unique=True))
        lines += [
            f"{key}{draw(st.sampled_from([' = ', '=', '  = ']))}{value(0)}{draw(st.sampled_from(['', ' # c']))}"
            for key in keys
        ]
    return draw(st.sampled_from(["", "\ufeff"])) + newline.join(lines) + draw(st.sampled_from(["", newline]))


@st.composite
def python_text(draw: st.DrawFn) -> str:
    newline = draw(NEWLINES)

    def value(depth: int) -> str:
        kind = draw(st.sampled_from(["number", "str", "name", "list", "dict", "call", "parens", "attribute", "sum"]))
        if depth > 2 or kind == "number":
            return repr(draw(NUMBER))
        if kind == "str":
            return repr(draw(WORD))
        if kind == "list":
            return (
                "["
                + ", ".join(value(depth + 1) for _ in range(draw(st.integers(0, 3))))
                + draw(st.sampled_from(["]", ",]"]))[-1:]
            )
        if kind == "dict":
            return "{" + ", ".join(f"{k!r}: {value(depth + 1)}" for k in ["p", "q é"][: draw(st.integers(0, 2))]) + "}"
        if kind == "call":
            return call(depth + 1)
        if kind == "parens":
            return f"({value(depth + 1)})"
        return {"name": draw(st.sampled_from(["A", "B", "C", "x"])), "attribute": "torch.bfloat16", "sum": "A * 2 + 1"}[
            kind
        ]

    def call(depth: int) -> str:
        name = draw(st.sampled_from(["f", "LoraConfig", "m.from_pretrained"]))
        parts = [value(depth) for _ in range(draw(st.integers(0, 2)))]
        parts += [f"{k}={value(depth)}" for k in ["r", "lr", "cfg"][: draw(st.integers(0, 3))]]
        parts += draw(st.sampled_from([[], [], ["**C"], ["**kwargs"]]))
        if depth <= 1 and draw(st.booleans()) and parts:
            joint = draw(st.sampled_from([",", ",  # c"])) + newline + "        "
            last = draw(st.sampled_from(["", ",", ",  # last"]))
            return f"{name}({newline}        {joint.join(parts)}{last}{newline}    )"
        return f"{name}({', '.join(parts)})"

    lines = [
        "import torch",
        f"A = {value(0)}",
        draw(st.sampled_from(["B: int = 512", "B = 2e-5  # é", "B = 'x'"])),
        "C = {'k': 1, 'z': A}",
    ]
    lines += [
        "def main():",
        f"    {call(0)}",
        f"    y = {call(0)}",
        "    y.late = 3",
        "if __name__ == '__main__':",
        f"    {call(0)}",
    ]
    return draw(st.sampled_from(["", "\ufeff"])) + newline.join(lines) + draw(st.sampled_from(["", newline]))
