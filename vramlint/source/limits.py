"""How large and how deep a file may be, since configs come from strangers."""

from __future__ import annotations

from vramlint.source.positions import Span
from vramlint.source.tree import SourceError

MOST_BYTES = 1 << 20
MOST_NODES = 100_000
MOST_DEPTH = 100


class Meter:
    """Counts nodes and depth while a tree is built, and stops a hostile file early."""

    __slots__ = ("_nodes", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._nodes = 0

    def node(self, offset: int, depth: int) -> None:
        """One more node at this depth. Raises `SourceError` of kind too-deep or too-large."""
        self._nodes += 1
        if depth > MOST_DEPTH:
            raise SourceError(
                "too-deep", f"nested more than {MOST_DEPTH} levels deep", self._path, Span(offset, offset + 1, self._path),
                "no training config nests so deep",
            )
        if self._nodes > MOST_NODES:
            raise SourceError(
                "too-large", f"holds more than {MOST_NODES:,} values", self._path, Span(offset, offset + 1, self._path),
                "no training config holds so many",
            )
