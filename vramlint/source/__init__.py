"""Text ⇄ values with positions, and edits that change only what they say. Knows nothing of training."""

from vramlint.source.operations import Delete, Expression, Insert, Operation, PlainValue, Rename, Set
from vramlint.source.positions import LineIndex, Span
from vramlint.source.reading import format_of, read
from vramlint.source.tree import Document, Duplicate, Entry, Format, Node, Path, Scalar, SourceError, SourceFile

__all__ = [
    "Delete", "Document", "Duplicate", "Entry", "Expression", "Format", "Insert", "LineIndex", "Node", "Operation",
    "Path", "PlainValue", "Rename", "Scalar", "Set", "SourceError", "SourceFile", "Span", "format_of", "read",
]
