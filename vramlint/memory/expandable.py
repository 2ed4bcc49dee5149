"""PyTorch's allocator with expandable segments: one range of addresses, of which only pages in use need memory of the card.

After c10/cuda/CUDACachingAllocator.cpp of torch 2.11 (`expandable_segments:True`): requests over 1 MiB share one range, mapped
in pages of 20 MiB. The best-fitting free block is taken and always split, else the range grows at its end; where the card has no
more, all pages that are wholly free are given back. So the least capacity is what the pages in use take at the fullest moment.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from vramlint.memory.allocator import Event

PAGE = 20 << 20
UNIT = 512


def most_in_use(events: Iterable[Event]) -> tuple[int, int]:
    """(bytes in blocks, bytes of the pages in use), both at their most."""
    played = _Range()
    for identifier, size in events:
        if size > 0:
            played.allocate(identifier, -(-size // UNIT) * UNIT)
        elif size == 0:
            played.free(identifier)
    return played.allocated_peak, played.pages_peak * PAGE


class _Range:
    """The range of addresses, and which of it is free."""

    __slots__ = ("_ends", "_free", "_in_page", "_live", "_starts", "_top", "allocated", "allocated_peak", "pages", "pages_peak")

    def __init__(self) -> None:
        self._free: list[tuple[int, int]] = []  # (size, address), sorted as the allocator sorts
        self._starts: dict[int, int] = {}  # address → size
        self._ends: dict[int, int] = {}
        self._live: dict[int, tuple[int, int]] = {}
        self._in_page: dict[int, int] = {}
        self._top = 0
        self.allocated = self.allocated_peak = self.pages = self.pages_peak = 0

    def allocate(self, identifier: int, size: int) -> None:
        """Take the best-fitting free block, or make one at the end."""
        index = bisect_left(self._free, (size, 0))
        if index == len(self._free):
            index = self._grow(size)
        whole, address = self._free.pop(index)
        del self._starts[address], self._ends[address + whole]
        if whole > size:
            self._put(address + size, whole - size)
        self._live[identifier] = (address, size)
        self._count(address, size, 1)
        self.allocated += size
        self.allocated_peak = max(self.allocated_peak, self.allocated)
        self.pages_peak = max(self.pages_peak, self.pages)

    def free(self, identifier: int) -> None:
        """Give a block back; neighbours that are free become one."""
        address, size = self._live.pop(identifier)
        self._count(address, size, -1)
        self.allocated -= size
        self._put(address, size)

    def _put(self, address: int, size: int) -> None:
        before = self._ends.pop(address, 0)
        if before:
            address -= before
            self._take(address, before)
            size += before
        after = self._starts.get(address + size, 0)
        if after:
            del self._ends[address + size + after]
            self._take(address + size, after)
            size += after
        self._starts[address] = self._ends[address + size] = size
        insort(self._free, (size, address))

    def _take(self, address: int, size: int) -> None:
        del self._starts[address]
        del self._free[bisect_left(self._free, (size, address))]

    def _grow(self, size: int) -> int:
        last = self._ends.get(self._top, 0)
        missing = -(-(size - last) // PAGE) * PAGE
        start = self._top
        self._top += missing
        self._put(start, missing)
        return bisect_left(self._free, (size, 0))

    def _count(self, address: int, size: int, change: int) -> None:
        in_page = self._in_page
        for page in range(address // PAGE, (address + size - 1) // PAGE + 1):
            there = in_page.get(page, 0)
            in_page[page] = there + change
            if not there:
                self.pages += 1
            elif not there + change:
                self.pages -= 1
