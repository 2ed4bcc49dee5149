"""The allocator model: its rules one by one, and real recorded runs reproduced exactly."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import case as cases
from lab import record
from vramlint.memory.allocator import EMPTY_CACHE, UNLIMITED, Allocator, Event, capacity_bracket, least_capacity, replay

MIB = 1 << 20
DATA = Path(__file__).parents[2] / "lab" / "data"


def test_requests_are_rounded_up_to_512_bytes() -> None:
    assert replay([(0, 1)]).allocated_peak == 512
    assert replay([(0, 512)]).allocated_peak == 512
    assert replay([(0, 513)]).allocated_peak == 1024


@pytest.mark.parametrize(
    ("size", "segment"),
    [
        (1, 2 * MIB),
        (MIB, 2 * MIB),
        (MIB + 1, 20 * MIB),
        (10 * MIB - 512, 20 * MIB),
        (10 * MIB, 10 * MIB),
        (10 * MIB + 1, 12 * MIB),
        (33 * MIB, 34 * MIB),
    ],
)
def test_segments_are_of_2_or_20_mebibytes_or_the_size_rounded_to_2(size: int, segment: int) -> None:
    assert replay([(0, size)]).reserved_peak == segment


def test_a_rest_of_a_large_block_up_to_one_mebibyte_is_not_split_off_and_counts_as_allocated() -> None:
    assert replay([(0, 11 * MIB)]).allocated_peak == 12 * MIB
    assert replay([(0, 13 * MIB)]).allocated_peak == 14 * MIB
    # of a 20 MiB segment 18 are taken; the 2 left are more than one and stay free
    assert replay([(0, 9 * MIB), (1, 9 * MIB)]).allocated_peak == 18 * MIB


def test_the_best_fitting_free_block_is_taken() -> None:
    events = [
        (0, 30 * MIB),
        (1, 12 * MIB),
        (2, 20 * MIB),
        (0, 0),
        (1, 0),
        (2, 0),
        (3, 12 * MIB),
        (4, 20 * MIB),
        (5, 30 * MIB),
    ]
    assert replay(events).reserved_peak == 62 * MIB


def test_freed_neighbours_become_one_block_again() -> None:
    events = [(0, 10 * MIB), (1, 10 * MIB), (0, 0), (1, 0), (2, 20 * MIB)]
    assert replay(events).reserved_peak == 40 * MIB  # two segments never join
    events = [(9, 40 * MIB), (9, 0), (0, 10 * MIB), (1, 10 * MIB), (2, 10 * MIB), (0, 0), (2, 0), (1, 0), (3, 40 * MIB)]
    assert replay(events).reserved_peak == 40 * MIB  # three pieces and the rest of one segment do


def test_small_and_large_requests_do_not_share_segments() -> None:
    assert replay([(0, 20 * MIB), (0, 0), (1, 512)]).reserved_peak == 22 * MIB


def test_a_full_card_gets_its_free_segments_back_before_it_refuses() -> None:
    events = [(0, 20 * MIB), (0, 0), (1, 30 * MIB)]
    assert replay(events).reserved_peak == 50 * MIB
    assert replay(events, 40 * MIB) == (30 * MIB, 30 * MIB, True, 2)
    assert not replay(events, 29 * MIB).ok


def test_a_segment_that_is_partly_used_cannot_be_given_back() -> None:
    events = [(0, 40 * MIB), (0, 0), (1, 2 * MIB), (2, 40 * MIB)]
    assert not replay(events, 79 * MIB).ok
    assert replay(events, 80 * MIB).ok


def test_empty_cache_gives_back_what_is_wholly_free() -> None:
    events = [(0, 20 * MIB), (1, 20 * MIB), (0, 0), EMPTY_CACHE, (2, 30 * MIB)]
    assert replay(events).reserved_peak == 50 * MIB


def test_the_least_capacity_passes_and_one_a_hundredth_below_its_lower_end_does_not() -> None:
    events = [(0, 100 * MIB), (1, 50 * MIB), (0, 0), (2, 60 * MIB), (3, 41 * MIB)]
    low, high = capacity_bracket(events)
    assert replay(events, high).ok
    assert not replay(events, low).ok
    assert high - low <= high // 100
    assert least_capacity(events) == high


sizes = st.one_of(st.integers(1, 4096), st.integers(MIB - 600, MIB + 600), st.integers(1, 64 * MIB))


@st.composite
def lives(draw: Any) -> list[Event]:
    """Allocations, each freed later or never, with the cache emptied here and there."""
    events, live, count = [], [], 0
    for _ in range(draw(st.integers(1, 60))):
        kind = draw(st.integers(0, 9))
        if kind == 0:
            events.append(EMPTY_CACHE)
        elif kind < 4 and live:
            events.append((live.pop(draw(st.integers(0, len(live) - 1))), 0))
        else:
            events.append((count, draw(sizes)))
            live.append(count)
            count += 1
    return events


@given(lives())
def test_memory_is_conserved(events: list[Event]) -> None:
    allocator = Allocator()
    allocator.play(events, 0, UNLIMITED)
    live = sum(size for _, size in allocator.live.values())
    free = sum(block >> 40 for block in allocator.small + allocator.large)
    assert allocator.allocated == live
    assert allocator.reserved == live + free == sum(allocator.segments.values())
    requested = peak = 0
    held = {}
    for identifier, size in events:
        if identifier >= 0:
            requested += (size or -held[identifier]) if size else -held[identifier]
            held[identifier] = size
            peak = max(peak, requested)
    assert peak <= allocator.allocated_peak * 512 <= allocator.reserved_peak * 512


@given(lives())
def test_going_on_from_a_copy_is_going_on(events: list[Event]) -> None:
    half = len(events) // 2
    whole, first = Allocator(), Allocator()
    whole.play(events, 0, UNLIMITED)
    first.play(events[:half], 0, UNLIMITED)
    second = first.copy()
    second.play(events, half, UNLIMITED)
    assert (second.allocated_peak, second.reserved_peak, second.reserved) == (
        whole.allocated_peak,
        whole.reserved_peak,
        whole.reserved,
    )


def traces() -> list[Path]:
    return sorted((DATA / "traces").glob("*.gz"))


def measured_of(head: Mapping[str, Any]) -> dict[str, Any]:
    rows = map(json.loads, (DATA / "measured" / "traces.jsonl").read_text().splitlines())
    return next(row["measured"] for row in rows if cases.identity(row) == cases.identity(head["case"]))


def test_there_are_traces() -> None:
    assert len(traces()) >= 5


@pytest.mark.parametrize("path", traces(), ids=lambda path: path.stem)
def test_a_recorded_run_is_reproduced_to_the_byte(path: Path) -> None:
    head, events = record.read(path)
    measured = measured_of(head)
    allocator = Allocator()
    assert allocator.play(events, 0, UNLIMITED) == len(events)
    assert allocator.allocated_peak * 512 == measured["peak_allocated"]
    assert allocator.reserved_peak * 512 == measured["peak_reserved"]
    assert [index for index, _ in allocator.growth] == [index for index, size in head["segments"] if size > 0]
    assert hashlib.sha256(cases.identity(head["case"]).encode()).hexdigest()[:12] == path.stem


@pytest.mark.parametrize("path", traces(), ids=lambda path: path.stem)
def test_the_least_capacity_is_the_one_that_real_runs_bracketed(path: Path) -> None:
    head, events = record.read(path)
    measured = measured_of(head)
    assert replay(events, measured["least_capacity"]).ok
    assert not replay(events, measured["too_little"]).ok
