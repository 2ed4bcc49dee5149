"""What the command line asks to be done to the files themselves."""

from __future__ import annotations

from vramlint.dataclass import dataclass
from vramlint.findings import Safety


@dataclass(frozen=True, slots=True)
class Task:
    """What to do with a file: `is_fixed` with fixes at least so safe, `is_ignored` with comments, `is_shown` as a diff."""

    is_fixed: bool
    is_ignored: bool
    is_shown: bool
    least: Safety
    reason: str = ""

    @property
    def is_one(self) -> bool:
        """Whether there is anything to do."""
        return self.is_fixed or self.is_ignored or self.is_shown
