"""Fixes into files: pass after pass until nothing is left to fix, each proven before the next, written once at the end."""

from __future__ import annotations

import difflib

from vramlint.dataclass import dataclass
from vramlint.findings import Safety, applicable
from vramlint.linter import Checked, Options, check_data
from vramlint.rules import RuleSet
from vramlint.source import Refused, apply

MOST_PASSES = 10


@dataclass(frozen=True, slots=True)
class Fixed:
    """The file's bytes after all passes, what was done, and what its last check still finds."""

    data: bytes
    done: tuple[str, ...]
    checked: Checked


def fix_data(path: str, data: bytes, options: Options, rules: RuleSet, least: Safety, *, named: bool = True) -> Fixed:
    """One fix at a time of those at least `least` safe, re-checked after each; at most ten."""
    done: list[str] = []
    checked = check_data(path, data, options, rules, named=named)
    for _ in range(MOST_PASSES):
        if checked.file is None:
            break
        for finding in checked.findings:
            fix = applicable(finding, least)
            edited = apply(checked.file, fix.operations) if fix is not None else None
            if fix is not None and edited is not None and not isinstance(edited, Refused):
                after = edited.text.encode("utf-8")
                next_checked = check_data(path, after, options, rules, named=named)
                if after != data and _better(checked, next_checked, finding.code):
                    done.append(f"{finding.code}: {fix.title}")
                    data, checked = after, next_checked
                    break
        else:
            break
    return Fixed(data, tuple(done), checked)


def _better(before: Checked, after: Checked, code: str) -> bool:
    """Whether the edit did away with one finding of its kind and brought no error."""
    def count(checked: Checked, wanted: str) -> int:
        return sum(wanted in (finding.code, finding.severity) for finding in checked.findings)

    return count(after, code) < count(before, code) and count(after, "error") <= count(before, "error")


def diff_of(path: str, before: bytes, after: bytes) -> str:
    """A unified diff."""
    old, new = (data.decode("utf-8", errors="replace").splitlines(keepends=True) for data in (before, after))
    return "".join(difflib.unified_diff(old, new, path, path))
