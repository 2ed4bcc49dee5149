"""One layer's events, to be played for the many like it: what comes and goes inside is the same for all but its identifiers."""

from __future__ import annotations

from vramlint.memory.allocator import Event
from vramlint.memory.decisive import Template

Layer = dict[int, int]
"""What one layer that was not played itself holds: the identity of the block that stands for it → the piece's identifier."""
NOTHING = 0


class LikeLayers:
    """`runs` of events on blocks of a layer's own, each followed by the free of one that it was given (NOTHING at the end).

    Identifiers count from the last one before the layer. `lasting`: what it leaves, in order.
    """

    __slots__ = ("allocations", "lasting", "runs")

    def __init__(self, template: Template) -> None:
        own: Layer = {}
        run: list[Event] = []
        self.runs: list[tuple[list[Event], int]] = []
        self.allocations = 0
        for key, size in template:
            if size:
                self.allocations += 1
                own[key] = self.allocations
                run.append((self.allocations, size))
            elif key in own:
                run.append((own.pop(key), 0))
            else:
                self.runs.append((run, key))
                run = []
        self.runs.append((run, NOTHING))
        self.lasting = tuple(own.items())

    def play(self, layer: Layer, last: int, events: list[Event]) -> int:
        """One more of them: `layer` is what it is given, and then what it leaves. Takes and gives the last identifier so far."""
        for run, given in self.runs:
            events += [(last + place, size) for place, size in run]
            identifier = layer.pop(given, NOTHING)
            if identifier:
                events.append((identifier, 0))
        for key, place in self.lasting:
            layer[key] = last + place
        return last + self.allocations
