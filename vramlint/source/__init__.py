"""Text ⇄ values with positions, and edits that change only what they say. Knows nothing of training."""

from vramlint.source.edit import Edited, Refused, apply
from vramlint.source.effective import UNKNOWN, Effective, Resolved, Unknown, effective
from vramlint.source.operations import Delete, Expression, Insert, Operation, PlainValue, Rename, Set
from vramlint.source.positions import LineIndex, Span
from vramlint.source.reading import format_of, read
from vramlint.source.tree import Document, Duplicate, Entry, Format, Node, Path, Scalar, SourceError, SourceFile
from vramlint.source.writing import write

__all__ = [
    "UNKNOWN", "Delete", "Document", "Duplicate", "Edited", "Effective", "Entry", "Expression", "Format", "Insert",
    "LineIndex", "Node", "Operation", "Path", "PlainValue", "Refused", "Rename", "Resolved", "Scalar", "Set",
    "SourceError", "SourceFile", "Span", "Unknown", "apply", "effective", "format_of", "read", "write",
]
