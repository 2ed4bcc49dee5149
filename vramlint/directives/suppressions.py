"""`# vramlint: ignore[VRM402] reason`, `ignore-file[…]`: findings that a file's own comments take back, and idle comments."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from vramlint.dataclass import dataclass
from vramlint.findings import Finding
from vramlint.rules import RuleSet, finding_for
from vramlint.source import SourceFile, Span
from vramlint.source.comments import comments

IGNORE = re.compile(r"(?:#|//)[ \t]*vramlint:[ \t]*ignore(-file)?(?![\w-])[ \t]*(\[[^\]\r\n]*(\])?)?")
WORD = re.compile(r"[^\s,\[\]]+")
COMMENT_LINE = re.compile(r"[ \t]*(?:#|//|[\r\n]|\Z)")


@dataclass(frozen=True, slots=True)
class Suppression:
    """One comment that takes findings back: on line `line` (1-based), or in the whole file where that is None.

    `codes` are the rules as written there, each with its place; none means all of them. `span` is the comment.
    """

    span: Span
    line: int | None
    codes: tuple[tuple[str, Span], ...]
    is_complete: bool = True


def suppressions_of(file: SourceFile) -> list[Suppression]:
    """Every such comment of a file, in order. What stands in a quoted text is no comment."""
    if "vramlint:" not in file.text:
        return []
    return [_suppression(file, match) for match in comments(file, IGNORE)]


def _suppression(file: SourceFile, match: re.Match[str]) -> Suppression:
    codes = tuple(
        (word[0], Span(*word.span(), file.path)) for word in WORD.finditer(file.text, match.start(2), match.end(2))
    ) if match[2] else ()
    span = Span(match.start(), match.end(), file.path)
    is_complete = not match[2] or (match[3] is not None and bool(codes))
    line = None if match[1] else _line_meant(file, match.start())
    return Suppression(span, line, codes, is_complete)


def _line_meant(file: SourceFile, offset: int) -> int:
    """The comment's own line if something stands before it, else the next one that is more than a comment."""
    line, column = file.lines.position(offset)
    if file.text[offset - column + 1 : offset].strip("\ufeff \t"):
        return line
    for number in range(line + 1, file.lines.line_count + 1):
        if not COMMENT_LINE.match(file.text, file.lines.line_start(number)):
            return number
    return line


def without_suppressed(
    findings: Sequence[Finding], file: SourceFile, rules: RuleSet, was_asked: Callable[[str], bool],
) -> list[Finding]:
    """The findings that no comment takes back, and one for each comment that takes back none or names no rule.

    `was_asked` says whether the rule of a code could have fired here at all: where it could not (no card was named), its
    comment is not called unused.
    """
    suppressions = suppressions_of(file)
    if not suppressions:
        return list(findings)
    kept: list[Finding] = []
    used: set[Span] = set()
    for finding in findings:
        taken_back = [span for suppression in suppressions for span in _matched(suppression, finding, file, rules)]
        used.update(taken_back)
        if not taken_back:
            kept.append(finding)
    for suppression in suppressions:
        kept += _about(suppression, file, rules, used, was_asked)
    return kept


def _matched(suppression: Suppression, finding: Finding, file: SourceFile, rules: RuleSet) -> list[Span]:
    """The places in the comment that speak of this finding."""
    if not suppression.is_complete or not _is_there(suppression, finding, file):
        return []
    if not suppression.codes:
        return [suppression.span]
    return [span for code, span in suppression.codes if any(r.code == finding.code for r in rules.named(code))]


def _is_there(suppression: Suppression, finding: Finding, file: SourceFile) -> bool:
    if suppression.line is None:
        return True
    if finding.span is None or (finding.span.path or file.path) != file.path:
        return False
    first, _ = file.lines.position(finding.span.start)
    last, _ = file.lines.position(max(finding.span.start, finding.span.end - 1))
    return first <= suppression.line <= last


def _about(
    suppression: Suppression, file: SourceFile, rules: RuleSet, used: set[Span], was_asked: Callable[[str], bool],
) -> Iterator[Finding]:
    def wrong(kind: str, message: str, span: Span, *help_text: str) -> Finding:
        return finding_for(rules, kind, path=file.path, message=message, span=span, help=help_text)

    if not suppression.is_complete:
        yield wrong("comment", "the brackets of ignore name no rule", suppression.span, "write ignore[VRM402] or ignore[name]")
        return
    for code, span in suppression.codes:
        meant = rules.named(code)
        if not meant:
            yield wrong("comment", f"there is no rule {code!r}", span, *_near(code, rules))
        elif span not in used and all(was_asked(rule.code) for rule in meant):
            yield wrong("unused-ignore", f"nothing here is {code}: the comment takes back no finding", span, "take it out")
    if not suppression.codes and suppression.span not in used and all(was_asked(r.code) for r in rules.rules if r.default):
        yield wrong("unused-ignore", "the comment takes back no finding", suppression.span, "take it out")


def _near(code: str, rules: RuleSet) -> tuple[str, ...]:
    from vramlint.shape import near  # noqa: PLC0415  # only where something is wrong

    return near(code, [word for rule in rules.rules for word in (rule.code, rule.name)])
