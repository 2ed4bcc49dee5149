"""Paths → the nodes and entries written there, and why some of them must not be edited."""

from __future__ import annotations

from collections.abc import Iterator

from vramlint.source.operations import Insert, Operation
from vramlint.source.tree import Entry, Node, Path, SourceFile


class Refusal(Exception):  # noqa: N818 (an answer, not an error)
    """Why an edit cannot be made safely."""


def node_at(file: SourceFile, path: Path, document: int) -> Node:
    """The node written at `path`; what is only inherited (alias, merge key) cannot be edited there."""
    if not 0 <= document < len(file.documents):
        raise Refusal(f"there is no document {document}")
    node = file.documents[document].root
    for step in path:
        node = entry_in(file, node, step).value if isinstance(step, str) else _item(node, step)
    return node


def entry_at(file: SourceFile, path: Path, document: int) -> Entry:
    """The entry written at `path`, whose last step is a key, if the key may be renamed, deleted or inserted beside."""
    if not path or isinstance(path[-1], int):
        raise Refusal("an item of a list has no key")
    entry = entry_in(file, node_at(file, path[:-1], document), path[-1])
    if entry.locked:
        raise Refusal(entry.locked)
    if entry.merge:
        raise Refusal("a merge key is no key of its own")
    return entry


def entry_in(file: SourceFile, node: Node, key: str) -> Entry:
    """The entry `key` of a mapping as written."""
    if node.kind == "alias":
        raise Refusal(_elsewhere(file, node))
    found = [entry for entry in node.entries if entry.key == key]
    if len(found) > 1 or any(found[0].key_span in (twice.first, twice.second) for twice in file.duplicates if found):
        raise Refusal(f"{key} stands twice in one mapping")
    if found:
        return found[0]
    if any(entry.merge for entry in node.entries):
        raise Refusal(f"{key} is inherited through a merge key, or not there")
    raise Refusal(f"there is no {key} there")


def check_unlocked(file: SourceFile, node: Node) -> None:
    """Raise `Refusal` for a value whose text must stay."""
    if node.kind == "alias" and file.format == "python":
        raise Refusal(_elsewhere(file, node))
    if node.locked:
        raise Refusal(node.locked)
    if node.kind == "opaque":
        raise Refusal("the value is an expression")


def check_not_shared(file: SourceFile, operation: Operation) -> None:
    """Raise `Refusal` where the place stands under an anchor, or holds one, that is used: more would change."""
    document = file.documents[operation.document] if 0 <= operation.document < len(file.documents) else None
    if document is None or not document.anchors or file.format == "python":
        return
    used = {node.target for node in every_node(document.root) if node.kind == "alias"}
    node = document.root
    above = [node]
    for step in operation.path:
        node = entry_in(file, node, step).value if isinstance(step, str) else _item(node, step)
        above.append(node)
    inside = () if isinstance(operation, Insert) else every_node(node)
    for touched in (*above, *inside):
        if touched.anchor in used:
            raise Refusal(f"the value is also used through *{touched.anchor}")


def every_node(node: Node) -> Iterator[Node]:
    """The node and all below it, aliases not followed."""
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        pending += [*(entry.value for entry in node.entries), *node.items]


def _item(node: Node, index: int) -> Node:
    if node.kind != "seq" or not 0 <= index < len(node.items):
        raise Refusal(f"there is no item {index} there")
    return node.items[index]


def _elsewhere(file: SourceFile, node: Node) -> str:
    if file.format == "python":
        return f"the value is written elsewhere, as {node.target}"
    return f"the value is inherited from &{node.target}"
