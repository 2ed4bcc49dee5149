"""The tape's one step and one layer unrolled: what the allocator sees of two steps over all layers, in the order of a real run.

Only blocks above 1 MiB: smaller ones have segments of their own (allocator.py), which `small_segments` counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from vramlint.memory.allocator import EMPTY_CACHE, Event
from vramlint.memory.decisive import Template, closed, near
from vramlint.memory.like_layers import NOTHING, Layer, LikeLayers
from vramlint.memory.tape import Block, Span, Tape
from vramlint.memory.updates import OF_ALL

FEW_EVENTS, MANY_EVENTS = 3_000, 12_000
"""So many of a run's layers may be played, of large models and of small ones, whose step has the fewer large blocks to hide an
error in: an event costs some 0.8 µs, and the search plays them twice or three times."""
REDUCED: tuple[Callable[..., Template], ...] = (closed, *(partial(near, steps=steps) for steps in (3, 2, 1, 0)))
"""What of a layer is played where all of it is too much, the best first."""
SMALL = 1 << 20
SMALL_SEGMENT = 2 << 20
PACKED = "4 bits"
EMBEDDED = ("embedded tokens", "attention mask")


class Pass:
    """Forward and backward of one micro batch on a tape: from `begin` to `end`, where the optimizer's step is."""

    __slots__ = ("_like", "_singly", "begin", "end", "first", "multiplies", "played", "spans", "starts", "templates")

    def __init__(self, tape: Tape) -> None:
        phases = {name: index for index, name in reversed(tape.phases)}
        self.played = tape.played
        self.begin = phases.get("forward", len(tape.played))
        self.end = phases.get("optimizer step", len(tape.played))
        self.spans = [span for span in tape.spans if span.end <= self.end]
        places = range(len(tape.played))
        self.first = dict(zip(map(id, reversed(tape.played)), reversed(places), strict=True))
        self.templates = {span.begin: self._every(span) for span in self.spans}
        self._like: dict[int, LikeLayers] = {}
        self._singly: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
        name = "backward of the head"
        if "fused loss" in phases:
            name = "backward of the fused loss" if "backward of the fused loss" in phases else "backward of the layers"
        self.multiplies = phases.get(name, self.end - 1) + 1
        """Where autograd's thread first multiplies: behind the first thing that it allocates for that."""
        self.starts = next(
            (index for index in range(self.begin, self.end) if tape.played[index].what not in EMBEDDED), self.begin,
        )
        """Where the program's thread first multiplies: behind the embedding and the masks."""


    def gradients(self) -> set[int]:
        """What may stay until the optimizer's step."""
        return {id(block) for block in self.played[self.begin:self.end] if block.part == "gradients"}

    def _every(self, span: Span) -> Template:
        """Of a layer all events."""
        first, played = self.first, self.played
        return [
            (id(block), block.size * block.count if first[id(block)] == index else 0)
            for index, block in enumerate(played[span.begin:span.end], span.begin)
            if block.size > SMALL and not block.stands_in
        ]

    def singly(self, begin: int, end: int) -> list[tuple[int, int, int]]:
        """What is played once: of each event the block's identity, its size, and how many are allocated, or 0 for a free."""
        known = self._singly.get((begin, end))
        if known is None:
            first = self.first
            known = self._singly[begin, end] = [
                (id(block), block.size, block.count if first[id(block)] == index else 0)
                for index, block in enumerate(self.played[begin:end], begin)
                if block.size > SMALL and not block.stands_in
            ]
        return known

    def leave_out(self, reduced: Callable[..., Template]) -> None:
        """Of each layer only the events that decide, as `decisive.py` says which."""
        for span in self.spans:
            self.templates[span.begin] = reduced(self.templates[span.begin], backward=span.forward is not None)

    def like(self, span: Span) -> LikeLayers:
        """The events of the layers that were not played themselves, once it is clear which are left out."""
        if span.begin not in self._like:
            self._like[span.begin] = LikeLayers(self.templates[span.begin])
        return self._like[span.begin]

    def count(self) -> int:
        """How many events the layers have that are not played themselves."""
        return sum(span.times * len(self.templates[span.begin]) for span in self.spans)


class Unrolled:
    """Collects events. Blocks are known by identity; each piece of device memory has an identifier of its own."""

    __slots__ = ("_early", "_gradients", "_held", "_kept", "_last", "_late", "_layers", "_now", "_shared", "events")

    def __init__(self) -> None:
        self._last = NOTHING
        self._early: tuple[int, ...] = ()
        self._late: tuple[int, ...] = ()
        self._held: dict[int, list[int]] = {}
        self._layers: list[Layer] = []
        self._shared: set[int] = set()
        self._gradients: set[int] = set()
        self._kept: set[int] = set()
        self.events: list[Event] = []

    def load(self, blocks: Sequence[Block]) -> None:
        """What stays. Pieces of like layers come one layer after another."""
        start = 0
        while start < len(blocks):
            count = blocks[start].count
            end = start + 1
            while count > 1 and end < len(blocks) and blocks[end].count == count:
                end += 1
            group = [block for block in blocks[start:end] if block.size > SMALL or block.dtype == PACKED]
            for block in group:
                self._held[id(block)] = []
                self._kept.add(id(block))
            for _ in range(count):
                for block in group:
                    if block.dtype == PACKED:
                        self._pack(block)
                    else:
                        self._held[id(block)].append(self._new(block.size))
            start = end

    def _pack(self, block: Block) -> None:
        """A weight is brought to the card in 16 bits and packed there (transformers 5.17, quantizers/quantizer_bnb_4bit.py)."""
        whole = block.size * 4
        loaded = self._new(whole) if whole > SMALL else NOTHING
        if block.size > SMALL:
            self._held[id(block)].append(self._new(block.size))
        if loaded:
            self.events.append((loaded, 0))

    def empty_cache(self) -> None:
        """What is wholly free goes back, as when the Trainer begins."""
        self.events.append(EMPTY_CACHE)

    def load_workspaces(self, blocks: Sequence[Block]) -> None:
        """cuBLAS's: one for the program's thread, one for autograd's when that first multiplies (each has a handle)."""
        self._early = tuple(block.size for block in blocks)
        self._late = tuple(block.size for block in blocks for _ in range(block.count - 1))

    def micro_step(self, now: Pass) -> None:
        """Forward and backward; what stays are gradients."""
        self._now = now
        layers: dict[int, list[Layer]] = {}
        position = now.begin
        for span in now.spans:
            self._up_to(position, span.begin)
            if span.forward is None:
                layers[id(span)] = self._forward(span)
                self._up_to(span.begin, span.end)
            else:
                self._up_to(span.begin, span.end, alone=True)
                self._backward(span, layers.get(id(span.forward), []))
            position = span.end
        self._up_to(position, now.end)
        if not self._gradients:  # else these have been added to those
            self._gradients = now.gradients()
        self._end(self._kept | self._gradients)

    def optimize(self, now: Pass, states: Sequence[Block]) -> None:
        """The optimizer's step, which makes `states` where they are not there; then the gradients go.

        Where it goes parameter by parameter, those of a layer and the head come when the embedding's temporaries are gone.
        """
        self._now = now
        first = next((index for index, block in enumerate(states) if block.shape != states[0].shape), len(states))
        self.load(states[:first])
        states, busy = states[first:], 0
        gradients = [
            block for block in now.played[now.end:] if block.part == "gradients" and now.first[id(block)] >= now.end
        ]
        total = sum(block.size * block.count for block in dict.fromkeys(gradients))
        for position in range(now.end, len(now.played)):
            block = now.played[position]
            if block.part == "gradients" or block.stands_in or block.size <= SMALL:
                continue
            if now.first[id(block)] != position:
                self._release(id(block))
                busy -= 1
                if not busy:
                    self.load(states)
                    states = ()
                continue
            busy += 1
            if block.what == OF_ALL and total:
                self.load(states)
                states = ()
                sizes = [
                    gradient.size * block.size // total
                    for gradient in dict.fromkeys(gradients) for _ in range(gradient.count)
                ]
                small = sum(size for size in sizes if size <= SMALL)
                pieces = [*(size for size in sizes if size > SMALL), *((small,) if small > SMALL else ())]
                self._held[id(block)] = [self._new(size) for size in pieces]
            else:
                self._held[id(block)] = [self._new(block.size) for _ in range(block.count)]
        self.load(states)
        self._end(self._kept)
        self._gradients.clear()

    def _up_to(self, begin: int, end: int, *, alone: bool = False) -> None:
        """Events as they are, and autograd's workspace where it comes."""
        comes = self._now.starts
        if self._early and begin <= comes < end:
            self._play(begin, comes, alone=alone)
            for size in self._early:
                self._new(size)
            self._early = ()
            begin = comes
        comes = self._now.multiplies
        if self._late and begin <= comes < end:
            self._play(begin, comes, alone=alone)
            for size in self._late:
                self._new(size)
            self._late = ()
            begin = comes
        self._play(begin, end, alone=alone)

    def _end(self, keep: set[int]) -> None:
        for key in [key for key in self._held if key not in keep]:
            self._release(key)
        for layer in self._layers:
            for key in [key for key in layer if key not in keep]:
                self.events.append((layer.pop(key), 0))
        self._layers = [layer for layer in self._layers if layer]

    def _new(self, size: int) -> int:
        self._last += 1
        self.events.append((self._last, size))
        return self._last

    def _release(self, key: int) -> None:
        """All pieces of a block, and those that like layers hold in its place."""
        for identifier in self._held.pop(key, ()):
            self.events.append((identifier, 0))
        if key in self._shared:
            for layer in self._layers:
                identifier = layer.pop(key, NOTHING)
                if identifier:
                    self.events.append((identifier, 0))

    def _play(self, begin: int, end: int, *, alone: bool = False) -> None:
        """The events as they are; `alone`: of a layer whose like ones come later."""
        held, append, last = self._held, self.events.append, self._last
        shared = () if alone else self._shared
        for key, size, count in self._now.singly(begin, end):
            if count == 1:
                last += 1
                held[key] = [last]
                append((last, size))
            elif count:
                held[key] = list(range(last + 1, last + 1 + count))
                last += count
                self.events.extend((identifier, size) for identifier in held[key])
            elif key in shared:
                self._release(key)
            else:
                for identifier in held.pop(key, ()):
                    append((identifier, 0))
        self._last = last

    def _forward(self, span: Span) -> list[Layer]:
        """The layers before the one that was played: each takes what the one before gave."""
        takes, gives = id(span.takes), id(span.gives)
        coming = self._one(takes)
        like = self._now.like(span)
        found: list[Layer] = []
        for _ in range(span.times):
            layer: Layer = {takes: coming} if coming else {}
            self._last = like.play(layer, self._last, self.events)
            coming = layer.pop(gives, coming)
            found.append(layer)
            if len(found) > span.keeps:
                self.events.extend((identifier, 0) for identifier in found[-1 - span.keeps].values() if identifier)
                found[-1 - span.keeps].clear()
        self._layers += found
        self._shared.update(found[-1] if found else ())
        self._held[takes] = [coming] if coming else []
        return found

    def _backward(self, span: Span, layers: list[Layer]) -> None:
        """The layers before the one that was played, from the last: each takes the gradient that the one behind it gave."""
        takes, gives = id(span.takes), id(span.gives)
        coming = self._one(gives)
        like = self._now.like(span)
        for before in reversed(layers):
            if coming:
                before[takes] = coming
            self._last = like.play(before, self._last, self.events)
            coming = before.pop(gives, NOTHING)
        self._shared.update(layers[0] if layers else ())
        self._held[gives] = [coming] if coming else []

    def _one(self, key: int) -> int:
        return next(iter(self._held.get(key, ())), NOTHING)


def unroll(tape: Tape, before: Tape | None = None, *, micro_steps: int = 2, affordable: int = FEW_EVENTS) -> list[Event]:
    """The events of loading and two steps.

    `before` is the tape of a micro step whose gradients `tape` adds to, as it does in all but the first of the `micro_steps`.
    `affordable`: while layers have more events than that, those are left out that decide the least.
    """
    now = Pass(tape)
    earlier = None if before is None else Pass(before)
    passes = [(now, 1)] if earlier is None else [(earlier, 1), (now, micro_steps - 1)]
    for reduced in REDUCED:
        if 2 * sum(one.count() * times for one, times in passes) <= affordable:
            break
        for one, _ in passes:
            one.leave_out(reduced)
    loaded = tape.played[:now.begin]
    unrolled = Unrolled()
    unrolled.load([block for block in loaded if block.part == "weights"])
    unrolled.empty_cache()
    unrolled.load([block for block in loaded if block.part not in ("weights", "optimizer", "gradients", "workspace")])
    unrolled.load_workspaces([block for block in loaded if block.part == "workspace"])
    states = [block for block in loaded if block.part == "optimizer"]
    for number in range(2):
        if earlier is not None:
            unrolled.micro_step(earlier)
        for _ in range(1 if earlier is None else micro_steps - 1):
            unrolled.micro_step(now)
        unrolled.optimize(now, [] if number else states)
    return unrolled.events


def small_segments(tape: Tape) -> int:
    """Bytes of the segments that blocks up to 1 MiB share."""
    live: set[int] = set()
    current = peak = 0
    for block in tape.played:
        if block.size <= SMALL:
            if id(block) in live:
                live.discard(id(block))
                current -= block.size * block.count
            else:
                live.add(id(block))
                current += block.size * block.count
                peak = max(peak, current)
    return -(-peak // SMALL_SEGMENT) * SMALL_SEGMENT
