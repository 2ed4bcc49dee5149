"""What an optimizer's step makes for a moment, parameter by parameter, as its loop does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod

from vramlint.dataclass import dataclass
from vramlint.memory.dtypes import BYTES
from vramlint.memory.optimizer_states import SMALLEST_IN_BLOCKS, is_projected, projected
from vramlint.memory.optimizers import Optimizer
from vramlint.memory.parameters import Weight
from vramlint.memory.tape import Block, Tape

OF_ALL = "the optimizer's temporaries"
"""What a block is called that stands for one piece of each gradient."""


class Variables:
    """The variables of a Python loop, each holding one tensor: what a name held goes once it is bound to another."""

    __slots__ = ("_held", "_tape")

    def __init__(self, tape: Tape, gradient: Block | None = None) -> None:
        self._tape = tape
        self._held: dict[str, Block] = {} if gradient is None else {"gradient": gradient}

    def bind(self, name: str, size: int) -> None:
        """`name = …`: the new tensor is there before the old one goes."""
        made = self._tape.allocate(size, "optimizer", f"the optimizer's {name}")
        self.drop(name)
        self._held[name] = made

    def drop(self, name: str) -> None:
        """`del name`, or bound to something that is there anyway."""
        block = self._held.pop(name, None)
        if block is not None:
            self._tape.free(block)

    def clear(self) -> None:
        """The function returns."""
        for name in list(self._held):
            self.drop(name)


@dataclass(frozen=True, slots=True)
class Parameter:
    """What is updated: one of `weight`; `low` says whether its gradient is projected to a low rank. Sizes are bytes."""

    weight: Weight
    optimizer: Optimizer
    low: bool = False

    @property
    def own(self) -> int:
        """In its own dtype."""
        return self.weight.elements * BYTES[self.weight.dtype]

    @property
    def full(self) -> int:
        """In fp32."""
        return 4 * self.weight.elements

    @property
    def wide(self) -> bool:
        """Whether it is in fp32."""
        return self.weight.dtype == "float32"

    def projected(self, each: int) -> int:
        """Of its gradient in low rank, `each` bytes per element."""
        return prod(projected(self.optimizer, self.weight)[1]) * each


Update = Callable[[Variables, Parameter], None]
"""Plays the update of one parameter."""


def step(tape: Tape, optimizer: Optimizer, gradients: dict[int, Block], weights: Iterable[Weight], model_type: str) -> None:
    """One `optimizer.step()` over the trained weights, whose gradients are on the tape, by the weight's identity.

    Layers are like each other, so that two of them show all that meets: the last of one and the first of the next. What becomes
    of the gradients before the step is over is taken out of `gradients`.
    """
    every = [weight for weight in weights if weight.trained]
    if optimizer.group and not optimizer.in_backward:
        for group in (False, True):
            size = sum(weight.elements * BYTES[weight.dtype] * weight.count for weight in every if _undecayed(weight) is group)
            if size:
                tape.free(tape.allocate(int(optimizer.group * size), "optimizer", OF_ALL))
    if optimizer.update and not optimizer.in_backward:
        variables = Variables(tape)
        update = UPDATES[optimizer.update]
        shown = [(weight, is_projected(optimizer, weight, model_type)) for weight in _in_order(every)]
        met: set[int] = set()
        for low in (False, True):  # the groups of `_setup_low_rank_optimizer`; elsewhere there is one
            for weight, projects in shown:
                if projects is low:
                    update(variables, Parameter(weight, optimizer, projects))
                    if low and optimizer.blockwise and id(weight) in met:  # `p.grad` is that in low rank from then on
                        tape.free(gradients.pop(id(weight)))
                    met.add(id(weight))
        variables.clear()


def _undecayed(weight: Weight) -> bool:
    return "norm" in weight.name or weight.name.endswith("bias")


def _in_order(every: list[Weight]) -> list[Weight]:
    """As `named_parameters` has them in the Trainer's two groups, of the layers two."""
    found: list[Weight] = []
    for group in (False, True):
        mine = [weight for weight in every if _undecayed(weight) is group]
        layers = [weight for weight in mine if weight.count > 1]
        ends = [weight for weight in mine if weight.count == 1 and weight.name in ("head", "head bias", "final norm", "score")]
        found += [weight for weight in mine if weight.count == 1 and weight not in ends] + layers * 2 + ends
    return found


def adafactor(v: Variables, p: Parameter) -> None:
    """transformers 5.17, optimization.py, Adafactor.step; GaLore's is the same around its projection."""
    full = size = p.full
    v.drop("gradient in fp32")
    if not p.wide:
        v.bind("gradient in fp32", full)
    if p.low:
        size = p.projected(4)
        _decompose(v, p, copied=False)
        v.bind("gradient in fp32", size)
    v.drop("parameter in fp32")
    if not p.wide:
        v.bind("parameter in fp32", full)
    v.bind("squared gradient", size)
    v.bind("update", size)
    v.drop("squared gradient")
    if len(p.weight.shape) > 1 and not p.low:
        column_mean(v, p.weight)
    v.bind("update", size)
    if p.low:
        v.bind("update in full rank", full)
        v.bind("update", full)
        v.drop("update in full rank")
    v.bind("negative update", full)
    v.drop("negative update")


def lomo(v: Variables, p: Parameter) -> None:
    """lomo-optim 0.1, lomo.py, fuse_update; the gradient itself is dropped between the two."""
    if not p.wide:
        v.bind("gradient in fp32", p.full)
        v.drop("gradient")
        v.bind("parameter in fp32", p.full)


def adalomo(v: Variables, p: Parameter) -> None:
    """lomo-optim 0.1, adalomo.py, fuse_update."""
    size = p.full
    if not p.wide:
        v.bind("gradient in fp32", size)
        v.drop("gradient")
    v.bind("squared gradient", size)
    v.bind("update", size)
    v.drop("squared gradient")
    if len(p.weight.shape) > 1:
        column_mean(v, p.weight)
    v.bind("update", size)
    if not p.wide:
        v.bind("parameter in fp32", size)


def grokadamw(v: Variables, p: Parameter) -> None:
    """grokadamw 0.1.2, _update_group: three states come over from the host for the moment."""
    own = p.own
    v.bind("new first average", own)
    v.bind("new second average", own)
    v.bind("first average", own)
    v.bind("second average", own)
    v.drop("new first average")
    v.drop("new second average")
    v.bind("slow average", own)
    v.bind("scaled slow average", own)
    v.bind("amplified gradient", own)
    v.drop("scaled slow average")
    v.bind("root of the second average", own)
    v.drop("root of the second average")


def galore(v: Variables, p: Parameter) -> None:
    """galore-torch 1.0, adamw.py."""
    own = p.own
    size = own
    v.drop("gradient in low rank")
    if p.low:
        _decompose(v, p, copied=not p.wide)
        size = p.projected(BYTES[p.weight.dtype])
        v.bind("gradient in low rank", size)
    v.bind("denominator", size)
    v.bind("normed gradient", size)
    if p.low:
        v.bind("normed gradient in full rank", own)
        v.bind("normed gradient", own)
        v.drop("normed gradient in full rank")


def galore_8bit(v: Variables, p: Parameter) -> None:
    """galore-torch 1.0, adamw8bit.py: the parameter lends its place to its gradient in low rank."""
    if not p.low:
        return
    own = p.own
    _decompose(v, p, copied=not p.wide)
    size = p.projected(BYTES[p.weight.dtype])
    v.bind("gradient in low rank", size)
    v.bind("saved parameter", own)
    v.bind("copy of the gradient", size)
    v.drop("saved parameter")  # from here on it is the parameter, whose own memory goes
    v.bind("update in full rank", own)
    v.bind("scaled update", own)
    v.drop("update in full rank")
    v.drop("scaled update")
    v.drop("copy of the gradient")


def apollo(v: Variables, p: Parameter) -> None:
    """apollo-torch 1.0, apollo.py."""
    own = p.own
    size = own
    v.drop("gradient in low rank")
    if p.low:
        size = p.projected(BYTES[p.weight.dtype])
        v.bind("gradient in low rank", size)
    v.bind("denominator", size)
    v.bind("normed gradient", size)
    if p.low:
        v.bind("scaled gradient", own)
        v.bind("scaled gradient", own)
        v.drop("normed gradient")


def torchao(v: Variables, p: Parameter) -> None:
    """torchao 0.16, optim/adam.py, single_param_adam, compiled: averages in fp32, in 4 bits with their indices (recorded)."""
    if p.weight.elements >= SMALLEST_IN_BLOCKS and p.weight.elements % p.optimizer.block == 0:
        for name in ("average", "average of squares"):
            v.bind(name, p.full)
        for name in ("indices", "indices of squares") if p.optimizer.torchao == 4 else ():  # in int64
            v.bind(name, 2 * p.full)
        v.clear()


def torchao_eager(v: Variables, p: Parameter) -> None:
    """The same not compiled: with its indices in int64, of 8 bits (measured).

    torch 2.11 compiles nothing in bfloat16 below compute capability 8.0 (_inductor/compile_fx.py, "skipping").
    """
    if p.weight.elements >= SMALLEST_IN_BLOCKS and p.weight.elements % p.optimizer.block == 0:
        v.bind("averages and indices", 7 * p.full)
        v.clear()


def _decompose(v: Variables, p: Parameter, *, copied: bool) -> None:
    """`torch.linalg.svd` of the gradient, which GaLore computes every 200 steps: a copy and both sides, in fp32.

    The work space that cuSOLVER asks for besides is not known (lab/phantom/README.md).
    """
    small, full = min(p.weight.shape), p.full
    if copied:
        v.bind("gradient in fp32 to decompose", full)
    v.bind("copy to decompose", full)
    v.bind("larger singular vectors", full)
    v.bind("smaller singular vectors", 4 * small * small)
    for name in ("gradient in fp32 to decompose", "copy to decompose", "larger singular vectors", "smaller singular vectors"):
        v.drop(name)


def column_mean(v: Variables, weight: Weight) -> None:
    """The buffer of `mean(dim=-2)`, whose thread blocks share their sums (torch 2.11, aten/src/ATen/native/cuda/Reduce.cuh).

    For a card of 132 multiprocessors with 2048 threads each, as the phantom is; those with fewer take less.
    """
    rows, columns = weight.shape[-2], weight.shape[-1]
    grid = -(-columns // 128)
    v.bind("buffer of the mean", 4 * columns * 128 * max(1, min(-(-132 * 16 // grid), rows // 64)))
    v.drop("buffer of the mean")


def one_by_one(v: Variables, p: Parameter) -> None:
    """Adam parameter by parameter: the root of its second moment, and that over its bias (torch 2.11, _single_tensor_adam)."""
    v.bind("denominator", p.own)
    v.bind("denominator", p.own)
    v.clear()


UPDATES: dict[str, Update] = {
    "one_by_one": one_by_one,
    "adafactor": adafactor, "lomo": lomo, "adalomo": adalomo, "grokadamw": grokadamw, "galore": galore,
    "galore_8bit": galore_8bit, "apollo": apollo, "torchao": torchao, "torchao_eager": torchao_eager,
}
