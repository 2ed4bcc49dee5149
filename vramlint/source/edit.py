"""Operations on keys → one text edit each, applied together, read again, and dropped unless they did exactly what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vramlint.source.change import Expected, expected_data, found_data
from vramlint.source.operations import Delete, Insert, Operation, Rename, Set
from vramlint.source.positions import Span
from vramlint.source.reading import read
from vramlint.source.render import Unwritable, render, render_key
from vramlint.source.surgery import (
    Refusal,
    TextEdit,
    check_not_shared,
    check_unlocked,
    delete_entry,
    entry_at,
    insert_entry,
    node_at,
    python_literal,
)
from vramlint.source.tree import SourceError, SourceFile


@dataclass(frozen=True, slots=True)
class Edited:
    """The file after the edit, read anew, its text, and the edits that led to it."""

    file: SourceFile
    text: str
    edits: tuple[TextEdit, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the edit cannot be made safely; the file is untouched."""

    why: str


def apply(file: SourceFile, operations: Sequence[Operation]) -> Edited | Refused:
    """The file with all operations made, or the reason why none is.

    What is written is read again: the data must differ from the old by exactly these operations.
    """
    try:
        edits = [_compiled(file, operation) for operation in operations]
        expected = expected_data(file, operations)
    except Refusal as refusal:
        return Refused(str(refusal))
    except Unwritable as error:
        return Refused(str(error))
    text = _replaced(file.text, edits)
    if text is None:
        return Refused("the changes touch the same text")
    try:
        after = read(file.path, text.encode("utf-8"), file.format)
    except (SourceError, UnicodeEncodeError):
        return Refused("the edited text could not be read again")
    if not _same(expected, after):
        return Refused("the edit would have changed more than it says")
    return Edited(after, text, tuple(edits))


def _same(expected: Expected, after: SourceFile) -> bool:
    return expected == found_data(after)


def _replaced(text: str, edits: Sequence[TextEdit]) -> str | None:
    """The text with all edits made, or None if two overlap."""
    ordered = sorted(edits, key=lambda edit: (edit.start, edit.end))
    for first, second in zip(ordered, ordered[1:], strict=False):
        if second.start < first.end:
            return None
    for edit in reversed(ordered):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


def _compiled(file: SourceFile, operation: Operation) -> TextEdit:
    if any(duplicate.key in operation.path for duplicate in file.duplicates):
        raise Refusal("the key stands twice in the file")
    check_not_shared(file, operation)
    if isinstance(operation, Insert):
        return insert_entry(file, operation)
    if isinstance(operation, Delete):
        return delete_entry(file, operation)
    if isinstance(operation, Rename):
        return _rename(file, operation)
    return _set(file, operation)


def _rename(file: SourceFile, operation: Rename) -> TextEdit:
    entry = entry_at(file, operation.path, operation.document)
    span = entry.key_span
    written = file.text[span.start : span.end]
    if file.format == "python" and not written.startswith(("'", '"')):
        return TextEdit(span.start, span.end, operation.key)
    if written[:1] in ("'", '"'):
        return TextEdit(span.start, span.end, written[0] + operation.key + written[0])
    return TextEdit(span.start, span.end, render_key(operation.key, file.format))


def _set(file: SourceFile, operation: Set) -> TextEdit:
    node = node_at(file, operation.path, operation.document)
    if file.format == "python" and node.style == "name":
        node = python_literal(file, node)
    check_unlocked(node)
    if operation.path and isinstance(operation.path[-1], str):
        entry_at(file, operation.path, operation.document)
    span: Span = node.span
    if node.kind in ("map", "seq"):
        if node.style != "flow" or "\n" in file.text[span.start : span.end]:
            raise Refusal("the value spans several lines")
        return TextEdit(span.start, span.end, render(operation.value, file.format))
    if isinstance(operation.value, list | dict) and file.format == "yaml" and span.start == span.end:
        raise Refusal("the value is empty")
    text = render(operation.value, file.format, node.style)
    if span.start == span.end and file.text[span.start - 1 : span.start] not in (" ", "\t"):
        text = " " + text
    return TextEdit(span.start, span.end, text)


