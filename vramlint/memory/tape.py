"""What is allocated at each moment: bytes by part, and everything that is alive at the fullest moment."""

from __future__ import annotations

from collections.abc import Iterable

from vramlint.dataclass import dataclass

ROUNDING = 512
"""PyTorch's allocator rounds every request up to this (kMinBlockSize, c10/cuda/CUDACachingAllocator.cpp of torch 2.11)."""


class Block:
    """`count` like pieces of device memory, each `size` bytes."""

    __slots__ = ("count", "dtype", "part", "shape", "size", "what")

    def __init__(self, size: int, part: str, what: str, shape: tuple[int, ...], dtype: str, count: int = 1) -> None:
        self.size = size
        self.part = part
        self.what = what
        self.shape = shape
        self.dtype = dtype
        self.count = count


@dataclass(frozen=True, slots=True)
class Moment:
    """The fullest moment: its phase, its bytes, and the blocks alive."""

    phase: str
    total: int
    blocks: tuple[Block, ...]


class Tape:
    """Plays allocations and frees; knows the peak overall and by phase."""

    __slots__ = ("_live", "_new_peak", "current", "peak", "peak_by_phase", "phase")

    def __init__(self) -> None:
        self._live: dict[int, Block] = {}
        self._new_peak = False
        self.current = 0
        self.peak = Moment("", 0, ())
        self.peak_by_phase: dict[str, int] = {}
        self.phase = "loading"

    def allocate(
        self, size: int, part: str, what: str, shape: tuple[int, ...] = (), dtype: str = "", count: int = 1,
    ) -> Block:
        """`count` pieces of `size` bytes, rounded as the allocator rounds."""
        rounded = -(-size // ROUNDING) * ROUNDING
        block = Block(rounded, part, what, shape, dtype, count)
        self._live[id(block)] = block
        self.current += rounded * count
        if self.current > self.peak.total:
            self.peak = Moment(self.phase, self.current, ())
            self._new_peak = True
        if self.current > self.peak_by_phase.get(self.phase, 0):
            self.peak_by_phase[self.phase] = self.current
        return block

    def free(self, block: Block) -> None:
        """Give a block back."""
        if self._new_peak:
            self.settle()
        del self._live[id(block)]
        self.current -= block.size * block.count

    def free_all(self, blocks: Iterable[Block]) -> None:
        """Give several blocks back."""
        for block in blocks:
            self.free(block)

    def alive(self) -> dict[int, Block]:
        """The blocks alive now, by identity."""
        return dict(self._live)

    def settle(self) -> Moment:
        """The peak so far with what was alive then."""
        if self._new_peak:
            self._new_peak = False
            self.peak = Moment(self.peak.phase, self.peak.total, tuple(self._live.values()))
        return self.peak
