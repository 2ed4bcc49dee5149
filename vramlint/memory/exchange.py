"""What a card holds for what cards send one another during a step: gathered parameters, buffers, gradients on their way."""

from __future__ import annotations

# ruff: noqa: D102, ARG002  # what a moment is, its own method of Exchange says; not each needs all that it is given
from vramlint.dataclass import replace
from vramlint.memory.dtypes import BYTES
from vramlint.memory.parameters import Weight
from vramlint.memory.sharding import Sharding, bytes_of, elements_of
from vramlint.memory.step_plan import Plan
from vramlint.memory.tape import Block, Tape

GATHERED, FLAT, SENT = "gathered parameters", "parameters as they are gathered", "gradients as they are reduced"
MOST_AT_ONCE = 500_000_000
"""Elements that DeepSpeed reduces in one call (stage_1_and_2.py, allreduce_and_scatter, numel_per_bucket)."""


class Exchange:
    """One card alone, or DDP's: nothing is made beyond what is there from the start. The moments of a micro step, in order."""

    def accumulated(self) -> list[Block]:
        """Gradients of earlier micro batches that this one adds to, where they are not kept as on one card."""
        return []

    def begin(self) -> None:
        """Before the first parameter is used."""

    def enter(self) -> list[Block]:
        """Before a layer's forward; gives what `leave` takes."""
        return []

    def leave(self, held: list[Block]) -> None:
        """After a layer's forward."""

    def behind(self) -> None:
        """Behind the last layer."""

    def forwarded(self) -> None:
        """The model's forward has returned."""

    def headed(self) -> None:
        """After the backward of what stands behind the layers."""

    def enter_backward(self, position: int) -> list[Block]:
        """Before the backward of the first (0) or the last (1) layer; gives what `leave_backward` takes."""
        return []

    def leave_backward(self, position: int, held: list[Block], before: dict[int, Block]) -> None:
        """After it; `before`: what was there ahead of it, by identity."""

    def finish(self) -> None:
        """After the last gradient."""


def exchange_of(plan: Plan, tape: Tape) -> Exchange:
    """What the plan's cards send one another."""
    if plan.sharding is None or plan.sharding.kind == "ddp":
        return Exchange()
    if plan.sharding.kind == "fsdp":
        return FullySharded(plan, plan.sharding, tape)
    as_they_come = plan.sharding.stage == 2 or plan.sharding.buffers > 1  # overlap_comm: stage_1_and_2.py, process_gradients
    return Zero(plan, plan.sharding, tape) if as_they_come else ZeroOne(plan.sharding, tape)


class FullySharded(Exchange):
    """FSDP2 as accelerate 1.15 wraps a model: each layer a unit; embedding and head another each, or one where they are tied.

    A unit is gathered into one flat buffer and copied out of it (_fsdp_collectives.py). In the forward the buffer stays until
    the next unit is copied out; in the backward the next unit is gathered ahead, and what is sent of a unit's gradients
    stays until the next unit's are (_fsdp_param_group.py).
    """

    def __init__(self, plan: Plan, sharding: Sharding, tape: Tape) -> None:
        self._tape = tape
        self._accumulates = plan.accumulates
        self._sharding = sharding
        self._tied = plan.architecture.tie_word_embeddings or sharding.one_root
        layers = plan.architecture.num_hidden_layers
        inside = [replace(weight, count=1) for weight in plan.weights if weight.count == layers and not weight.quantized]
        outside = [weight for weight in plan.weights if weight.count != layers]
        first = [weight for weight in outside if weight.name in ("embedding", "positions")]
        if sharding.one_root and plan.architecture.tie_word_embeddings:
            outside += first[:1]  # a model made empty has them apart when it is sharded; they are tied again after that
        self._layer = self._unit(inside)
        self._tail = self._unit(outside if self._tied else [weight for weight in outside if weight not in first])
        self._embedding = self._unit([] if self._tied else first)
        self._root: list[Block] = []
        self._flat: Block | None = None
        self._sent: Block | None = None
        self._last: Block | None = None
        self._staying: list[Block] = []
        self._layers = layers
        self._earlier: dict[str, list[Block]] = {}

    def _unit(self, weights: list[Weight]) -> Unit:
        mixed = self._sharding.mixed
        computed = [replace(weight, dtype=mixed) for weight in weights] if mixed else weights
        trained = [weight for weight in computed if weight.trained]
        sent = [replace(weight, dtype=self._sharding.reduced or weight.dtype) for weight in trained]
        part = bytes_of(w for w in self._sharding.stored(weights) if w.trained)
        return Unit(bytes_of(computed), bytes_of(trained), part, bytes_of(sent))

    def accumulated(self) -> list[Block]:
        """Whole gradients: nothing is sent before the last micro batch (accelerate 1.15, no_sync)."""
        if not self._accumulates:
            return []
        units = {
            "tail": (self._tail, 1), "embedding": (self._embedding, 1), "last": (self._layer, 1), "first": (self._layer, 1),
            "between": (self._layer, self._layers - 2),
        }
        self._earlier = {
            name: [self._tape.allocate(unit.sent, "gradients", "accumulated gradients", count=count)]
            for name, (unit, count) in units.items() if count > 0 and unit.gradients
        }
        return [block for blocks in self._earlier.values() for block in blocks]

    def _parameters(self, size: int, what: str) -> Block:
        alone = what == FLAT and self._sharding.ways == 1  # of one process nothing is gathered (_fsdp_param_group.py, unshard)
        return self._tape.allocate(0 if alone else size, "weights", what)

    def begin(self) -> None:
        unit = self._tail if self._tied else self._embedding
        self._flat = self._parameters(unit.size, FLAT)
        self._root = [self._parameters(unit.size, GATHERED)]

    def enter(self) -> list[Block]:
        if self._flat is not None:  # of the unit before, which is copied out of no more
            self._tape.free(self._flat)
            self._flat = None
        if not self._tied and self._root and self._sharding.reshards:
            self._tape.free_all(self._root)
            self._root = []
        return [self._parameters(self._layer.size, FLAT), self._parameters(self._layer.size, GATHERED)]

    def leave(self, held: list[Block]) -> None:
        self._tape.free_all(held[:1])
        if self._sharding.reshards:
            self._tape.free_all(held[1:])
        else:
            self._staying.append(held[1])

    def forwarded(self) -> None:
        if self._flat is not None:
            self._tape.free(self._flat)
            self._flat = None

    def behind(self) -> None:
        if self._sharding.one_root:
            self._last = self._parameters(self._layer.size, GATHERED)
        if self._tied:
            self._flat = self._parameters(self._layer.size, FLAT)
            return
        self._flat = self._parameters(self._tail.size, FLAT)
        self._root.append(self._parameters(self._tail.size, GATHERED))

    def headed(self) -> None:
        if self._last is not None:  # its own backward has it gathered as any other's
            self._tape.free(self._last)
            self._last = None
        if not self._tied:
            self._tape.free(self._root.pop())
            self._reduce(self._tail, {}, "tail")

    def enter_backward(self, position: int) -> list[Block]:
        ahead = self._layer.size if position else self._embedding.size
        if not self._sharding.reshards:
            return [self._staying.pop()]
        return [self._parameters(self._layer.size, GATHERED), *([self._parameters(ahead, FLAT)] if ahead else [])]

    def leave_backward(self, position: int, held: list[Block], before: dict[int, Block]) -> None:
        self._tape.free_all(held[:1])
        self._reduce(self._layer, before, *(("last", "between") if position else ("first",)))
        self._tape.free_all(held[1:])

    def finish(self) -> None:
        self._tape.free_all(self._root)
        self._root = []
        self._reduce(self._tail if self._tied else self._embedding, {}, "tail" if self._tied else "embedding")
        if self._sent is not None:
            self._tape.free(self._sent)
            self._sent = None

    def _reduce(self, unit: Unit, before: dict[int, Block], *names: str) -> None:
        """A unit's gradients are copied into one buffer and let go; what a card gets back of it stays."""
        if self._sent is not None:
            self._tape.free(self._sent)
            self._sent = None
        if not unit.gradients:
            return
        self._sent = self._tape.allocate(unit.sent, "workspace", SENT)
        for name in names:
            self._tape.free_all(self._earlier.pop(name, []))
        earlier = {id(block) for blocks in self._earlier.values() for block in blocks}
        gone = [
            block for key, block in self._tape.alive().items()
            if block.part == "gradients" and block.what != PART and key not in before and key not in earlier
        ]
        if unit.sent == unit.gradients:
            self._tape.free_all(gone)
            self._tape.allocate(unit.part, "gradients", PART)
            return
        self._tape.free_all(gone[:-1])  # the backward that made the last one still has it
        wide = self._tape.allocate(unit.part * unit.sent // unit.gradients, "workspace", SENT)
        self._tape.allocate(unit.part, "gradients", PART)
        self._tape.free_all([wide, *gone[-1:]])


PART = "a part of the gradients"


class Unit:
    """What is gathered at once: its bytes, those of its gradients, and those of the part of them that a card keeps."""

    __slots__ = ("gradients", "part", "sent", "size")

    def __init__(self, size: int, gradients: int, part: int, sent: int) -> None:
        self.size = size
        self.sent = sent  # as they are reduced
        self.gradients = gradients
        self.part = part


class ZeroOne(Exchange):
    """DeepSpeed's stage 1: all gradients stay until the last one is there, beside the bucket that they then go through.

    As much as is copied flat out of a full bucket was let go when it went in, so that nothing is higher than both together.
    """

    def __init__(self, sharding: Sharding, tape: Tape) -> None:
        self._tape = tape
        self._sharding = sharding
        self._buffers: list[Block] = []

    def headed(self) -> None:
        size = self._sharding.bucket * BYTES[self._sharding.mixed or "float32"]
        self._buffers = [self._tape.allocate(size, "workspace", "bucket of gradients", count=self._sharding.buffers)]

    def finish(self) -> None:
        self._tape.free_all(self._buffers)


class Zero(Exchange):
    """DeepSpeed's stage 2: gradients go into a bucket as they come, which is reduced when it is full.

    What is reduced is copied flat for that (stage_1_and_2.py, allreduce_bucket). The gradients that a card's part touches are
    copied into one buffer, and those of earlier micro batches stay.
    """

    def __init__(self, plan: Plan, sharding: Sharding, tape: Tape) -> None:
        self._tape = tape
        self._sharding = sharding
        self._accumulates = plan.accumulates
        self._tied = plan.architecture.tie_word_embeddings
        trained = [weight for weight in plan.weights if weight.trained]
        self._width = BYTES[sharding.mixed or "float32"]
        self._total = elements_of(trained)
        first = trained[0].elements if trained else 0  # the embedding, which no part is smaller than if it begins in it
        self._touched = max(first, self._total // sharding.ways)
        self._kept: set[int] = set()
        self._buffers: list[Block] = []

    def accumulated(self) -> list[Block]:
        if self._accumulates:
            self._keep(self._touched, "accumulated gradients")
        return []

    def _keep(self, elements: int, what: str) -> Block:
        block = self._tape.allocate(elements * self._width, "gradients", what)
        self._kept.add(id(block))
        return block

    def headed(self) -> None:
        for _ in range(self._sharding.buffers):
            self._buffers.append(self._keep(self._sharding.bucket, "bucket of gradients"))
        if not self._tied:  # the gradient of a tied head waits for the embedding's
            self._copied({})

    def enter_backward(self, position: int) -> list[Block]:
        """A bucket that is full by the last layers is reduced somewhere in one of them."""
        return [] if position or self._total <= self._sharding.bucket else [self._flat()]

    def leave_backward(self, position: int, held: list[Block], before: dict[int, Block]) -> None:
        self._copied(before)
        self._tape.free_all(held)

    def _copied(self, before: dict[int, Block]) -> None:
        """Gradients that came are in the bucket now."""
        for key, block in list(self._tape.alive().items()):
            if block.part == "gradients" and key not in before and key not in self._kept:
                self._tape.free(block)

    def _flat(self) -> Block:
        size = min(self._sharding.bucket, self._total, MOST_AT_ONCE) * self._width
        return self._tape.allocate(size, "workspace", SENT)

    def finish(self) -> None:
        self._copied({})
        self._tape.free(self._flat())
        self._keep(self._touched, PART)
        self._tape.free_all(self._buffers)
        self._buffers.clear()
