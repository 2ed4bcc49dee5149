"""`--add-ignore`: a comment beside each finding that takes it back, put in only where the file stays what it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vramlint.dataclass import dataclass
from vramlint.directives.suppressions import Suppression, suppressions_of
from vramlint.findings import Finding
from vramlint.linter import Checked
from vramlint.source import SourceError, SourceFile, read
from vramlint.source.change import found_data

BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Ignored:
    """The file's bytes with the comments, what was added (line and codes), and what is found still."""

    data: bytes
    done: tuple[str, ...]
    checked: Checked


def add_ignores(checked: Checked, data: bytes, reason: str, check: Callable[[bytes], Checked]) -> Ignored:
    """Comments for all findings of a file; `check` checks other bytes of it. JSON has no comments, and gets none."""
    done: list[str] = []
    if checked.file is None or checked.file.format == "json":
        return Ignored(data, (), checked)
    for line, codes in _by_line(checked.file, checked.findings):
        for text in _candidates(checked.file, line, codes, reason):
            after = _same(checked.file, text)
            if after is None:
                continue
            rechecked = check(text.encode("utf-8"))
            if _count(rechecked, codes) < _count(checked, codes):
                data, checked = text.encode("utf-8"), rechecked
                done.append(f"{', '.join(codes)} {f'in line {line}' if line else 'in the whole file'}")
                break
        if checked.file is None:
            break
    return Ignored(data, tuple(done), checked)


def _by_line(file: SourceFile, findings: Iterable[Finding]) -> list[tuple[int, list[str]]]:
    """Codes by the line that their findings begin in, from the last line up, so that none of them moves; 0: no line."""
    lines: dict[int, set[str]] = {}
    for finding in findings:
        if finding.path != file.path:
            continue
        line = file.lines.position(finding.span.start)[0] if finding.span is not None else 0
        lines.setdefault(line, set()).add(finding.code)
    return [(line, sorted(codes)) for line, codes in sorted(lines.items(), reverse=True)]


def _count(checked: Checked, codes: list[str]) -> int:
    return sum(finding.code in codes for finding in checked.findings)


def _candidates(file: SourceFile, line: int, codes: list[str], reason: str) -> Iterable[str]:
    """The text with the comment: in the one that is there, at the end of the line, on a line of its own above."""
    text, more = file.text, f" {reason}" if reason else ""
    listed = ", ".join(codes)
    if line == 0:
        start = len(BOM) if text.startswith(BOM) else 0
        while text.startswith("#", start) and not text.startswith("# vramlint", start):  # a #! line and the like stay first
            start = _next_line(text, start)
        yield f"{text[:start]}# vramlint: ignore-file[{listed}]{more}{_line_break(text)}{text[start:]}"
        return
    start, end = file.lines.line_start(line), _line_end(file, line)
    there = [s for s in suppressions_of(file) if s.line == line and s.codes]
    if there:
        yield _joined(text, there[0], listed)
    yield f"{text[:end]}  # vramlint: ignore[{listed}]{more}{text[end:]}"
    indent = text[start : start + len(text[start:end]) - len(text[start:end].lstrip(BOM + " \t"))]
    yield f"{text[:start]}{indent}# vramlint: ignore[{listed}]{more}{_line_break(text)}{text[start:].removeprefix(BOM)}"


def _joined(text: str, there: Suppression, listed: str) -> str:
    """The codes added to a comment's brackets."""
    end = there.codes[-1][1].end
    return f"{text[:end]}, {listed}{text[end:]}"


def _same(file: SourceFile, text: str) -> SourceFile | None:
    """The edited file if it still holds the same data."""
    try:
        after = read(file.path, text.encode("utf-8"), file.format)
    except (SourceError, UnicodeEncodeError):
        return None
    return after if found_data(after) == found_data(file) else None


def _line_end(file: SourceFile, line: int) -> int:
    last = line == file.lines.line_count
    end = len(file.text) if last else file.lines.line_start(line + 1)
    return len(file.text[:end].rstrip("\r\n")) if not last else end


def _next_line(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end + 1


def _line_break(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
