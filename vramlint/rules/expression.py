"""The rule language: Python's expression syntax, whitelisted, typed when it is compiled, three-valued when it runs."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vramlint.rules.names import BOOL, BYTES, CONSTANTS, LIST, NULL, NUMBER, TEXT, Type

LONGEST = 500
DEEPEST = 40
Names = Callable[[str], Any]
Code = Callable[[Names], Any]


class _Unknown:
    """The third truth value."""

    __slots__ = ()

    def __bool__(self) -> bool:
        raise TypeError("unknown is neither true nor false")


UNKNOWN = _Unknown()


class RuleError(Exception):
    """A condition that cannot be compiled: what is wrong, and at which column."""

    def __init__(self, message: str, source: str, column: int = 0) -> None:
        super().__init__(f"{message}\n  {source}\n  {' ' * column}^")
        self.message = message
        self.source = source
        self.column = column


class Expression:
    """A compiled expression; `type` is what it gives."""

    __slots__ = ("_code", "source", "type")

    def __init__(self, source: str, types: Mapping[str, Type]) -> None:
        if len(source) > LONGEST:
            raise RuleError(f"longer than {LONGEST} characters", source[:60])
        self.source = source
        try:
            tree = ast.parse(source.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            hint = "; write 'and', 'or', 'not'" if any(mark in source for mark in ("&&", "||", "!")) else ""
            raise RuleError(f"not an expression{hint}", source, (getattr(error, "offset", 1) or 1) - 1) from None
        self.type, self._code = _Compiler(source, types).compile(tree.body, 0)

    def __call__(self, names: Names) -> Any:
        """The value, or `UNKNOWN`."""
        return self._code(names)


class _Compiler:
    def __init__(self, source: str, types: Mapping[str, Type]) -> None:
        self._source = source
        self._types = types

    def _fail(self, message: str, node: ast.AST) -> RuleError:
        return RuleError(message, self._source, getattr(node, "col_offset", 0))

    def compile(self, node: ast.expr, depth: int) -> tuple[Type, Code]:
        """The type and the code of one node."""
        if depth > DEEPEST:
            raise self._fail("nested too deep", node)
        for kind, method in (
            (ast.Constant, self._constant), (ast.Name, self._name), (ast.Attribute, self._name),
            (ast.BoolOp, self._logic), (ast.UnaryOp, self._unary), (ast.Compare, self._compare),
            (ast.BinOp, self._arithmetic), (ast.IfExp, self._choice), (ast.Call, self._call), (ast.List, self._list),
        ):
            if isinstance(node, kind):
                compile_node: Callable[[Any, int], tuple[Type, Code]] = method
                return compile_node(node, depth)
        raise self._fail(f"{type(node).__name__} is not part of the rule language", node)

    def _constant(self, node: ast.Constant, _: int) -> tuple[Type, Code]:
        value = node.value
        if isinstance(value, bool) or value is None:
            return (NULL if value is None else BOOL), lambda _: value
        if isinstance(value, int | float):
            return NUMBER, lambda _: value
        if isinstance(value, str):
            return TEXT, lambda _: value
        raise self._fail("only numbers, texts, true, false and null", node)

    def _name(self, node: ast.expr, _: int) -> tuple[Type, Code]:
        name = _dotted(node)
        if name in ("true", "false", "null"):
            value = {"true": True, "false": False, "null": None}[name]
            return (NULL if value is None else BOOL), lambda _: value
        if name in CONSTANTS:
            return BYTES, lambda _: CONSTANTS[name]
        if name not in self._types:
            near = _close(name, self._types)
            raise self._fail(f"unknown name {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""), node)
        return self._types[name], lambda names: names(name)

    def _logic(self, node: ast.BoolOp, depth: int) -> tuple[Type, Code]:
        parts = []
        for value in node.values:
            kind, code = self.compile(value, depth + 1)
            if kind.kind != "bool":
                raise self._fail(f"a condition is needed here, not {kind.kind}", value)
            parts.append(code)
        decisive = isinstance(node.op, ast.Or)

        def run(names: Names) -> Any:
            result: Any = not decisive
            for part in parts:
                value = part(names)
                if value is UNKNOWN:
                    result = UNKNOWN
                elif value is decisive:
                    return decisive
            return result

        return BOOL, run

    def _unary(self, node: ast.UnaryOp, depth: int) -> tuple[Type, Code]:
        kind, code = self.compile(node.operand, depth + 1)
        if isinstance(node.op, ast.Not) and kind.kind == "bool":
            return BOOL, lambda names: UNKNOWN if (value := code(names)) is UNKNOWN else not value
        if isinstance(node.op, ast.USub) and kind.kind in ("number", "bytes"):
            return kind, lambda names: UNKNOWN if (value := code(names)) is UNKNOWN or value is None else -value
        raise self._fail(f"not possible with {kind.kind}", node)

    def _compare(self, node: ast.Compare, depth: int) -> tuple[Type, Code]:
        if len(node.ops) != 1:
            raise self._fail("comparisons are not chained: write 'and'", node)
        left_type, left = self.compile(node.left, depth + 1)
        right_type, right = self.compile(node.comparators[0], depth + 1)
        operator = node.ops[0]
        if isinstance(operator, ast.In | ast.NotIn):
            inside = isinstance(operator, ast.In)
            if right_type.kind != "list":
                raise self._fail("'in' needs a list", node)
            self._check_words(left_type, node.comparators[0], node)
            return BOOL, _known(lambda a, b: UNKNOWN if isinstance(b, str) else (a in (b or ())) is inside, left, right)
        kinds = {left_type.kind, right_type.kind}
        if "null" not in kinds and len(kinds) > 1:
            hint = "; write it as N*GiB" if kinds == {"bytes", "number"} else ""
            raise self._fail(f"cannot compare {left_type.kind} with {right_type.kind}{hint}", node)
        self._check_words(left_type, node.comparators[0], node)
        if isinstance(operator, ast.Eq | ast.NotEq):
            equal = isinstance(operator, ast.Eq)
            return BOOL, _known(lambda a, b: (a == b and isinstance(a, bool) == isinstance(b, bool)) is equal, left, right)
        order = {ast.Lt: _lt, ast.LtE: _le, ast.Gt: _gt, ast.GtE: _ge}.get(type(operator))
        if order is None or not kinds <= {"number", "bytes"}:
            raise self._fail("only numbers and bytes have an order", node)
        return BOOL, _known(order, left, right)

    def _check_words(self, kind: Type, other: ast.expr, node: ast.AST) -> None:
        literals = other.elts if isinstance(other, ast.List) else [other]
        for literal in literals:
            word = literal.value if isinstance(literal, ast.Constant) else None
            if isinstance(word, str) and kind.words and word not in kind.words:
                near = _close(word, kind.words)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise self._fail(f"it is never {word!r}{hint}", node)

    def _arithmetic(self, node: ast.BinOp, depth: int) -> tuple[Type, Code]:
        left_type, left = self.compile(node.left, depth + 1)
        right_type, right = self.compile(node.right, depth + 1)
        kinds = (left_type.kind, right_type.kind)
        if set(kinds) - {"number", "bytes"}:
            raise self._fail(f"no arithmetic with {' and '.join(kinds)}", node)
        both = kinds == ("bytes", "bytes")
        operators: dict[type[ast.operator], tuple[Type | None, Callable[[Any, Any], Any]]] = {
            ast.Add: (BYTES if both else NUMBER if "bytes" not in kinds else None, lambda a, b: a + b),
            ast.Sub: (BYTES if both else NUMBER if "bytes" not in kinds else None, lambda a, b: a - b),
            ast.Mult: (None if both else BYTES if "bytes" in kinds else NUMBER, lambda a, b: a * b),
            ast.Div: (BYTES if kinds == ("bytes", "number") else NUMBER, lambda a, b: a / b if b else UNKNOWN),
            ast.FloorDiv: (BYTES if kinds == ("bytes", "number") else NUMBER, lambda a, b: a // b if b else UNKNOWN),
            ast.Mod: (None if "bytes" in kinds else NUMBER, lambda a, b: a % b if b else UNKNOWN),
        }
        kind, operate = operators.get(type(node.op), (None, None))
        if kind is None or operate is None:
            raise self._fail(f"not possible between {' and '.join(kinds)}", node)
        return kind, _known(operate, left, right)

    def _choice(self, node: ast.IfExp, depth: int) -> tuple[Type, Code]:
        test_type, test = self.compile(node.test, depth + 1)
        first_type, first = self.compile(node.body, depth + 1)
        second_type, second = self.compile(node.orelse, depth + 1)
        if test_type.kind != "bool" or first_type.kind != second_type.kind:
            raise self._fail("a choice needs a condition and two values of one type", node)

        def run(names: Names) -> Any:
            chosen = test(names)
            return UNKNOWN if chosen is UNKNOWN else first(names) if chosen else second(names)

        return first_type, run

    def _list(self, node: ast.List, depth: int) -> tuple[Type, Code]:
        codes = [self.compile(element, depth + 1)[1] for element in node.elts]
        return LIST, lambda names: tuple(code(names) for code in codes)

    def _call(self, node: ast.Call, depth: int) -> tuple[Type, Code]:
        name = _dotted(node.func)
        arguments = [self.compile(argument, depth + 1) for argument in node.args]
        kinds = [kind.kind for kind, _ in arguments]
        codes = [code for _, code in arguments]
        if node.keywords:
            raise self._fail("functions take no keywords", node)
        if name == "written" and len(codes) == 1:
            key = _dotted(node.args[0])
            if not key.startswith("run."):
                raise self._fail("written asks about a key of the run, as in written(run.lora_r)", node)
            return BOOL, lambda names: names(f"written.{key.removeprefix('run.')}")
        if name == "known" and len(codes) == 1:
            return BOOL, lambda names: codes[0](names) is not UNKNOWN
        if name in ("min", "max") and codes and len(set(kinds)) == 1 and kinds[0] in ("number", "bytes"):
            return arguments[0][0], _known(min if name == "min" else max, *codes)
        if name == "startswith" and kinds == ["text", "text"]:
            return BOOL, _known(lambda a, b: (a or "").startswith(b), *codes)
        if name == "contains" and kinds == ["text", "text"]:
            return BOOL, _known(lambda a, b: b in (a or ""), *codes)
        if name == "len" and kinds == ["list"]:
            return NUMBER, _known(lambda a: len(a or ()), *codes)
        called = f"{name}({', '.join(kinds)})" if name else "such function"
        raise self._fail(f"there is no {called}: min, max, len, startswith, contains, known, written", node)


def _known(operate: Callable[..., Any], *codes: Code) -> Code:
    """The operation on known values; unknown or null operands of arithmetic and order give unknown."""

    def run(names: Names) -> Any:
        values = [code(names) for code in codes]
        if any(value is UNKNOWN for value in values):
            return UNKNOWN
        try:
            return operate(*values)
        except (TypeError, ArithmeticError, ValueError):
            return UNKNOWN

    return run


def _lt(a: Any, b: Any) -> Any:
    return a < b


def _le(a: Any, b: Any) -> Any:
    return a <= b


def _gt(a: Any, b: Any) -> Any:
    return a > b


def _ge(a: Any, b: Any) -> Any:
    return a >= b


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _close(word: str, known: Iterable[str]) -> list[str]:
    import difflib  # noqa: PLC0415  # only where something is wrong

    return difflib.get_close_matches(word, list(known), 1)


def close_to(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?` for a near miss, else nothing."""
    near = _close(word, known)
    return f"; did you mean {near[0].removeprefix('run.')!r}?" if near else ""
