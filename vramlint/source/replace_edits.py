"""A value or a key in the place of another one."""

from __future__ import annotations

import keyword
import re

from vramlint.source.locate import Refusal, check_unlocked, entry_in, node_at
from vramlint.source.operations import Expression, PlainValue, Rename, Set
from vramlint.source.render import render, render_key
from vramlint.source.text_edit import TextEdit, line_start, newline_near
from vramlint.source.tree import Entry, Node, SourceFile

COMMENTED = {"yaml": "#", "toml": "#", "python": "#", "json": "/"}


def set_value(file: SourceFile, operation: Set) -> TextEdit:
    """The new value where the old one is written; for a Python constant with a single use, where it is defined."""
    node = node_at(file, operation.path, operation.document)
    check_unlocked(file, node)
    if operation.path and isinstance(operation.path[-1], str) and file.format != "python":
        _check_key(file, operation)
    if node.kind == "scalar" and node.referent is not None:
        node = node.referent
        check_unlocked(file, node)
    _check_expressions(file, operation.value)
    span = node.span
    if node.kind in ("map", "seq"):
        return _set_collection(file, node, operation.value)
    text = render(operation.value, file.format, node.style)
    if span.start == span.end and file.text[span.start - 1 : span.start] not in (" ", "\t"):
        text = " " + text
    return TextEdit(span.start, span.end, text)


def rename_key(file: SourceFile, parent: Node, entry: Entry, operation: Rename) -> TextEdit:
    """The new key in the old one's quotes."""
    span, key = entry.key_span, operation.key
    written = file.raw(span)
    style = {"'": "single", '"': "double"}.get(written[:1], "plain")
    if file.format == "python" and style == "plain":
        if parent.style != "call":
            raise Refusal(f"{written} is a name, and may be used elsewhere")
        if not key.isidentifier() or keyword.iskeyword(key):
            raise Refusal(f"{key} cannot be the name of an argument")
        return TextEdit(span.start, span.end, key)
    return TextEdit(span.start, span.end, render_key(key, file.format, style))


def _check_key(file: SourceFile, operation: Set) -> None:
    entry = entry_in(file, node_at(file, operation.path[:-1], operation.document), str(operation.path[-1]))
    if entry.locked or entry.merge:
        raise Refusal(entry.locked or "a merge key is no key of its own")


def _set_collection(file: SourceFile, node: Node, value: PlainValue) -> TextEdit:
    """A list or mapping in brackets, or a block list of scalars, replaced as a whole."""
    span = node.span
    written = file.raw(span)
    if node.style == "flow" or file.format == "json":
        if ("\n" in written or "\r" in written) and COMMENTED[file.format] in written:
            raise Refusal("the value spans several lines and may hold comments")
        return TextEdit(span.start, span.end, render(value, file.format))
    if file.format != "yaml" or node.kind != "seq" or not isinstance(value, list) or not value:
        raise Refusal("the value spans several lines")
    indent = file.text[line_start(file, span.start) : span.start]
    dash = re.match(r"- +", written)
    between = [
        file.text[one.span.end : other.span.start] for one, other in zip(node.items, node.items[1:], strict=False)
    ]
    plain = all(item.kind == "scalar" and not item.locked for item in node.items)
    if indent.strip() or not dash or not plain or any(part.strip() != "-" for part in between):
        raise Refusal("the list holds more than plain items")
    separator = newline_near(file.text, span.end) + indent + dash[0]
    return TextEdit(span.start, span.end, dash[0] + separator.join(render(item, "yaml") for item in value))


def _check_expressions(file: SourceFile, value: PlainValue) -> None:
    """Code may only use what the module has imported or defined at its top. Raises `Refusal`."""
    if isinstance(value, list):
        for item in value:
            _check_expressions(file, item)
    elif isinstance(value, dict):
        _check_expressions(file, list(value.values()))
    elif isinstance(value, Expression) and file.format == "python":
        from vramlint.source.python_names import is_available  # noqa: PLC0415 (ast only where Python is edited)

        if not is_available(file.text, value.code):
            raise Refusal(f"{value.code} is not imported at the top of this file")
