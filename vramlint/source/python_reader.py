"""Python text → tree: constants that can be folded and the calls that are made; nothing is executed or imported.

The root is a map of style `module`. A name assigned once is an entry under that name. Each call with a plain name is an entry
`Name()` (a class or function: its last part; a method: the last two, `AutoModelForCausalLM.from_pretrained()`), further ones
of the same name `Name()#2` and so on: a map of style `call` with positional arguments under "0", "1" … and keywords by name.
`why` on a call's map says that it also takes `**` of something unknown.
"""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import replace

from vramlint.source.limits import MOST_DEPTH, Meter
from vramlint.source.positions import LineIndex, Span
from vramlint.source.tree import Document, Entry, Node, Scalar, SourceError

FOLDABLE = {
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b, ast.Div: lambda a, b: a / b, ast.Mod: lambda a, b: a % b,
}
LARGEST_FOLDED = 1 << 62


class PythonReader:
    """Reads one module. Offsets of `ast` are UTF-8 bytes in a line; `_offset` makes them code points of the text."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._base = 1 if text.startswith("\ufeff") else 0
        self._text = text
        self._lines = LineIndex(text)
        self._meter = Meter(path)
        self._constants: dict[str, Node] = {}

    def read(self) -> tuple[Document, ...]:
        """The document. Raises `SourceError` for text that is no Python."""
        try:
            module = ast.parse(self._text[self._base :])
        except SyntaxError as error:
            offset = self._place(error.lineno or 1, max((error.offset or 1) - 1, 0))
            kind = "too-deep" if "nested" in str(error.msg) else "syntax"
            raise SourceError(
                kind, f"not valid Python: {error.msg}", self._path, Span(offset, offset, self._path),
            ) from None
        except (RecursionError, MemoryError):
            raise SourceError("too-deep", "nested too deep to be read", self._path, None) from None
        except ValueError as error:
            raise SourceError("syntax", f"not valid Python: {error}", self._path, None) from None
        assigned = self._assignments(module)
        calls = self._calls(module)
        root = Node(
            "map", Span(self._base, len(self._text), self._path), style="module", entries=(*assigned, *calls),
        )
        return (Document(root, 0, {}),)

    def _place(self, line: int, column: int) -> int:
        start = self._lines.line_start(min(line, self._lines.line_count))
        return min(start + column, len(self._text))

    def _offset(self, line: int, byte: int) -> int:
        start = self._lines.line_start(line)
        if line == 1:
            start += self._base
        stop = self._lines.line_start(line + 1) if line < self._lines.line_count else len(self._text)
        written = self._text[start:stop]
        return start + (byte if written.isascii() else len(written.encode()[:byte].decode(errors="ignore")))

    def _span(self, node: ast.expr | ast.keyword) -> Span:
        return Span(
            self._offset(node.lineno, node.col_offset),
            self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0), self._path,
        )

    def _assignments(self, module: ast.Module) -> list[Entry]:
        """Entries for names bound exactly once, to something that folds; anywhere, since scripts put them in `main()`."""
        bound = Counter(_bound_names(module))
        entries = []
        for statement in _statements(module):
            target = value = None
            if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
                target, value = statement.targets[0], statement.value
            elif isinstance(statement, ast.AnnAssign):
                target, value = statement.target, statement.value
            if not isinstance(target, ast.Name) or value is None or isinstance(value, ast.Call) or bound[target.id] > 1:
                continue
            node = self._value(value, 1)
            if node.kind == "opaque":
                continue
            self._constants[target.id] = node
            entries.append(Entry(target.id, self._span(target), node))
        return entries

    def _calls(self, module: ast.Module) -> list[Entry]:
        entries: list[Entry] = []
        count: Counter[str] = Counter()
        found = [node for node in ast.walk(module) if isinstance(node, ast.Call) and _dotted(node.func)]
        for call in sorted(found, key=lambda c: (c.lineno, c.col_offset)):
            name = _call_name(_dotted(call.func))
            count[name] += 1
            key = f"{name}()" if count[name] == 1 else f"{name}()#{count[name]}"
            entries.append(Entry(key, self._span(call.func), self._arguments(call)))
        return entries

    def _arguments(self, call: ast.Call) -> Node:
        entries, why = [], None
        for position, argument in enumerate(call.args):
            if isinstance(argument, ast.Starred):
                why = "it also takes *arguments"
                break
            entries.append(Entry(str(position), self._span(argument), self._value(argument, 2)))
        for keyword in call.keywords:
            value = self._value(keyword.value, 2)
            if keyword.arg is not None:
                start = self._offset(keyword.lineno, keyword.col_offset)
                entries.append(Entry(keyword.arg, Span(start, start + len(keyword.arg), self._path), value))
            elif value.kind == "map":
                entries += [
                    replace(e, value=replace(e.value, locked=e.value.locked or "the value comes through **")) for e in value.entries
                ]
            else:
                why = f"it also takes **{ast.unparse(keyword.value)[:60]}"
        return Node("map", self._span(call), style="call", entries=tuple(entries), why=why)

    def _value(self, expression: ast.expr, depth: int) -> Node:
        span = self._span(expression)
        self._meter.node(span.start, depth)
        if isinstance(expression, ast.Constant):
            return self._constant(expression, span)
        if isinstance(expression, ast.Name):
            return self._name(expression, span)
        if isinstance(expression, ast.Attribute) and (dotted := _dotted(expression)):
            return Node("scalar", span, dotted, "attribute")
        if isinstance(expression, ast.List | ast.Tuple | ast.Set):
            return Node("seq", span, style="flow", items=tuple(self._value(e, depth + 1) for e in expression.elts))
        if isinstance(expression, ast.Dict):
            return self._dict(expression, span, depth)
        if isinstance(expression, ast.Call) and _dotted(expression.func) == "dict" and not expression.args:
            return replace(self._arguments(expression), style="call")
        folded = self._folded(expression, depth)
        if folded is not None:
            plain_minus = isinstance(expression, ast.UnaryOp) and isinstance(expression.operand, ast.Constant)
            return Node(
                "scalar", span, folded, "plain" if plain_minus else "folded",
                locked=None if plain_minus else "the value is an expression",
            )
        return Node("opaque", span, why=_what(expression), locked="the value is an expression")

    def _constant(self, expression: ast.Constant, span: Span) -> Node:
        value = expression.value
        if not isinstance(value, str | int | float | bool) and value is not None:
            return Node("opaque", span, why="a literal that no config takes", locked="the value is no plain literal")
        written = self._text[span.start : span.end]
        style, locked = "plain", None
        if isinstance(value, str):
            style = "single" if written.endswith("'") else "double"
            if "\n" in written or not written.startswith(("'", '"')) or written.startswith(('"""', "'''")):
                locked = "the string is not written as one plain literal"
            elif len(ast.literal_eval(written)) != len(value) or written.count(written[0]) != 2:
                locked = "the string is not written as one plain literal"
        return Node("scalar", span, value, style, locked=locked)

    def _name(self, expression: ast.Name, span: Span) -> Node:
        known = self._constants.get(expression.id)
        if known is None or known.span.start > span.start:
            return Node(
                "opaque", span, why=f"the name {expression.id}, whose value cannot be read off this file",
                locked=f"the value is the name {expression.id}",
            )
        return replace(known, span=span, style="name" if known.kind == "scalar" else known.style, referent=known,
                       locked=f"the value is the name {expression.id}" if known.kind != "scalar" else None)

    def _dict(self, expression: ast.Dict, span: Span, depth: int) -> Node:
        entries, why = [], None
        for key, value in zip(expression.keys, expression.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                entries.append(Entry(key.value, self._span(key), self._value(value, depth + 1)))
            else:
                why = "it has keys that are no plain strings"
        return Node("map", span, style="flow", entries=tuple(entries), why=why)

    def _folded(self, expression: ast.expr, depth: int) -> Scalar:
        """The number that an arithmetic expression gives, or None."""
        if depth > MOST_DEPTH:
            return None
        if isinstance(expression, ast.Constant | ast.Name):
            node = self._value(expression, depth)
            number = node.value if node.kind == "scalar" else None
            return number if isinstance(number, int | float) and not isinstance(number, bool) else None
        if isinstance(expression, ast.UnaryOp) and isinstance(expression.op, ast.USub):
            operand = self._folded(expression.operand, depth + 1)
            return -operand if isinstance(operand, int | float) else None
        if isinstance(expression, ast.BinOp) and type(expression.op) in FOLDABLE:
            left, right = self._folded(expression.left, depth + 1), self._folded(expression.right, depth + 1)
            if not isinstance(left, int | float) or not isinstance(right, int | float):
                return None
            try:
                result = FOLDABLE[type(expression.op)](left, right)  # type: ignore[no-untyped-call]
            except ArithmeticError:
                return None
            return result if abs(result) < LARGEST_FOLDED else None
        return None


def _dotted(expression: ast.expr) -> str:
    """`a.b.c` of a chain of names, else the empty string."""
    parts: list[str] = []
    while isinstance(expression, ast.Attribute):
        parts.append(expression.attr)
        expression = expression.value
    if not isinstance(expression, ast.Name):
        return ""
    return ".".join([expression.id, *reversed(parts)])


def _call_name(dotted: str) -> str:
    parts = dotted.split(".")
    return parts[-1] if parts[-1][:1].isupper() or len(parts) == 1 else ".".join(parts[-2:])


def _what(expression: ast.expr) -> str:
    if isinstance(expression, ast.Call):
        return f"the call {_dotted(expression.func) or 'of an expression'}()"
    return f"an expression ({type(expression).__name__})"


def _statements(module: ast.Module) -> list[ast.stmt]:
    found = [node for node in ast.walk(module) if isinstance(node, ast.Assign | ast.AnnAssign)]
    return sorted(found, key=lambda s: (s.lineno, s.col_offset))  # type: ignore[return-value]


def _bound_names(module: ast.Module) -> list[str]:
    """Every binding of every name, so that one bound twice (a loop, a branch, a parameter) is never folded."""
    names = []
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store | ast.Del):
            names.append(node.id)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            names.append(node.target.id)
        elif isinstance(node, ast.arg):
            names.append(node.arg)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            names += node.names * 2
    return names
