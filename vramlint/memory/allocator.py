"""PyTorch's caching allocator, replayed: what allocations take from the card, and the least card they pass on.

After c10/cuda/CUDACachingAllocator.cpp and c10/core/AllocatorConfig.h of torch 2.11, with its default settings:
requests are rounded up to 512 bytes; up to 1 MiB they share segments of 2 MiB, up to 10 MiB segments of 20 MiB,
larger ones get a segment of their own size rounded up to 2 MiB. The best-fitting free block is taken, by size and
then by address, and split where the rest is large enough; neighbours that are free become one block. Where the card
has no more, all segments that are wholly free are given back, and the request is tried once more.

One stream. An event is (identifier, size): size > 0 allocates that many bytes, 0 frees what the identifier holds;
EMPTY_CACHE is `torch.cuda.empty_cache()`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import NamedTuple

Event = tuple[int, int]
EMPTY_CACHE: Event = (-1, -1)

UNIT = 512
"""kMinBlockSize: the allocator knows no smaller piece, so that here sizes and addresses count these."""
SMALL_REQUEST = (1 << 20) // UNIT
SMALL_SEGMENT = (2 << 20) // UNIT
LARGE_REQUEST = (10 << 20) // UNIT
LARGE_SEGMENT = (20 << 20) // UNIT
SEGMENT_ROUNDING = (2 << 20) // UNIT
ADDRESS_BITS = 40
ADDRESS = (1 << ADDRESS_BITS) - 1
"""A block is one integer, its size above its address, so that integers sort as the allocator's free blocks do."""
SMALL_PLACES = 1 << ADDRESS_BITS - 1
"""Addresses from here on belong to the pool of small requests."""
UNLIMITED = 1 << 62
SLACK = 32 << 20
"""Bytes over the peak reserved from which the least capacity is searched down."""
SNAPSHOTS = 6


class Replay(NamedTuple):
    """Bytes.

    `ok`: nothing was refused; else the figures are those until then. `segments`: how often memory was taken.
    """

    allocated_peak: int
    reserved_peak: int
    ok: bool
    segments: int


class Allocator:
    """The allocator's state between events; sizes and addresses in units of 512 bytes."""

    __slots__ = (
        "allocated",
        "allocated_peak",
        "ends",
        "growth",
        "large",
        "live",
        "next_address",
        "refused",
        "reserved",
        "reserved_peak",
        "segments",
        "small",
        "starts",
    )

    def __init__(self) -> None:
        self.small: list[int] = []  # free blocks, sorted
        self.large: list[int] = []
        self.starts: dict[int, int] = {}  # address of a free block → the block
        self.ends: dict[int, int] = {}  # address behind a free block → the block
        self.segments: dict[int, int] = {}  # address → size
        self.live: dict[int, tuple[int, int]] = {}  # identifier → address, size
        self.next_address = 0
        self.allocated = self.allocated_peak = 0
        self.reserved = self.reserved_peak = 0
        self.refused = UNLIMITED  # the least that would have had to be reserved where something was given back, or the run ended
        self.growth: list[tuple[int, int]] = []  # (index of the event, reserved after it) for each segment taken

    def copy(self) -> Allocator:
        """The same state, to go on from more than once."""
        twin = Allocator()
        twin.small, twin.large = self.small[:], self.large[:]
        for name in ("starts", "ends", "segments", "live"):
            setattr(twin, name, dict(getattr(self, name)))
        for name in ("next_address", "allocated", "allocated_peak", "reserved", "reserved_peak"):
            setattr(twin, name, getattr(self, name))
        return twin

    def release_free_segments(self) -> None:
        """Give back every segment that is wholly free: empty_cache(), and what a failed request does."""
        segments, starts, ends = self.segments, self.starts, self.ends
        for pool in (self.small, self.large):
            kept = []
            for block in pool:
                address, size = block & ADDRESS, block >> ADDRESS_BITS
                if segments.get(address) == size:
                    del segments[address], starts[address], ends[address + size]
                    self.reserved -= size
                else:
                    kept.append(block)
            pool[:] = kept

    def _take(self, position: int, size: int, is_small: bool) -> None:
        """A segment from the card, free as yet, for the event at `position`; it is larger than all that is free in its pool."""
        address = self.next_address | SMALL_PLACES if is_small else self.next_address
        self.next_address += size + 1  # a gap, so that segments are never neighbours
        self.segments[address] = size
        self.reserved += size
        self.growth.append((position, self.reserved))
        self.reserved_peak = max(self.reserved_peak, self.reserved)
        block = size << ADDRESS_BITS | address
        self.starts[address] = self.ends[address + size] = block
        (self.small if is_small else self.large).append(block)

    def play(
        self, events: Sequence[Event], begin: int, capacity: int, end: int | None = None, *, pausing: bool = False,
    ) -> int:
        """Play events from one index up to another on a card of so many units. The index that fails, or the end.

        `pausing`: stop before anything is given back, so that one can go on from there as on a larger card.
        """
        stop = len(events) if end is None else end
        small, large = self.small, self.large
        starts, ends, live = self.starts, self.ends, self.live
        allocated, allocated_peak = self.allocated, self.allocated_peak
        find, insert = bisect_left, insort
        position = begin - 1
        for identifier, asked in islice(events, begin, stop):
            position += 1
            if asked > 0:
                size = (asked + 511) >> 9
                is_small = size <= SMALL_REQUEST
                pool = small if is_small else large
                index = find(pool, size << ADDRESS_BITS)
                if index == len(pool):
                    whole = (
                        SMALL_SEGMENT if is_small else LARGE_SEGMENT if size < LARGE_REQUEST
                        else -(-size // SEGMENT_ROUNDING) * SEGMENT_ROUNDING
                    )
                    if self.reserved + whole > capacity:
                        self.refused = min(self.refused, self.reserved + whole)
                        if not pausing:
                            self.release_free_segments()
                        if pausing or self.reserved + whole > capacity:
                            self.refused = min(self.refused, self.reserved + whole)
                            self.allocated, self.allocated_peak = allocated, allocated_peak
                            return position
                    self._take(position, whole, is_small)
                    index = len(pool) - 1  # nothing that was free is as large
                block = pool[index]
                address = block & ADDRESS
                whole = block >> ADDRESS_BITS
                del starts[address]
                rest = whole - size
                if rest and (is_small or rest > SMALL_REQUEST):
                    left = rest << ADDRESS_BITS | address + size
                    starts[address + size] = ends[address + whole] = left
                    if index and left < pool[index - 1]:
                        del pool[index]
                        insert(pool, left, 0, index)
                    else:
                        pool[index] = left
                    whole = size
                else:
                    del pool[index], ends[address + whole]
                live[identifier] = address, whole
                allocated += whole
                if allocated > allocated_peak:  # noqa: PLR1730 — max() costs a call an event
                    allocated_peak = allocated
            elif asked == 0:
                address, size = live.pop(identifier)
                allocated -= size
                pool = small if address >= SMALL_PLACES else large
                end = address + size
                place = -1
                if address in ends:
                    block = ends.pop(address)
                    place = find(pool, block)
                    address = block & ADDRESS
                if end in starts:
                    if place >= 0:
                        del pool[place]
                    block = starts.pop(end)
                    place = find(pool, block)
                    end += block >> ADDRESS_BITS
                block = end - address << ADDRESS_BITS | address
                starts[address] = ends[end] = block
                if place < 0:
                    insert(pool, block)
                elif place + 1 == len(pool) or block < pool[place + 1]:
                    pool[place] = block  # where the neighbour was that it has become one with
                else:
                    del pool[place]
                    insert(pool, block, place)
            else:
                self.release_free_segments()
        self.allocated, self.allocated_peak = allocated, allocated_peak
        return stop


def replay(events: Sequence[Event], capacity: int | None = None) -> Replay:
    """The events played from an empty card of `capacity` bytes, or one without end."""
    allocator = Allocator()
    done = allocator.play(events, 0, UNLIMITED if capacity is None else capacity // UNIT)
    return Replay(
        allocator.allocated_peak * UNIT, allocator.reserved_peak * UNIT, done == len(events), len(allocator.growth),
    )


def least_capacity(events: Sequence[Event], precision: float = 0.01) -> int:
    """The least card in bytes on which the events pass, to within `precision` of it."""
    return capacity_bracket(events, precision)[1]


def capacity_bracket(events: Sequence[Event], precision: float = 0.01) -> tuple[int, int]:
    """(too little, enough) in bytes, within `precision` of each other, found as lab/measure.py finds them.

    Searched from just under the peak allocated to just over the peak reserved where memory is plenty. Events that pass
    on a card need not pass on every larger one; these two bracket one boundary.
    """
    plenty = Allocator()
    plenty.play(events, 0, UNLIMITED)
    low, high = plenty.allocated_peak * UNIT * 99 // 100, plenty.reserved_peak * UNIT + SLACK
    starts = snapshots(events, plenty.growth, low // UNIT, high // UNIT)

    def passes(capacity: int) -> bool:
        units = capacity // UNIT
        _, position, state = max((start for start in starts if start[0] <= units), key=lambda start: start[1])
        return state.copy().play(events, position, units) == len(events)

    while not passes(high):
        low, high = high, high * 21 // 20
    while high - low > high * precision:
        middle = (low + high) // 2
        if passes(middle):
            high = middle
        else:
            low = middle
    return low, high


def snapshots(
    events: Sequence[Event], growth: Iterable[tuple[int, int]], low: int, high: int, count: int = SNAPSHOTS,
) -> list[tuple[int, int, Allocator]]:
    """(capacity, index, state) for `count` capacities from `low` up, in units.

    On a card of at least that many units all goes as on an endless one until that event.
    """
    steps = [low + (high - low) * step // count for step in range(count)]
    found: list[tuple[int, int, Allocator]] = []
    state, position = Allocator(), 0
    for index, reserved in growth:
        passed = 0
        while passed < len(steps) and steps[passed] < reserved:
            passed += 1
        if passed:  # the event at `index` is the first that a card of these sizes has no room for
            state.play(events, position, UNLIMITED, index)
            position = index
            found.extend((capacity, index, state) for capacity in steps[:passed])
            del steps[:passed]
            state = state.copy()
        if not steps:
            break
    return found
