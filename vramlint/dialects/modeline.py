"""Facts stated in a comment: `# vramlint: trainer=transformers padding=false`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vramlint.dialects.vocabulary import set_value
from vramlint.run import Value
from vramlint.source import SourceFile, Span

COMMENT = re.compile(r"(?:#|//)[ \t]*vramlint:[ \t]*([^\r\n]*)")
FACT = re.compile(r"\b([A-Za-z_]\w*)=([^\s,()]+)")
NOT_KEYS = frozenset({"target", "dialect"})


def stated_in(file: SourceFile) -> Mapping[str, tuple[Value, Span]]:
    """Canonical keys stated in comments, with the place of each; what is no key or no value of it is left out."""
    found: dict[str, tuple[Value, Span]] = {}
    for comment in COMMENT.finditer(file.text):
        for fact in FACT.finditer(comment[1]):
            if fact[1] in NOT_KEYS:
                continue
            try:
                value = set_value(fact[1], fact[2])
            except ValueError:
                continue
            start = comment.start(1) + fact.start()
            found[fact[1]] = (value, Span(start, start + len(fact[0]), file.path))
    return found


def modeline(text: str, key: str) -> str | None:
    """The value of `target` or `dialect` stated in a comment, if any."""
    for comment in COMMENT.finditer(text):
        for fact in FACT.finditer(comment[1]):
            if fact[1] == key:
                return fact[2]
    return None
