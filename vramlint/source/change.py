"""What the data of a file must be after an edit, and what it is: the two are compared before anything is written."""

from __future__ import annotations

from collections.abc import Sequence

from vramlint.source.operations import Delete, Expression, Insert, Operation, PlainValue, Rename, Set
from vramlint.source.surgery import Refusal, entry_in, node_at
from vramlint.source.tree import Node, SourceFile

Expected = list[object]
Data = object


class _Changes:
    """The operations of one edit by the identity of the nodes that they touch."""

    __slots__ = ("deleted", "inserted", "renamed", "values")

    def __init__(self) -> None:
        self.values: dict[int, PlainValue] = {}
        self.inserted: dict[int, dict[str, PlainValue]] = {}
        self.deleted: set[int] = set()
        self.renamed: dict[int, str] = {}


def expected_data(file: SourceFile, operations: Sequence[Operation]) -> Expected:
    """The data of every document with the operations made. Raises `Refusal` where one has no place."""
    changes = _Changes()
    for operation in operations:
        if isinstance(operation, Insert):
            parent = node_at(file, operation.path, operation.document)
            changes.inserted.setdefault(id(parent), {})[operation.key] = operation.value
            continue
        parent = node_at(file, operation.path[:-1], operation.document)
        if isinstance(operation, Set):
            node = node_at(file, operation.path, operation.document)
            changes.values[id(node)] = operation.value
            if node.style == "name" and node.referent is not None:
                changes.values[id(node.referent)] = operation.value
        elif isinstance(operation, Delete):
            changes.deleted.add(id(entry_in(parent, operation.path[-1])))
        elif isinstance(operation, Rename):
            if any(entry.key == operation.key for entry in parent.entries):
                raise Refusal(f"{operation.key} is there already")
            changes.renamed[id(entry_in(parent, operation.path[-1]))] = operation.key
    return [_data(document.root, changes) for document in file.documents]


def found_data(file: SourceFile) -> Expected:
    """The data of every document as it stands."""
    return [_data(document.root, _Changes()) for document in file.documents]


def _data(node: Node, changes: _Changes) -> Data:
    if id(node) in changes.values:
        return _of_value(changes.values[id(node)])
    if node.kind == "map":
        found: list[tuple[str, Data]] = [
            (changes.renamed.get(id(entry), entry.key), _data(entry.value, changes))
            for entry in node.entries if id(entry) not in changes.deleted
        ]
        found += [(key, _of_value(value)) for key, value in changes.inserted.get(id(node), {}).items()]
        return ("map", node.anchor, node.why, sorted(found, key=repr))
    if node.kind == "seq":
        return ("seq", node.anchor, [_data(item, changes) for item in node.items])
    if node.kind == "alias":
        return ("alias", node.target)
    if node.kind == "opaque":
        return ("opaque", node.why)
    return _of_value(Expression(str(node.value)) if node.style == "attribute" else node.value)


def _of_value(value: PlainValue) -> Data:
    """A value in which equal means same type and same text, so that 1, 1.0 and true differ."""
    if isinstance(value, dict):
        return ("map", None, None, sorted(((k, _of_value(v)) for k, v in value.items()), key=repr))
    if isinstance(value, list):
        return ("seq", None, [_of_value(item) for item in value])
    if isinstance(value, Expression):
        return ("expression", value.code)
    return (type(value).__name__, repr(value))
