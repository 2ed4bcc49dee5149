"""How large and how deep a file may be, since configs come from strangers."""

from __future__ import annotations

from vramlint.source.positions import Span
from vramlint.source.tree import SourceError

MOST_BYTES = 1 << 20
MOST_NODES = 100_000
MOST_DEPTH = 100
MOST_DIGITS = 300
"""A longer number is not computed: `int` of many digits takes quadratic time."""


class Meter:
    """Counts nodes and depth while a tree is built, and stops a hostile file early.

    `expanded` counts as if every alias were written out, so that a bomb of aliases is refused by arithmetic.
    """

    __slots__ = ("_path", "expanded")

    def __init__(self, path: str) -> None:
        self._path = path
        self.expanded = 0

    def node(self, offset: int, depth: int, weight: int = 1) -> None:
        """One more node at this depth, or an alias of `weight` nodes. Raises `SourceError`: too-deep or too-large."""
        self.expanded += weight
        if depth <= MOST_DEPTH and self.expanded <= MOST_NODES:
            return
        if depth > MOST_DEPTH:
            raise self.too_deep(offset)
        span = Span(offset, offset + 1, self._path)
        message = f"{'its aliases stand for' if weight > 1 else 'it holds'} more than {MOST_NODES:,} values"
        raise SourceError("too-large", message, self._path, span, "no training config holds so many")

    def too_deep(self, offset: int) -> SourceError:
        """What to raise where the nesting goes too far."""
        message, hint = f"nested more than {MOST_DEPTH} levels deep", "no training config nests so deep"
        return SourceError("too-deep", message, self._path, Span(offset, offset + 1, self._path), hint)
