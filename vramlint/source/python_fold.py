"""Arithmetic of literals, folded without running anything: `5 * 8`, `BATCH // 2`, `float("2e-5")`."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from vramlint.source.limits import MOST_DIGITS
from vramlint.source.tree import Node

ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}
LARGEST = 1 << 62
MOST_TERMS = 40


def fold(expression: ast.expr, look_up: Callable[[ast.expr], object], depth: int = 0) -> int | float | None:
    """The number that `expression` gives, or None; `look_up` gives the `Node` of a name or None."""
    if depth > MOST_TERMS:
        return None
    if isinstance(expression, ast.Constant):
        return _number(expression.value)
    if isinstance(expression, ast.Name | ast.Attribute):
        node = look_up(expression)
        return _number(node.value) if isinstance(node, Node) else None
    if isinstance(expression, ast.UnaryOp) and isinstance(expression.op, ast.USub | ast.UAdd):
        operand = fold(expression.operand, look_up, depth + 1)
        return operand if operand is None or isinstance(expression.op, ast.UAdd) else -operand
    if isinstance(expression, ast.Call):
        return _converted(expression, look_up, depth)
    if isinstance(expression, ast.BinOp):
        left = fold(expression.left, look_up, depth + 1)
        right = fold(expression.right, look_up, depth + 1)
        return _result(expression.op, left, right)
    return None


def _result(operation: ast.operator, left: float | None, right: float | None) -> int | float | None:
    if left is None or right is None:
        return None
    try:
        if isinstance(operation, ast.Pow):
            result = left**right if abs(right) <= 64 and abs(left) <= LARGEST else None
        elif type(operation) in ARITHMETIC:
            result = ARITHMETIC[type(operation)](left, right)
        else:
            return None
    except ArithmeticError:
        return None
    return result if isinstance(result, int | float) and abs(result) < LARGEST else None


def _converted(call: ast.Call, look_up: Callable[[ast.expr], object], depth: int) -> int | float | None:
    """`int(…)` and `float(…)` of one literal."""
    if not isinstance(call.func, ast.Name) or call.func.id not in ("int", "float"):
        return None
    if call.keywords or len(call.args) != 1:
        return None
    argument = call.args[0]
    kind = int if call.func.id == "int" else float
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        try:
            return kind(argument.value) if len(argument.value) <= MOST_DIGITS else None
        except ValueError:
            return None
    number = fold(argument, look_up, depth + 1)
    return None if number is None or number != number else kind(number)  # noqa: PLR0124 (a NaN has no int)


def _number(value: object) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
