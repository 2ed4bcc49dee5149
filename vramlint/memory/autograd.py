"""A small autograd that keeps sizes instead of numbers: tensors with references, operations with what they save."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from vramlint.memory.dtypes import BYTES
from vramlint.memory.tape import Block, Tape

NEVER = 1 << 62


class Tensor:
    """A tensor on the tape; its memory goes when its last reference does. A view keeps its `base`."""

    __slots__ = ("base", "block", "dtype", "needs_grad", "refs", "shape")

    def __init__(
        self, block: Block | None, shape: tuple[int, ...], dtype: str, needs_grad: bool, base: Tensor | None = None,
    ) -> None:
        self.block = block
        self.shape = shape
        self.dtype = dtype
        self.needs_grad = needs_grad
        self.refs = 1
        self.base = base


class Operation:
    """One recorded operation: what its backward needs and makes."""

    __slots__ = (
        "inputs", "others", "output", "overwrites", "passes", "pieces", "reduces", "saved", "saves_first", "saves_nothing",
        "temporary", "weights", "weights_first",
    )

    def __init__(
        self, output: Tensor, inputs: tuple[Tensor, ...], saved: tuple[Tensor, ...], passes: bool, temporary: int,
        weights: tuple[tuple[str, int, int, int], ...], pieces: int = 1, overwrites: bool = False,
        weights_first: bool = False, saves_nothing: bool = False, saves_first: bool = False, reduces: int = 0,
    ) -> None:
        self.output = output
        self.others: tuple[Tensor, ...] = ()  # outputs beside that one
        self.inputs = inputs
        self.saved = saved
        self.passes = passes
        self.temporary = temporary
        self.weights = weights
        self.pieces = pieces
        self.overwrites = overwrites
        self.weights_first = weights_first
        self.saves_nothing = saves_nothing
        self.saves_first = saves_first
        self.reduces = reduces


class Graph:
    """Records operations in order and plays their backward. `recording` is off where no gradient is wanted."""

    __slots__ = (
        "beside", "cache", "gradients", "hooked", "keeps_beside", "operations", "recording", "returned", "stops_at", "tape",
        "uses",
    )

    def __init__(self, tape: Tape, uses: Callable[[str, Block, int], bool] | None = None) -> None:
        self.tape = tape
        self.uses = uses  # takes each gradient of a weight (its name, its memory and size) unless it gives False
        self.operations: list[Operation] = []
        self.recording = True
        self.hooked = False  # whether saved tensors come out of a checkpoint's hooks, and go before gradients are cast
        self.stops_at = NEVER  # after so many operations nothing is computed any more
        self.gradients: dict[str, Block] = {}
        self.cache: list[Tensor] = []
        self.keeps_beside = False
        self.beside: list[Tensor] | None = None
        self.returned: list[Tensor] = []  # what a layer's functions return besides and the layer holds until its end

    def tensor(
        self, shape: tuple[int, ...], dtype: str, what: str, *, part: str = "activations", needs_grad: bool = True,
    ) -> Tensor:
        """A new tensor of that shape."""
        if len(self.operations) >= self.stops_at:
            return Tensor(None, shape, dtype, needs_grad and self.recording)
        block = self.tape.allocate(prod(shape) * BYTES[dtype], part, what, shape, dtype)
        return Tensor(block, shape, dtype, needs_grad and self.recording)

    def view(self, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
        """A part of `tensor`, which lives as long as any of its views."""
        made = Tensor(None, shape, tensor.dtype, tensor.needs_grad, self.hold(tensor))
        return self.record(made, (tensor,))

    def split(self, tensor: Tensor, widths: tuple[int, ...]) -> tuple[Tensor, ...]:
        """`split` along the last dimension: views, whose gradients one `cat` makes whole when all of them are there."""
        parts = tuple(
            Tensor(None, (*tensor.shape[:-1], width), tensor.dtype, tensor.needs_grad, self.hold(tensor)) for width in widths
        )
        self.record(parts[0], (tensor,))
        if parts[0].needs_grad:
            self.operations[-1].others = parts[1:]
        return parts

    def hold(self, tensor: Tensor) -> Tensor:
        """One reference more."""
        tensor.refs += 1
        return tensor

    def drop(self, *tensors: Tensor) -> None:
        """One reference less each."""
        for tensor in tensors:
            tensor.refs -= 1
            if tensor.refs == 0 and tensor.block is not None:
                self.tape.free(tensor.block)
                tensor.block = None
            if tensor.refs == 0 and tensor.base is not None:
                self.drop(tensor.base)
                tensor.base = None

    def record(
        self, output: Tensor, inputs: tuple[Tensor, ...], *, saved: tuple[Tensor, ...] = (), passes: bool = False,
        temporary: int = 0, weights: tuple[tuple[str, int, int, int], ...] = (), pieces: int = 1, overwrites: bool = False,
        weights_first: bool = False, saves_nothing: bool = False, saves_first: bool = False, beside: Tensor | None = None,
        reduces: int = 0,
    ) -> Tensor:
        """Note an operation; saved tensors are held until its backward.

        `passes`: the gradient goes through unchanged. `temporary`: bytes that its backward needs for a moment, in `pieces`.
        `weights`: (name, bytes of the gradient as computed, bytes as kept, elements) of each trained parameter;
        their gradients come before those of the inputs where `weights_first` (mm's backward; addmm's the other way round).
        `reduces`: bytes of the buffer in which a bias's gradient is summed, behind all others.
        `saves_nothing`: its backward asks for no tensor that a checkpoint keeps, not even a weight. `saves_first`: all that it
        saves goes into it, so that a checkpoint that is played again no further than here does not compute it.
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
                    output, wanted, saved, passes, temporary, weights, pieces, overwrites, weights_first, saves_nothing,
                    saves_first, reduces,
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
        if count:
            last = len(pattern.operations) - count
            self.stops_at = last - (1 if last and pattern.operations[last - 1].saves_first else 0)
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

    def _backward_of(self, operation: Operation, gradients: dict[int, Tensor]) -> None:
        tape = self.tape
        received = gradients.pop(id(operation.output), None)
        beside = [gradients.pop(id(other)) for other in operation.others if id(other) in gradients]
        if received is None:
            self.drop(*operation.saved)
            return
        temporary = tape.allocate(
            operation.temporary // operation.pieces, "activations", "backward temporaries", count=operation.pieces,
        ) if operation.temporary else None
        if operation.weights_first:
            self._weight_gradients(operation)
        for tensor in operation.inputs:
            if operation.overwrites and tensor in operation.saved and id(tensor) not in gradients:
                gradients[id(tensor)] = self.hold(tensor)  # the kernel writes the gradient over what was saved
                continue
            self._accumulate(gradients, tensor, received, operation.passes)
        if not operation.weights_first:
            self._weight_gradients(operation)
        if operation.reduces:
            tape.free(tape.allocate(operation.reduces, "workspace", "sums of the gradient of a bias"))
        if temporary is not None:
            tape.free(temporary)
        self.drop(*operation.saved, received, *beside)

    def _accumulate(self, gradients: dict[int, Tensor], tensor: Tensor, received: Tensor, passes: bool) -> None:
        if passes and received.dtype == tensor.dtype:
            made = self.hold(received)
        else:
            made = self.tensor(tensor.shape, tensor.dtype, "gradients of activations", needs_grad=False)
        if id(tensor) in gradients:
            # Autograd adds into the buffer that it alone owns (torch/csrc/autograd/input_buffer.cpp).
            self.drop(made)
        else:
            gradients[id(tensor)] = made

    def _weight_gradients(self, operation: Operation) -> None:
        for name, computed, kept, count in operation.weights:
            self._weight_gradient(name, computed, kept, count)

    def _weight_gradient(self, name: str, computed: int, kept: int, count: int) -> None:
        tape = self.tape
        first = tape.allocate(computed, "gradients", "gradients of weights", count=count)
        if name in self.gradients:
            tape.free(first)
            return
        if kept != computed:
            final = tape.allocate(kept, "gradients", "gradients of weights", count=count)
            tape.free(first)
            first = final
        if self.uses is None or not self.uses(name, first, first.size):
            self.gradients[name] = first

    def end_autocast(self) -> None:
        """Leave the autocast region: weight casts that it kept are dropped."""
        self.drop(*self.cache)
        self.cache.clear()
