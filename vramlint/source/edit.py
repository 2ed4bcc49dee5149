"""Operations on keys → one text edit each, applied together, read again, and dropped unless they did what they say."""

from __future__ import annotations

from collections.abc import Sequence

from vramlint.dataclass import dataclass, replace
from vramlint.source.bracket_edits import delete_between, insert_between
from vramlint.source.change import expected_data, found_data
from vramlint.source.effective import effective
from vramlint.source.line_edits import delete_lines, insert_line
from vramlint.source.locate import Refusal, check_not_shared, entry_at, node_at
from vramlint.source.operations import Delete, Insert, Operation, Rename, Set
from vramlint.source.reading import read
from vramlint.source.render import Unwritable
from vramlint.source.replace_edits import rename_key, set_value
from vramlint.source.text_edit import TextEdit, difference, replaced
from vramlint.source.tree import Node, SourceError, SourceFile

ONE_AFTER_THE_OTHER = (Insert, Set, Delete, Rename)
"""The order in which changes of the same text are made: a sibling is deleted after it was inserted beside."""


@dataclass(frozen=True, slots=True)
class Edited:
    """The file after the edit, read anew, its text, and the replacements that lead there from the old text."""

    file: SourceFile
    text: str
    edits: tuple[TextEdit, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the edit cannot be made safely; the file is untouched."""

    why: str

    @property
    def reason(self) -> str:
        """The same as `why`."""
        return self.why


def apply(file: SourceFile, operations: Sequence[Operation]) -> Edited | Refused:
    """The file with all operations made, or the reason why none is.

    What is written is read again: the data must differ from the old by exactly these operations. Aliases are not
    written through, and nothing is changed that another place takes its value from.
    """
    try:
        edits = [_compiled(file, operation) for operation in operations]
        expected = expected_data(file, operations)
        text = replaced(file.text, edits)
        if text is None:
            text = _one_by_one(file, operations)
            edits = [difference(file.text, text)]
        after = _read_again(file, text)
    except (Refusal, Unwritable) as refusal:
        return Refused(str(refusal))
    if expected != found_data(after) or len(after.duplicates) != len(file.duplicates):
        return Refused("the edit would change more than it says")
    return Edited(after, text, tuple(edits))


def _one_by_one(file: SourceFile, operations: Sequence[Operation]) -> str:
    """Changes that touch the same text, each against what the one before has left."""
    for kind in ONE_AFTER_THE_OTHER:
        for operation in operations:
            if isinstance(operation, kind):
                file = _read_again(file, replaced(file.text, [_compiled(file, operation)]) or "")
    return file.text


def _read_again(file: SourceFile, text: str) -> SourceFile:
    try:
        return read(file.path, text.encode("utf-8"), file.format)
    except (SourceError, UnicodeEncodeError):
        raise Refusal("the edited text could not be read again") from None


def _compiled(file: SourceFile, operation: Operation) -> TextEdit:
    check_not_shared(file, operation)
    if isinstance(operation, Set):
        return set_value(file, operation)
    if isinstance(operation, Insert):
        return _insert(file, operation)
    entry = entry_at(file, operation.path, operation.document)
    parent = node_at(file, operation.path[:-1], operation.document)
    _check_nothing_inherited(file, parent, operation)
    if isinstance(operation, Rename):
        return rename_key(file, parent, entry, operation)
    if _has_brackets(file, parent):
        return delete_between(file, parent, entry, operation)
    return delete_lines(file, parent, entry, operation)


def _insert(file: SourceFile, operation: Insert) -> TextEdit:
    parent = node_at(file, operation.path, operation.document)
    if parent.kind == "alias":
        raise Refusal(parent.locked or "the mapping is written elsewhere")
    if parent.kind != "map":
        raise Refusal("there is no mapping to insert into")
    if parent.locked:
        raise Refusal(parent.locked)
    if any(entry.key == operation.key for entry in parent.entries):
        raise Refusal(f"{operation.key} is there already")
    return (insert_between if _has_brackets(file, parent) else insert_line)(file, parent, operation)


def _check_nothing_inherited(file: SourceFile, parent: Node, operation: Delete | Rename) -> None:
    """Without an own key, the inherited one of that name would come into force. Raises `Refusal`."""
    merges = tuple(entry for entry in parent.entries if entry.merge)
    if merges:
        inherited = effective(file, file.documents[operation.document]).entries(replace(parent, entries=merges))
        for key in (operation.path[-1], *([operation.key] if isinstance(operation, Rename) else [])):
            if key in inherited:
                raise Refusal(f"{key} is also inherited through a merge key")


def _has_brackets(file: SourceFile, parent: Node) -> bool:
    return file.format == "json" or parent.style in ("flow", "call", "pair")
