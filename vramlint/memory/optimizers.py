"""What each optimizer keeps per parameter between steps and needs for a moment during one."""

from __future__ import annotations

from vramlint.dataclass import dataclass
from vramlint.memory.dtypes import BYTES


@dataclass(frozen=True, slots=True)
class Optimizer:
    """`states` tensors of the parameter's size, `state_bytes` per element (0: the parameter's dtype).

    `blockwise`: 8-bit states with one fp32 maximum per 256 elements; parameters under 4096 elements keep fp32 states
    (bitsandbytes 0.50, optim/optimizer.py). `paged`: the states live in managed memory. `temporary_all`: bytes per byte of all
    trained parameters at once (foreach). `temporary_largest`: fp32 copies of the largest parameter.
    """

    states: int
    state_bytes: int = 0
    blockwise: bool = False
    paged: bool = False
    factored: bool = False
    temporary_all: float = 0.0
    temporary_largest: int = 0


OPTIMIZERS: dict[str, Optimizer] = {
    "adamw_torch": Optimizer(2, temporary_all=1.0),
    "adamw_torch_fused": Optimizer(2),
    "adamw_8bit": Optimizer(2, 1, blockwise=True), "adamw_bnb_8bit": Optimizer(2, 1, blockwise=True),
    "paged_adamw_8bit": Optimizer(2, 1, blockwise=True, paged=True),
    "paged_adamw": Optimizer(2, 4, paged=True), "paged_adamw_32bit": Optimizer(2, 4, paged=True),
    "lion_8bit": Optimizer(1, 1, blockwise=True), "lion_32bit": Optimizer(1, 4),
    "paged_lion_8bit": Optimizer(1, 1, blockwise=True, paged=True), "paged_lion_32bit": Optimizer(1, 4, paged=True),
    "adafactor": Optimizer(0, factored=True, temporary_largest=3),
    "sgd": Optimizer(0), "adagrad": Optimizer(1, temporary_all=2.0),
    "rmsprop": Optimizer(1, temporary_all=1.0),
}
"""After torch 2.11 (torch/optim), bitsandbytes 0.50 and transformers 5.17 (optimization.py)."""


def state_size(
    optimizer: Optimizer, elements: int, dtype: str, shape: tuple[int, ...], *, embedding: bool = False,
) -> list[int]:
    """The bytes of each state tensor of one parameter that stands in the allocator.

    The Trainer keeps the states of an `embedding` in 32 bits (transformers 5.17, trainer.py, register_module_override).
    """
    if optimizer.factored:
        return [4 * shape[0], 4 * shape[-1]] if len(shape) > 1 else [4 * elements]
    if optimizer.blockwise and embedding:
        return [] if optimizer.paged else [4 * elements] * optimizer.states
    if optimizer.blockwise:
        if elements < 4096:
            return [4 * elements] * optimizer.states
        if optimizer.paged:
            return [4 * -(-elements // 256)] * optimizer.states
        return [elements * optimizer.state_bytes, 4 * -(-elements // 256)] * optimizer.states
    # bitsandbytes pages states of 100,000 elements and more (optimizer.py, get_state_buffer).
    if optimizer.paged and elements >= 100_000:
        return []
    return [elements * (optimizer.state_bytes or BYTES[dtype])] * optimizer.states
