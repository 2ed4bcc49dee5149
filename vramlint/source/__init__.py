"""Text ⇄ values with positions, and edits that change only what they say. Knows nothing of training."""

from vramlint.source.operations import Delete, Insert, Operation, PlainValue, Rename, Set
from vramlint.source.positions import LineIndex, Span
from vramlint.source.tree import Document, Entry, Format, Node, Path, Scalar, SourceError, SourceFile

__all__ = [
    "Delete", "Document", "Entry", "Format", "Insert", "LineIndex", "Node", "Operation", "Path", "PlainValue", "Rename",
    "Scalar", "Set", "SourceError", "SourceFile", "Span",
]
