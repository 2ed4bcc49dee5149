"""Symbolic edits: what to change, said in keys; `edit` turns them into text against the current text."""

from __future__ import annotations

from vramlint.dataclass import dataclass
from vramlint.source.tree import Path, Scalar


@dataclass(frozen=True, slots=True)
class Expression:
    """A value to be written as code, such as `torch.float16`; only Python takes it."""

    code: str


PlainValue = Scalar | Expression | list["PlainValue"] | dict[str, "PlainValue"]


@dataclass(frozen=True, slots=True)
class Set:
    """Replace the value at `path`, which exists."""

    path: Path
    value: PlainValue
    document: int = 0


@dataclass(frozen=True, slots=True)
class Insert:
    """Add `key: value` to the mapping at `path` (Python: an argument of that call), after `after` if named."""

    path: Path
    key: str
    value: PlainValue
    after: str | None = None
    document: int = 0


@dataclass(frozen=True, slots=True)
class Delete:
    """Take out the entry at `path`, key and all."""

    path: Path
    document: int = 0


@dataclass(frozen=True, slots=True)
class Rename:
    """Give the entry at `path` another key; its value stays."""

    path: Path
    key: str
    document: int = 0


Operation = Set | Insert | Delete | Rename
