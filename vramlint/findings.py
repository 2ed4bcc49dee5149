"""What a check found and what would mend it; plain data that knows nothing of how it was found."""

from __future__ import annotations

import enum
from typing import Literal

from vramlint.dataclass import dataclass
from vramlint.run import Change
from vramlint.source import Operation, Span

Severity = Literal["error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "error")
"""In rising order."""


class Safety(enum.IntEnum):
    """How far a fix may be trusted, in rising order, so that `fix.safety >= required` is one comparison."""

    DISPLAY = 0
    UNSAFE = 1
    SAFE = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the edited run was estimated to take: bytes on the device, and the verdict there."""

    device_low: int
    device_typical: int
    device_high: int
    verdict: Literal["fits", "tight", "does-not-fit"] | None


@dataclass(frozen=True, slots=True)
class Fix:
    """A set of changes that go in together or not at all.

    `changes` are on canonical keys and are turned into `operations` on the file by the dialect; a fix of a
    spelling has `operations` from the start. `refused` says why it can only be shown.
    """

    title: str
    safety: Safety
    changes: tuple[Change, ...] = ()
    operations: tuple[Operation, ...] = ()
    outcome: Outcome | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that explains the finding."""

    span: Span
    message: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to tell the user, at one place. `span` None means the file as a whole."""

    code: str
    name: str
    severity: Severity
    message: str
    path: str
    span: Span | None = None
    key: str | None = None
    label: str | None = None
    help: tuple[str, ...] = ()
    related: tuple[Related, ...] = ()
    fixes: tuple[Fix, ...] = ()
    document: int = 0


ABOUT_THE_FIT = frozenset({"does-not-fit", "tight"})
"""Findings that only a run that fits does away with."""


def applicable(finding: Finding, least: Safety) -> Fix | None:
    """The fix to make without asking, of those at least so safe: the first that the file takes and that is enough."""
    for fix in finding.fixes:
        fits = fix.outcome is not None and fix.outcome.verdict == "fits"
        enough = fits or finding.name not in ABOUT_THE_FIT
        if fix.safety >= max(least, Safety.UNSAFE) and fix.operations and fix.refused is None and enough:
            return fix
    return None
