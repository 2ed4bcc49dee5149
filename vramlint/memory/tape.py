"""What is allocated at each moment: bytes by part, and everything that is alive at the fullest moment."""

from __future__ import annotations

from collections.abc import Iterable

from vramlint.dataclass import dataclass

ROUNDING = 512
"""PyTorch's allocator rounds every request up to this (kMinBlockSize, c10/cuda/CUDACachingAllocator.cpp of torch 2.11)."""


class Block:
    """`count` like pieces of device memory, each `size` bytes.

    `stands_in`: counted for the pieces of like layers that were not played.
    """

    __slots__ = ("count", "dtype", "part", "shape", "size", "stands_in", "what")

    def __init__(
        self, size: int, part: str, what: str, shape: tuple[int, ...], dtype: str, count: int = 1, *, stands_in: bool = False,
    ) -> None:
        self.size = size
        self.part = part
        self.what = what
        self.shape = shape
        self.dtype = dtype
        self.count = count
        self.stands_in = stands_in


class Span:
    """Where on the tape one layer was played for itself and `times` like ones, which come before it forward, after it backward.

    `begin` and `end` are indices into the tape's `played`; `takes` and `gives` are the block that comes in from the layer
    before (backward: its gradient from the layer after) and the one that goes on. `forward` is a backward's other span.
    `keeps`: how many of the layers still have on the card what their forward left, when that of all is done.
    """

    __slots__ = ("begin", "end", "forward", "gives", "keeps", "takes", "times")

    def __init__(self, begin: int, end: int, times: int, takes: Block | None, gives: Block | None, forward: Span | None) -> None:
        self.begin = begin
        self.end = end
        self.times = times
        self.takes = takes
        self.gives = gives
        self.forward = forward
        self.keeps = times


@dataclass(frozen=True, slots=True)
class Moment:
    """The fullest moment: its phase, its bytes, and the blocks alive."""

    phase: str
    total: int
    blocks: tuple[Block, ...]


class Tape:
    """Plays allocations and frees; knows the peak overall and by phase.

    `played` has each block at its allocation and once more at its free, in order; `phases` the index at which each begins;
    `added` those of the frees of gradients that were added to what an earlier micro step left.
    """

    __slots__ = (
        "_fullest", "_highest", "_live", "_phase", "_settled", "_top", "_top_phase", "added", "current", "peak_by_phase",
        "phases", "played", "spans",
    )

    def __init__(self) -> None:
        self._live: dict[int, Block] = {}
        self._top = 0  # the most bytes so far, in which phase, and how much had been played then
        self._top_phase = ""
        self._fullest = 0
        self._highest = 0  # the most bytes of this phase
        self._settled = Moment("", 0, ())
        self.current = 0
        self.peak_by_phase: dict[str, int] = {}
        self.played: list[Block] = []
        self.phases: list[tuple[int, str]] = []
        self.added: list[int] = []
        self.spans: list[Span] = []
        self.phase = "loading"

    @property
    def phase(self) -> str:
        """What the run is doing now."""
        return self._phase

    @phase.setter
    def phase(self, name: str) -> None:
        self._phase = name
        self._highest = self.peak_by_phase.get(name, 0)
        self.phases.append((len(self.played), name))

    def like(
        self, begin: int, times: int, takes: Block | None, gives: Block | None, forward: Span | None = None,
    ) -> Span:
        """Note that what was played since `begin` is what `times` other layers do as well."""
        span = Span(begin, len(self.played), times, takes, gives, forward)
        self.spans.append(span)
        return span

    def allocate(
        self, size: int, part: str, what: str, shape: tuple[int, ...] = (), dtype: str = "", count: int = 1, *,
        stands_in: bool = False,
    ) -> Block:
        """`count` pieces of `size` bytes, rounded as the allocator rounds."""
        rounded = -(-size // ROUNDING) * ROUNDING
        block = Block(rounded, part, what, shape, dtype, count, stands_in=stands_in)
        self.played.append(block)
        self._live[id(block)] = block
        current = self.current = self.current + rounded * count
        if current > self._highest:
            self._highest = self.peak_by_phase[self._phase] = current
            if current > self._top:
                self._top, self._top_phase, self._fullest = current, self._phase, len(self.played)
        return block

    def stand_in(self, begin: int, total: int, alive: Iterable[int], blocks: list[Block]) -> None:
        """Blocks that are there since the index `begin`, where `total` bytes and the blocks with the identities `alive` were."""
        since, there = self.played[begin:], set(alive)
        self.played[begin:begin] = blocks
        self.added = [index if index < begin else index + len(blocks) for index in self.added]
        self._live.update((id(block), block) for block in blocks)
        more = sum(block.size * block.count for block in blocks)
        self.current += more
        total += more
        for index, block in enumerate(since, begin + len(blocks) + 1):
            if id(block) in there:
                there.discard(id(block))
                total -= block.size * block.count
                continue
            there.add(id(block))
            total += block.size * block.count
            if total > self._highest:
                self._highest = self.peak_by_phase[self._phase] = total
                if total > self._top:
                    self._top, self._top_phase, self._fullest = total, self._phase, index

    def free(self, block: Block) -> None:
        """Give a block back."""
        del self._live[id(block)]
        self.played.append(block)
        self.current -= block.size * block.count

    def add_up(self, gradient: Block) -> None:
        """Give a gradient back that has been added to that of earlier micro steps; in the first of them it would stay."""
        self.added.append(len(self.played))
        self.free(gradient)

    def free_all(self, blocks: Iterable[Block]) -> None:
        """Give several blocks back."""
        for block in blocks:
            self.free(block)

    def alive(self) -> dict[int, Block]:
        """The blocks alive now, by identity."""
        return dict(self._live)

    @property
    def peak(self) -> Moment:
        """The peak so far with what was alive then."""
        return self.settle()

    def settle(self) -> Moment:
        """The peak so far with what was alive then, read off what was played until then."""
        if self._settled.total != self._top:
            live: dict[int, Block] = {}
            for block in self.played[:self._fullest]:
                if live.pop(id(block), None) is None:
                    live[id(block)] = block
            self._settled = Moment(self._top_phase, self._top, tuple(live.values()))
        return self._settled
