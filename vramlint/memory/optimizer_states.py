"""The tensors that an optimizer keeps on the card for one parameter between steps."""

from __future__ import annotations

from math import prod

from vramlint.memory.dtypes import BYTES
from vramlint.memory.module_names import is_optimizer_target, module_name
from vramlint.memory.optimizers import Optimizer
from vramlint.memory.parameters import Weight

SMALLEST_IN_BLOCKS = 4096
SMALLEST_PAGED = 100_000
"""Elements from which bitsandbytes pages a state (0.50, optim/optimizer.py, get_state_buffer)."""


def states_of(optimizer: Optimizer, weight: Weight, model_type: str) -> list[int]:
    """Bytes of each tensor in the allocator for one of that weight."""
    shape, found = weight.shape, [4] * optimizer.scalars
    if is_projected(optimizer, weight, model_type):
        ortho, shape = projected(optimizer, weight)
        found.append(ortho)
    elements = prod(shape)
    if optimizer.factored:
        return [*found, 4 * elements // shape[-1], 4 * elements // shape[-2]] if len(shape) > 1 else [*found, 4 * elements]
    own = elements * BYTES[weight.dtype]
    if optimizer.torchao:
        if elements < SMALLEST_IN_BLOCKS or elements % optimizer.block:
            return [own] * optimizer.states
        codes, levels = elements * optimizer.torchao // 8, 4 << optimizer.torchao
        return [codes, 4 * elements // optimizer.block, levels] * optimizer.states
    if optimizer.kahan:
        found.append(own if weight.dtype != "float32" else 1)
    if optimizer.remainder >= 0:
        rests = [elements * optimizer.remainder] if weight.dtype != "float32" and optimizer.remainder else []
        return [*rests, *[elements, 2 * -(-elements // 32)] * 2]
    if optimizer.blockwise:
        # The Trainer keeps states of embeddings in 32 bits, with bitsandbytes' own classes (transformers 5.17, trainer.py).
        outside = weight.name in ("embedding", "positions", "token types", "relative positions")
        outer = outside and not optimizer.update and optimizer.outer_states
        if outer or elements < SMALLEST_IN_BLOCKS:
            return found + _buffers(optimizer, elements, 4)
        return found + _buffers(optimizer, elements, 1) + [4 * -(-elements // 256)] * min(optimizer.states, 2)
    if optimizer.paged:
        return found + _buffers(optimizer, elements, optimizer.state_bytes)
    return found + [elements * (optimizer.state_bytes or BYTES[weight.dtype])] * optimizer.states


def _buffers(optimizer: Optimizer, elements: int, each: int) -> list[int]:
    if optimizer.paged and elements >= SMALLEST_PAGED:
        return []
    return [elements * each] * optimizer.states


def is_projected(optimizer: Optimizer, weight: Weight, model_type: str) -> bool:
    """Whether GaLore or APOLLO work on this weight in a low rank: those of `torch.nn.Linear` that are targeted."""
    if optimizer.low_rank is None or len(weight.shape) != 2 or weight.name in ("embedding", "positions") or model_type == "gpt2":
        return False
    name = "lm_head" if weight.name == "head" else module_name(model_type, weight.name)
    return is_optimizer_target(optimizer.low_rank.targets, name)


def projected(optimizer: Optimizer, weight: Weight) -> tuple[int, tuple[int, int]]:
    """Bytes of the projection that is kept, and the shape of the gradient after it (`proj_type` std).

    GaLore takes singular vectors (galore-torch 1.0, galore_projector.py): of fp32 matrices all of them stay, since a view of
    those wanted does; APOLLO draws random ones (apollo-torch 1.0, random_projector.py), however small the matrix.
    """
    assert optimizer.low_rank is not None  # noqa: S101  # is_projected says so
    rows, columns = weight.shape
    small = min(rows, columns)
    rank = optimizer.low_rank.rank
    if optimizer.low_rank.kind == "galore":
        rank = min(rank, small)
    wide = weight.dtype == "float32" or optimizer.factored  # GaLore's Adafactor projects gradients in fp32
    each = 4 if wide else BYTES[weight.dtype]
    kept = small if wide and optimizer.low_rank.kind == "galore" else rank
    if rows >= columns:
        return kept * columns * each, (rows, rank)
    return rows * kept * each, (rank, columns)
