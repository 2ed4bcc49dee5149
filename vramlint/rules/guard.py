"""What must be so for a condition to be true, read off it beforehand: most rules are settled without being compiled."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vramlint.rules.expression import Names

Guard = Sequence[Sequence[Any]]
"""Pairs of a name and the values of which it must have one."""
TRUTHS = {"true": True, "false": False, "null": None}


def guard_of(condition: str) -> list[list[Any]]:
    """The parts of a condition's outermost `and` that compare one name with constants. Empty if it cannot be parsed."""
    try:
        tree = ast.parse(condition.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return []
    return [[name, values] for part in _parts(tree.body) for name, values in _demands(part)]


def lets_through(guard: Guard, names: Names) -> bool:
    """Whether the condition may be true. What is unknown makes no condition true."""
    return all(names(name) in values for name, values in guard)


def guarded(content: Mapping[str, Any]) -> dict[str, Any]:
    """A rule's data with its guard."""
    return {**content, "guard": guard_of(content["when"])} if "when" in content else dict(content)


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        for value in node.values:
            yield from _parts(value)
    else:
        yield node


def _demands(node: ast.expr) -> Iterator[tuple[str, list[Any]]]:
    """The name and values of one part, if it is of such a kind."""
    if isinstance(node, ast.Attribute):
        yield from _named(node, [True])
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield from _named(node.operand, [False])
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq):
        yield from _constants(node.left, [node.comparators[0]])
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In) and isinstance(node.comparators[0], ast.List):
        yield from _constants(node.left, node.comparators[0].elts)


def _constants(left: ast.expr, nodes: Sequence[ast.expr]) -> Iterator[tuple[str, list[Any]]]:
    words = [TRUTHS[node.id] for node in nodes if isinstance(node, ast.Name) and node.id in TRUTHS]
    values = words + [node.value for node in nodes if isinstance(node, ast.Constant)]
    if len(values) == len(nodes):
        yield from _named(left, values)


def _named(node: ast.expr, values: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Only names of two parts that cost nothing to look up."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("run", "allows"):
        yield f"{node.value.id}.{node.attr}", values
