"""`required`: the least memory in which the run gets through, from the tape replayed through PyTorch's allocator."""

from __future__ import annotations

from math import hypot
from typing import NamedTuple

from vramlint.memory.allocator import UNIT, UNLIMITED, Allocator, Event
from vramlint.memory.estimate import Band
from vramlint.memory.expandable import most_in_use
from vramlint.memory.replay import FEW_EVENTS, MANY_EVENTS, small_segments, unroll
from vramlint.memory.tape import Tape

SLACK = 32 << 20
"""lab/measure.py searches from the peak allocated to this above the peak reserved."""
PRECISION = 0.01
EVENTS_PLAYED = 6_000
"""From how many events on an estimate stops searching (an event costs some 0.8 µs); three of four runs are done before."""
MICRO_STEPS = {True: 4, False: 2}
"""So many are played where gradients accumulate, of a model trained in full and of adapters, whose gradients are too small to
move anything: gpt2 in full still takes its logits anew in the fourth (recorded)."""
SMALL_MODEL = 1_400_000_000
PLAUSIBLE = 0.9, 1.5
"""Peak of the replay over peak of the tape: outside of this the replay is not what the tape played."""
WORTH_A_SEARCH = 1.04
"""What is reserved over the peak from where on something can be given back. Of 67 measured runs without checkpointing the 95th
percentile of the error is 6.8 % where all that is reserved counts, 4.0 % with a search from here on."""
SHARE, LARGEST_SHARE = 1.05, 1.2
"""Least capacity over peak allocated where nothing can be replayed: 1.00 to 1.26 on the measured rows, median 1.06."""
AT_RESERVED = {True: (0.05, 0.025), False: (0.025, 0.022)}
"""How far the least capacity lies below and above what is reserved, as shares, where nothing less was found to do: with
checkpointing, and without. From the measured rows that are not held out (lab.accuracy --list)."""
BELOW_IT = 0.03, 0.03
"""How far it lies below what was found and above what is reserved where less than that was found to do: a run need not pass on
every card above the least, but it does on those that have what it reserves. From the same rows."""
TOWARDS, FURTHEST = 1 / 3, 0.02
"""Where less was found to do, the real run may have ended at an edge above: by how much of what lies between that and what is
reserved the typical figure is higher, and by which share at most."""
MIB = 1 << 20


class Replayed(NamedTuple):
    """Bytes, of two steps on the allocator.

    `recomputes`: with checkpointing. `least`: the capacity found, to within `uncertain`. `reserved`: what the run takes
    where memory is plenty. `rests`: what of the blocks was not asked for at the fullest moment (large blocks keep a rest of
    up to 1 MiB, allocator.py).
    """

    recomputes: bool
    least: int
    uncertain: int
    reserved: int
    rests: int


def replayed_expandable(tape: Tape, before: Tape | None, *, micro_steps: int = 2, spare: int = 0) -> Replayed | None:
    """`replayed` with expandable segments: free pages go back when memory runs out, and no block keeps a rest.

    `spare`: bytes that the run does without where memory is short.
    """
    small = small_segments(tape)
    peak, pages = most_in_use(unroll(tape, before, micro_steps=micro_steps))
    if not PLAUSIBLE[0] * tape.peak.total < peak + small < PLAUSIBLE[1] * tape.peak.total:
        return None
    least = pages + small - spare
    return Replayed(True, least, 0, least, 0)


def replayed(
    tape: Tape, before: Tape | None, *, recomputes: bool, micro_steps: int = 2, parameters: int = SMALL_MODEL,
) -> Replayed | None:
    """The tape on the allocator, or None where what is replayed is not what was played.

    `before` is the tape of a micro step whose gradients `tape` adds to, the first of `micro_steps`; None where there is only one.
    `recomputes`: with checkpointing. Without, nothing that would be worth giving back is free at the fullest moment, and the run
    needs what it reserves where memory is plenty, unless that is much more than its peak.
    `parameters`: the model's; of a small one more of each layer is played.
    """
    affordable = MANY_EVENTS if parameters < SMALL_MODEL else FEW_EVENTS
    events = unroll(tape, before, micro_steps=micro_steps, affordable=affordable)
    small = small_segments(tape)
    plenty = Allocator()
    start = plenty.play(events, 0, max(0, tape.peak.total * 98 // 100 - small) // UNIT, pausing=True)
    until_then = plenty.copy()
    plenty.play(events, start, UNLIMITED)
    peak, reserved = plenty.allocated_peak * UNIT + small, plenty.reserved_peak * UNIT + small
    if not PLAUSIBLE[0] * tape.peak.total < peak < PLAUSIBLE[1] * tape.peak.total:
        return None
    recomputes = recomputes or reserved > WORTH_A_SEARCH * peak
    least, uncertain = _least(events, start, until_then, peak, reserved, small) if recomputes else (reserved, 0)
    return Replayed(recomputes, least, uncertain, reserved, plenty.allocated_peak * UNIT - _requested(events))


def required_of(found: Replayed | None, allocated: Band, widened: float = 0.0) -> Band:
    """The band of the least capacity in bytes; `allocated` is the band of the peak, whose own width this has as well.

    `widened`: a share by which the high end lies higher still. Where nothing is replayed it is a measured share of the peak.
    """
    if found is None:
        typical = max(allocated.low, int(allocated.typical * SHARE) + 16 * MIB)
        return Band(allocated.low, typical, max(typical, int(allocated.high * LARGEST_SHARE) + 64 * MIB))
    return _band(allocated, found, widened)


def _requested(events: list[Event]) -> int:
    """The most bytes that were asked for at once."""
    sizes: dict[int, int] = {}
    current = most = 0
    for identifier, size in events:
        if size > 0:
            sizes[identifier] = size
            current += size
            if current > most:  # noqa: PLR1730 — max() costs a call an event
                most = current
        elif not size:
            current -= sizes[identifier]
    return most


def _least(
    events: list[Event], start: int, until_then: Allocator, peak: int, reserved: int, small: int,
) -> tuple[int, int]:
    """(least capacity, how far it is certain) in bytes, searched for as it was measured (lab/measure.py).

    A run need not pass on every card larger than one on which it passes, so how one searches decides what is found. Up to
    the event `start` all goes on every card that is looked at as it does with plenty of memory.
    """
    low, high = peak * 99 // 100, reserved + SLACK
    known = [(0, peak, False), (reserved, UNLIMITED, True)]  # capacities from … up to …, and whether the run passes on them
    left = EVENTS_PLAYED
    while high - low > high * PRECISION:
        middle = (low + high) // 2
        passes = next((passed for begin, end, passed in known if begin <= middle < end), None)
        if passes is None:
            if left <= 0:
                break
            allocator = until_then.copy()
            done = allocator.play(events, start, (middle - small) // UNIT)
            passes = done == len(events)
            # On each card on which the same requests find room all goes alike.
            known.append((allocator.reserved_peak * UNIT + small, allocator.refused * UNIT + small, passes))
            left -= done - start
        if passes:
            high = middle
        else:
            low = middle
    return (high + max(low, peak)) // 2 if high < reserved else reserved, high - low


def _band(allocated: Band, found: Replayed, widened: float) -> Band:
    """The spread of the peak allocated and that of the replay, as of errors that have nothing to do with each other."""
    lasts = found.least >= found.reserved
    below, above = AT_RESERVED[found.recomputes] if lasts else BELOW_IT
    lower = hypot(1 - allocated.low / allocated.typical, below)
    upper = hypot(allocated.high / allocated.typical - 1, above) + widened
    least = max(found.least, allocated.typical)
    low = int(least * (1 - lower))
    if found.uncertain:  # a search that broke off has seen no less than this fail
        low = min(low, least - found.uncertain)
    top = max(found.reserved, least)
    typical = least + int(min((top - least) * TOWARDS, least * FURTHEST))
    return Band(low, typical, int(top * (1 + upper)))
