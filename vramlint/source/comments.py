"""Which matches of a pattern are comments: what only looks like one in a quoted text is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vramlint.source.locate import every_node
from vramlint.source.tree import SourceFile


def comments(file: SourceFile, pattern: re.Pattern[str], begin: int = 0, end: int | None = None) -> Iterator[re.Match[str]]:
    """The matches of a pattern for the beginning of a comment (`#…` or `//…`) that begin one in this file."""
    text = file.text
    found = list(pattern.finditer(text, begin, len(text) if end is None else end))
    if not found:
        return
    if file.format == "python":
        starts = _python_comments(file)
        yield from (match for match in found if match.start() in starts)
        return
    quoted = [
        node.span for document in file.documents for node in every_node(document.root)
        if node.kind == "scalar" and node.span.end - node.span.start > 1
    ]
    for match in found:
        start = match.start()
        stands_free = file.format != "yaml" or start == 0 or text[start - 1] in " \t\r\n\ufeff"
        if stands_free and not any(span.start <= start < span.end for span in quoted):
            yield match


def _python_comments(file: SourceFile) -> frozenset[int]:
    """Where comments begin, as Python's own tokenizer reads the file."""
    import io  # noqa: PLC0415  # only for files that say something to us
    import tokenize  # noqa: PLC0415

    found: set[int] = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(file.text.removeprefix("\ufeff"), newline="").readline):
            if token.type == tokenize.COMMENT:
                line, column = token.start
                begins = file.lines.line_start(line)
                is_first_of_marked = begins == 0 and file.text.startswith("\ufeff")
                found.add(begins + column + is_first_of_marked)
    except (tokenize.TokenError, SyntaxError):
        return frozenset(found)
    return frozenset(found)
