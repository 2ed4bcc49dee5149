"""A small autograd that keeps sizes instead of numbers: tensors with references, operations with what they save."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from vramlint.memory.dtypes import BYTES
from vramlint.memory.reductions import column_sum_buffer
from vramlint.memory.tape import Block, Tape

NEVER, AT_ONCE = 1 << 62, -1


class Tensor:
    """A tensor on the tape; its memory goes when its last reference does. A view keeps its `base`.

    `viewed`: of a gradient, that autograd knows it as a view of what a kernel made; nothing is added into such a one.
    """

    __slots__ = ("base", "block", "dtype", "needs_grad", "refs", "shape", "viewed")

    def __init__(
        self, block: Block | None, shape: tuple[int, ...], dtype: str, needs_grad: bool, base: Tensor | None = None,
    ) -> None:
        self.block = block
        self.shape = shape
        self.dtype = dtype
        self.needs_grad = needs_grad
        self.refs = 1
        self.base = base
        self.viewed = False


class Operation:
    """One recorded operation: what its backward needs and makes."""

    __slots__ = (
        "computes", "derivative", "inputs", "output", "overwrites", "parts", "passes", "pieces", "saved", "saves_nothing", "sums",
        "temporary", "views", "weights", "weights_first",
    )

    def __init__(
        self, output: Tensor, inputs: tuple[Tensor, ...], saved: tuple[Tensor, ...], passes: bool, temporary: int,
        weights: tuple[tuple[str, int, int, int], ...], pieces: int = 1, overwrites: bool = False,
        weights_first: bool = False, saves_nothing: bool = False, views: bool = False,
        sums: bool = False, computes: bool = False, derivative: Derivative | None = None, parts: tuple[Tensor, ...] = (),
    ) -> None:
        self.output = output
        self.inputs = inputs
        self.saved = saved
        self.passes = passes
        self.temporary = temporary
        self.weights = weights
        self.pieces = pieces
        self.overwrites = overwrites
        self.weights_first = weights_first
        self.saves_nothing = saves_nothing
        self.views = views
        self.sums = sums
        self.computes = computes or output in saved
        self.derivative = derivative
        self.parts = parts


class Chosen:
    """What a layer's forward keeps under selective checkpointing by operation, for when it is played again."""

    __slots__ = ("_products", "kept")

    def __init__(self, kept: list[Tensor] | None = None) -> None:
        self.kept = kept if kept is not None else []
        self._products = 0

    def takes(self, *, product: bool) -> bool:
        """Whether it keeps this one: of products of matrices every other, from the first on."""
        self._products += product
        return not product or self._products % 2 == 1


class Graph:
    """Records operations in order and plays their backward. `recording` is off where no gradient is wanted."""

    __slots__ = (
        "beside", "cache", "cached", "chosen", "completes", "gradients", "keeps_beside", "operations", "recording", "returned",
        "source", "stops_at", "tape", "unpacks", "uses",
    )

    def __init__(self, tape: Tape, uses: Callable[[str, Block, int], bool] | None = None) -> None:
        self.tape = tape
        self.uses = uses  # takes each gradient of a weight (its name, its memory and size) unless it gives False
        self.operations: list[Operation] = []
        self.recording = True
        self.source: tuple[Operation, Tensor] | None = None  # what a checkpoint holds, and the operation that it goes with
        self.unpacks = False  # saved tensors come out of a checkpoint: nobody but the backward that asked holds them
        self.stops_at = NEVER  # nothing is computed behind this operation, and of it only what it saves
        self.completes = False  # whether it saves its own output
        self.gradients: dict[str, Block | None] = {}  # None: that of an earlier micro step
        self.cache: list[Tensor] = []
        self.keeps_beside = False
        self.beside: list[Tensor] | None = None
        self.chosen: Chosen | None = None
        self.cached: list[Tensor] = []  # keys and values that the model returns
        self.returned: list[Tensor] = []  # what a layer's functions return besides and the layer holds until its end

    def tensor(
        self, shape: tuple[int, ...], dtype: str, what: str, *, part: str = "activations", needs_grad: bool = True,
        count: int = 1,
    ) -> Tensor:
        """A new tensor of that shape, or `count` of them that live and die together."""
        played = len(self.operations)
        if played >= self.stops_at and (played > self.stops_at or (needs_grad and not self.completes)):
            return Tensor(None, shape, dtype, needs_grad and self.recording)
        block = self.tape.allocate(prod(shape) * BYTES[dtype], part, what, shape, dtype, count)
        return Tensor(block, shape, dtype, needs_grad and self.recording)

    def choose(self, shape: tuple[int, ...], dtype: str, what: str, *, product: bool = True, needs_grad: bool = True) -> Tensor:
        """What a product of matrices or attention gives, which selective checkpointing may keep instead of computing it again."""
        if self.chosen is None or not self.chosen.takes(product=product):
            return self.tensor(shape, dtype, what, needs_grad=needs_grad)
        if not self.recording:
            made = self.tensor(shape, dtype, what, needs_grad=needs_grad)
            self.chosen.kept.append(self.hold(made))
            return made
        made = self.chosen.kept.pop(0)
        made.needs_grad = needs_grad
        return made

    def view(self, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
        """A part of `tensor`, which lives as long as any of its views."""
        made = Tensor(None, shape, tensor.dtype, tensor.needs_grad, self.hold(tensor))
        return self.record(made, (tensor,), saves_nothing=True)

    def views(
        self, tensor: Tensor, shapes: list[tuple[int, ...]], *, apart: bool = False, derivative: Derivative | None = None,
    ) -> list[Tensor]:
        """Several parts of `tensor`. Their gradients are put together by one `cat`, or each comes back in a whole (`apart`)."""
        if apart:
            return [self.view(tensor, shape) for shape in shapes]
        found = [Tensor(None, shape, tensor.dtype, tensor.needs_grad, self.hold(tensor)) for shape in shapes]
        for other in found[1:]:
            other.needs_grad = tensor.needs_grad and self.recording
        return [self.record(found[0], (tensor,), saves_nothing=True, parts=tuple(found[1:]), derivative=derivative), *found[1:]]

    def split(self, tensor: Tensor, widths: tuple[int, ...]) -> tuple[Tensor, ...]:
        """`split` along the last dimension: views, whose gradients one `cat` makes whole when all of them are there."""
        return tuple(self.views(tensor, [(*tensor.shape[:-1], width) for width in widths]))

    def hold(self, tensor: Tensor) -> Tensor:
        """One reference more."""
        tensor.refs += 1
        return tensor

    def drop(self, *tensors: Tensor) -> None:
        """One reference less each."""
        for tensor in tensors:
            tensor.refs -= 1
            if tensor.refs:
                continue
            if tensor.block is not None:
                self.tape.free(tensor.block)
                tensor.block = None
            if tensor.base is not None:
                self.drop(tensor.base)
                tensor.base = None

    def record(
        self, output: Tensor, inputs: tuple[Tensor, ...], *, saved: tuple[Tensor, ...] = (), passes: bool = False,
        temporary: int = 0, weights: tuple[tuple[str, int, int, int], ...] = (), pieces: int = 1, overwrites: bool = False,
        weights_first: bool = False, saves_nothing: bool = False, views: bool = False,
        sums: bool = False, computes: bool = False, derivative: Derivative | None = None, parts: tuple[Tensor, ...] = (),
        beside: Tensor | None = None,
    ) -> Tensor:
        """Note an operation; saved tensors are held until its backward.

        `passes`: the gradient goes through unchanged. `temporary`: bytes that its backward needs for a moment, in `pieces`.
        `weights`: (name, bytes of the gradient as computed, bytes as kept, elements) of each trained parameter;
        their gradients come before those of the inputs where `weights_first` (mm's backward; addmm's the other way round).
        `saves_nothing`: its backward asks for no tensor that a checkpoint keeps, not even a weight.
        `views`: its gradients are views. `sums`: that of a bias is a sum over all tokens. `computes`: it saves when its kernel
        has run, not before. `parts`: what it gives besides its output. `derivative` plays a backward of its own (derivatives.py).
        `beside`: what it keeps where no checkpoint intercepts it. The first forward under a checkpoint (`keeps_beside`) collects
        that in `beside`, and the graph of the layer played again is given it there instead of its own.
        """
        if beside is not None:
            saved += self._kept_beside(beside)
        wanted = tuple(tensor for tensor in inputs if tensor.needs_grad)
        output.needs_grad = bool(wanted or weights) and self.recording
        if output.needs_grad:
            for tensor in saved:
                tensor.refs += 1
            self.operations.append(
                Operation(
                    output, wanted, saved, passes, temporary, weights, pieces, overwrites, weights_first, saves_nothing, views,
                    sums, computes, derivative, parts,
                ),
            )
        return output

    def _kept_beside(self, tensor: Tensor) -> tuple[Tensor, ...]:
        if self.keeps_beside:
            self.beside = [*(self.beside or ()), self.hold(tensor)]
            return ()
        if not self.recording or self.beside is None:
            return (tensor,)
        first = self.beside.pop(0)
        first.refs -= 1  # the operation holds it from now on
        return (first,)

    def backward(self, output: Tensor, gradient: Tensor) -> dict[int, Tensor]:
        """Play the backward of everything recorded, from `gradient` of `output`; takes over `gradient`.

        Gives the gradients of tensors that no recorded operation made.
        """
        return self.backward_from({id(output): gradient})

    def backward_from(self, gradients: dict[int, Tensor]) -> dict[int, Tensor]:
        """`backward` from the gradients of several tensors."""
        for operation in reversed(self.operations):
            self._backward_of(operation, gradients)
        self.operations.clear()
        return gradients

    def ahead(self, pattern: Graph, gradients: dict[int, Tensor]) -> int:
        """Play the backward of the last operations of `pattern` that save nothing; how many there were.

        A checkpointed layer is played again when something saved is first asked for, and no further than to the last thing
        saved (torch 2.11, utils/checkpoint.py, unpack_hook and _StopRecomputationError).
        """
        count = 0
        for operation in reversed(pattern.operations):
            if not operation.saves_nothing or id(operation.output) not in gradients:
                break
            self._backward_of(operation, gradients)
            count += 1
        last = pattern.operations[-1 - count] if count < len(pattern.operations) else None
        # What is saved is kept before a kernel runs, unless that is what it makes.
        self.completes = last is None or last.computes
        self.stops_at = len(pattern.operations) - count - 1
        return count

    def after(self, pattern: Graph, count: int, gradients: dict[int, Tensor]) -> dict[int, Tensor]:
        """What `ahead` found for `pattern`, of the tensors recorded here; those operations are done."""
        found: dict[int, Tensor] = {}
        self.stops_at = NEVER
        for theirs, mine in zip(pattern.operations[-count:], self.operations[-count:], strict=True) if count else ():
            for its, own in zip(theirs.inputs, mine.inputs, strict=True):
                if id(its) in gradients:
                    found[id(own)] = gradients.pop(id(its))
        if count:
            del self.operations[-count:]
        return found

    def release(self, operation: Operation, received: Tensor, each: Tensor | None = None) -> None:
        """What an operation got and what it saved go when its backward is done (torch 2.11, csrc/autograd/engine.cpp).

        What a checkpoint gave goes first: it is the backward's own. Then gradients that are there for `each` token are summed
        (`validate_outputs`), `call_function` lets go of the gradient, and the node of what it saved.
        """
        if self.unpacks:
            self.drop(*operation.saved)
        if each is not None:
            self.sum_up(each)
            self.drop(each)
        self.drop(received)
        if not self.unpacks:
            self.drop(*reversed(operation.saved))
        elif self.source is not None and operation is self.source[0]:
            self.drop(self.source[1])
            self.source = None

    def sum_up(self, tensor: Tensor) -> None:
        """A sum over all tokens: what it takes besides."""
        size = column_sum_buffer(prod(tensor.shape[:-1]), tensor.shape[-1])
        if size:
            self.tape.free(self.tape.allocate(size, "workspace", "sums of blocks of threads"))

    def _backward_of(self, operation: Operation, gradients: dict[int, Tensor]) -> None:
        received = gradients.pop(id(operation.output), None)
        if received is None and operation.parts:
            received = next((part for key in map(id, operation.parts) if (part := gradients.pop(key, None)) is not None), None)
        if received is None:
            self.drop(*operation.saved)
            return
        if operation.derivative is not None:
            computed = self._weight_gradients(operation)
            operation.derivative(self, operation, received, gradients)
            self._keep(operation, computed)
            return
        tape = self.tape
        computed = []
        temporary = tape.allocate(
            operation.temporary // operation.pieces, "activations", "backward temporaries", count=operation.pieces,
        ) if operation.temporary else None
        if operation.weights_first:
            computed = self._weight_gradients(operation)
        made = [(tensor, self._gradient(operation, tensor, received, gradients)) for tensor in operation.inputs]
        if not operation.weights_first:
            computed = self._weight_gradients(operation)
        if temporary is not None:
            tape.free(temporary)
        if operation.sums:
            self.sum_up(received)
        self.release(operation, received)
        self.drop(*(part for key in map(id, operation.parts) if (part := gradients.pop(key, None)) is not None))
        for tensor, gradient in made:
            self.accumulate(gradients, tensor, gradient)
        if computed:
            self._keep(operation, computed)

    def _gradient(self, operation: Operation, tensor: Tensor, received: Tensor, gradients: dict[int, Tensor]) -> Tensor:
        if operation.overwrites and tensor in operation.saved and id(tensor) not in gradients:
            return self.hold(tensor)  # the kernel writes the gradient over what was saved
        if operation.passes and received.dtype == tensor.dtype:
            return self.hold(received)
        made = self.tensor(tensor.shape, tensor.dtype, "gradients of activations", needs_grad=False)
        made.viewed = operation.views
        return made

    def accumulate(self, gradients: dict[int, Tensor], tensor: Tensor, made: Tensor) -> None:
        """Autograd adds into the buffer that it alone owns, else makes a third (torch/csrc/autograd/input_buffer.cpp)."""
        there = gradients.get(id(tensor))
        if there is None:
            gradients[id(tensor)] = made
        elif there.refs == 1 and not there.viewed:
            self.drop(made)
        else:
            gradients[id(tensor)] = self.tensor(tensor.shape, tensor.dtype, "gradients of activations", needs_grad=False)
            self.drop(there, made)

    def _weight_gradients(self, operation: Operation) -> list[Block]:
        """As they are computed."""
        allocate = self.tape.allocate
        return [
            allocate(computed, "gradients", "gradients of weights", count=count) for _, computed, _, count in operation.weights
        ]

    def _keep(self, operation: Operation, computed: list[Block]) -> None:
        """In the weight's own dtype; added to what there is, or kept."""
        tape = self.tape
        for (name, size, kept, count), first in zip(operation.weights, computed, strict=True):
            block = first
            if kept != size:
                block = tape.allocate(kept, "gradients", "gradients of weights", count=count)
                tape.free(first)
            if name in self.gradients and self.gradients.get(name) is None:
                tape.add_up(block)
                self.gradients[name] = block
            elif name in self.gradients:
                tape.free(block)
            elif self.uses is None or not self.uses(name, block, block.size):
                self.gradients[name] = block

    def end_autocast(self) -> None:
        """Leave the autocast region: weight casts that it kept are dropped."""
        self.drop(*self.cache)
        self.cache.clear()


Derivative = Callable[[Graph, Operation, Tensor, dict[int, Tensor]], None]
"""Plays an operation's backward: takes over the gradient that it receives and what was saved; adds those of its inputs."""
