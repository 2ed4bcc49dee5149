"""What the data of a file must be after an edit, and what it is: the two are compared before anything is written."""

from __future__ import annotations

from collections.abc import Sequence

from vramlint.dataclass import dataclass, field
from vramlint.source.locate import Refusal, entry_in, node_at
from vramlint.source.operations import Delete, Expression, Insert, Operation, PlainValue, Rename, Set
from vramlint.source.positions import Span
from vramlint.source.tree import Node, SourceFile

Place = tuple[str, str, int, int]
"""What stands where: nodes that share their text (a dict and its `**` use) share their fate."""


class _Anything:
    """Equal to all: what is computed from a changed constant."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]  # never a key


ANYTHING = _Anything()


@dataclass(slots=True)
class _Changes:
    values: dict[Place, PlainValue] = field(default_factory=dict)
    inserted: dict[Place, dict[str, PlainValue]] = field(default_factory=dict)
    deleted: set[Span] = field(default_factory=set)
    renamed: dict[Span, str] = field(default_factory=dict)
    touched: list[tuple[int, int]] = field(default_factory=list)

    def lies_within(self, span: Span) -> bool:
        """Whether a change is made inside this text."""
        return any(span.start <= start and end <= span.end for start, end in self.touched)


def expected_data(file: SourceFile, operations: Sequence[Operation]) -> list[object]:
    """The data of every document with the operations made. Raises `Refusal` where one has no place."""
    changes = _Changes()
    for operation in operations:
        if isinstance(operation, Insert):
            _note_insert(file, operation, changes)
        elif isinstance(operation, Set):
            node = node_at(file, operation.path, operation.document)
            for place in {_place(node), _place(_literal(node))}:
                if place in changes.values:
                    raise Refusal(f"two changes of {_last(operation.path)}")
                changes.values[place] = operation.value
                changes.touched.append(place[2:])
        else:
            _note_key(file, operation, changes)
    return [_data(file, document.root, changes) for document in file.documents]


def found_data(file: SourceFile) -> list[object]:
    """The data of every document as it stands."""
    return [_data(file, document.root, _Changes()) for document in file.documents]


def _note_insert(file: SourceFile, operation: Insert, changes: _Changes) -> None:
    parent = node_at(file, operation.path, operation.document)
    inserted = changes.inserted.setdefault(_place(parent), {})
    changes.touched.append(_place(parent)[2:])
    if operation.key in inserted:
        raise Refusal(f"two changes of {operation.key}")
    inserted[operation.key] = operation.value


def _note_key(file: SourceFile, operation: Delete | Rename, changes: _Changes) -> None:
    parent = node_at(file, operation.path[:-1], operation.document)
    span = entry_in(file, parent, str(operation.path[-1])).key_span
    changes.touched.append((span.start, span.end))
    if span in changes.deleted or span in changes.renamed:
        raise Refusal(f"two changes of {operation.path[-1]}")
    if isinstance(operation, Delete):
        changes.deleted.add(span)
        return
    taken = {entry.key for entry in parent.entries} | set(changes.inserted.get(_place(parent), ()))
    if operation.key in taken:
        raise Refusal(f"{operation.key} is there already")
    changes.renamed[span] = operation.key


def _place(node: Node) -> Place:
    # A table of TOML that is the whole text stands where the root does, and only its style is another.
    return (node.kind, node.style, node.span.start, node.span.end)


def _literal(node: Node) -> Node:
    return node.referent if node.kind == "scalar" and node.referent is not None else node


def _last(path: Sequence[str | int]) -> str:
    return str(path[-1]) if path else "the document"


def _data(file: SourceFile, node: Node, changes: _Changes) -> object:
    literal = _literal(node)
    if _place(literal) in changes.values:
        return _of_value(changes.values[_place(literal)], literal.anchor)
    if any(_place(origin) in changes.values for origin in node.rests_on):
        return ANYTHING
    if node.kind == "map":
        found = [
            (changes.renamed.get(entry.key_span, entry.key), entry.merge, _data(file, entry.value, changes))
            for entry in node.entries if entry.key_span not in changes.deleted
        ]
        found += [(key, False, _of_value(value)) for key, value in changes.inserted.get(_place(node), {}).items()]
        return ("map", node.anchor, node.why, sorted(found, key=lambda item: item[:2]))
    if node.kind == "seq":
        return ("seq", node.anchor, [_data(file, item, changes) for item in node.items])
    if node.kind == "alias":
        return ("alias", node.target)
    if node.kind == "opaque":
        if changes.lies_within(node.span):  # an expression around a call, which has an entry of its own to be compared
            return ANYTHING
        return ("opaque", file.raw(node.span))
    if node.style in ("attribute", "date"):
        return (node.style, file.raw(literal.span))
    return _of_value(node.value)


def _of_value(value: PlainValue, anchor: str | None = None) -> object:
    """A value in which equal means same type and same text, so that 1, 1.0 and true differ."""
    if isinstance(value, dict):
        entries = [(key, False, _of_value(item)) for key, item in value.items()]
        return ("map", anchor, None, sorted(entries, key=lambda entry: entry[:2]))
    if isinstance(value, list | tuple):
        return ("seq", anchor, [_of_value(item) for item in value])
    if isinstance(value, Expression):
        return ("attribute", value.code)
    return (type(value).__name__, repr(value))
