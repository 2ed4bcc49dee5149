"""`# vramlint: key=value`: canonical keys said in a comment, where a file has no place for them."""

from __future__ import annotations

import re

from vramlint.dataclass import dataclass
from vramlint.source import Document, SourceFile, Span

COMMENT = re.compile(r"(?:#|//)[ \t]*vramlint:[ \t]*([^\r\n]*)")
SAID = re.compile(r"([A-Za-z_]\w*)[ \t]*=[ \t]*(\"[^\"]*\"|'[^']*'|\[[^\]]*\]|[^\s,;]+)")
NO_KEYS = frozenset({"disable", "ignore", "enable", "noqa"})


@dataclass(frozen=True, slots=True)
class Said:
    """One `key=value` of a comment, with its places."""

    key: str
    text: str
    key_span: Span
    value_span: Span


def said_in_comments(file: SourceFile, document: Document) -> list[Said]:
    """What comments of this document say, suppressions left out; a comment between two documents is the second's."""
    if "vramlint:" not in file.text:
        return []
    from vramlint.source.comments import comments  # noqa: PLC0415  # few files say anything

    before = file.documents[document.index - 1].root.span.end if document.index else 0
    is_last = document.index == len(file.documents) - 1
    end = len(file.text) if is_last else document.root.span.end
    said = []
    for comment in comments(file, COMMENT, before, end):
        if comment[1].startswith("ignore"):  # a suppression; the reason after it may well name keys
            continue
        for match in SAID.finditer(file.text, comment.start(1), comment.end(1)):
            if match[1] in NO_KEYS:
                continue
            key_span, value_span = (Span(*match.span(group), file.path) for group in (1, 2))
            said.append(Said(match[1], match[2].strip("\"'"), key_span, value_span))
    return said
