"""Fixes into files: pass after pass until nothing is left to fix, each proven before the next, written once at the end."""

from __future__ import annotations

from vramlint.dataclass import dataclass
from vramlint.findings import ABOUT_THE_FIT, Finding, Fix, Safety, applicable
from vramlint.linter import Checked, Options, check_data
from vramlint.rules import RuleSet
from vramlint.source import Operation, Refused, apply

MOST_PASSES = 10


@dataclass(frozen=True, slots=True)
class Fixed:
    """The file's bytes after all passes, what was done, and what its last check still finds."""

    data: bytes
    done: tuple[str, ...]
    checked: Checked


@dataclass(frozen=True, slots=True)
class _Check:
    """How to check other bytes of the same file."""

    path: str
    options: Options
    rules: RuleSet
    named: bool

    def __call__(self, data: bytes) -> Checked:
        return check_data(self.path, data, self.options, self.rules, named=self.named)


def fix_data(path: str, data: bytes, options: Options, rules: RuleSet, least: Safety, *, named: bool = True) -> Fixed:
    """Every fix of those at least `least` safe that does away with its finding; at most ten passes over the findings.

    After each edit the file is read again, compared and estimated anew, and the edit is dropped if it did not help.
    """
    check = _Check(path, options, rules, named)
    fixed = Fixed(data, (), check(data))
    for _ in range(MOST_PASSES):
        after = _one_by_one(_spellings(fixed, check, least), check, least)
        if after.data == fixed.data:
            break
        fixed = after
    return fixed


def _spellings(fixed: Fixed, check: _Check, least: Safety) -> Fixed:
    """All edits of the text that touch different places, at once: they change no number."""
    file = fixed.checked.file
    chosen: list[tuple[Finding, Fix]] = []
    places: set[object] = set()
    for finding in fixed.checked.findings:
        fix = applicable(finding, least)
        if fix is None or fix.changes or file is None:
            continue
        touched = {_place(operation) for operation in fix.operations}
        edited = apply(file, fix.operations)
        if not touched & places and not isinstance(edited, Refused):
            file, places = edited.file, places | touched
            chosen.append((finding, fix))
    if file is None or len(chosen) < 2:
        return fixed
    after = check(file.text.encode("utf-8"))
    if not all(_better(fixed.checked, after, finding) for finding, _ in chosen):
        return fixed
    return Fixed(file.text.encode("utf-8"), (*fixed.done, *(_said(*pair) for pair in chosen)), after)


def _one_by_one(fixed: Fixed, check: _Check, least: Safety) -> Fixed:
    """One fix after another, each against what the one before has left."""
    tried: set[tuple[str, str, object]] = set()
    while True:
        pair = _untried(fixed.checked, least, tried)
        if pair is None or fixed.checked.file is None:
            return fixed
        finding, fix = pair
        tried.add(_mark(finding, fix))
        edited = apply(fixed.checked.file, fix.operations)
        if isinstance(edited, Refused):
            continue
        data = edited.text.encode("utf-8")
        after = check(data)
        if data != fixed.data and _better(fixed.checked, after, finding):
            fixed = Fixed(data, (*fixed.done, _said(finding, fix)), after)


def _untried(checked: Checked, least: Safety, tried: set[tuple[str, str, object]]) -> tuple[Finding, Fix] | None:
    for finding in checked.findings:
        fix = applicable(finding, least)
        if fix is not None and _mark(finding, fix) not in tried:
            return finding, fix
    return None


def _mark(finding: Finding, fix: Fix) -> tuple[str, str, object]:
    return finding.code, fix.title, tuple(_place(operation) for operation in fix.operations)


def _place(operation: Operation) -> object:
    return operation.document, operation.path, getattr(operation, "key", None)


def _said(finding: Finding, fix: Fix) -> str:
    return f"{finding.code}: {fix.title}"


def _better(before: Checked, after: Checked, mended: Finding) -> bool:
    """Whether the edit did away with one finding of its kind and brought no error; tight is no cure of what does not fit."""

    def count(checked: Checked, *wanted: str) -> int:
        return sum(any(one in (finding.name, finding.severity) for one in wanted) for finding in checked.findings)

    kind = tuple(ABOUT_THE_FIT) if mended.name in ABOUT_THE_FIT else (mended.name,)
    return count(after, *kind) < count(before, *kind) and count(after, "error") <= count(before, "error")


def diff_of(path: str, before: bytes, after: bytes) -> str:
    """A unified diff, each file's last line marked where it has no end."""
    import difflib  # noqa: PLC0415  # only where a difference is asked for

    old, new = (_lines(data) for data in (before, after))
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(old, new, path, path)
    )


def _lines(data: bytes) -> list[str]:
    """Lines as `diff` sees them: ended by a line feed and nothing else."""
    *ended, last = data.decode("utf-8", errors="replace").split("\n")
    return [f"{line}\n" for line in ended] + ([last] if last else [])

