"""What a phantom GPU cannot compute and a program asks of it: those answers, given as a real card would.

A read from the phantom's memory gives zeros: `mask.all()` is false, `x[mask]` is empty, generation never ends. Each
changes what is allocated: transformers builds an attention mask that a real card would not see, TRL's chunked loss
finds no token to score. The answers here are what the case's data says; the tensors that a question itself allocates
remain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import transformers

from lab.trainers import MASKED_AT_END


def give(case: Mapping[str, Any]) -> None:
    """Answer, for the rest of this process, whether masks are all ones and when generation is done."""
    if not (case["padded"] or case["packing"] or case["padding_free"]):
        masks_are_all_ones()
    if case["trainer"] != "hf" or case["cut_cross_entropy"]:
        masks_select(case)
    if case["liger"]:
        labels_are_words()
    if case["trainer"] == "grpo":
        generation_ends()
        completions_are_full(int(case["completion"]))
        reference_is_built(case)


def masks_are_all_ones() -> None:
    """No padding and one sequence a row: transformers.masking_utils' three questions about it."""
    try:
        from transformers import masking_utils
    except ImportError:  # before transformers 4.53
        from transformers import modeling_attn_mask_utils

        _, converter = modeling_attn_mask_utils, modeling_attn_mask_utils.AttentionMaskConverter
        converter._ignore_causal_mask_sdpa = staticmethod(lambda *_, **__: True)  # noqa: SLF001
        return
    module: Any = masking_utils
    if hasattr(module, "fast_all"):
        module.fast_all = and_then(module.fast_all, True)
    elif hasattr(module, "_ignore_causal_mask_sdpa"):  # before transformers 5.13
        module._ignore_causal_mask_sdpa = of_no_mask(module._ignore_causal_mask_sdpa)  # noqa: SLF001
    find = module.find_packed_sequence_indices
    module.find_packed_sequence_indices = and_then(find, None)
    module._ignore_bidirectional_mask_sdpa = of_no_mask(module._ignore_bidirectional_mask_sdpa)  # noqa: SLF001


def of_no_mask(ignores: Callable[..., object]) -> Callable[..., bool]:
    """Whether a mask may be left out, answered as if there were none; the question itself is asked for what it allocates."""

    def ignore(padding_mask: Any, *rest: Any, **named: Any) -> bool:
        if padding_mask is not None:
            padding_mask.all()
        return bool(ignores(None, *rest, **named))

    return ignore


def and_then(function: Callable[..., object], answer: object) -> Callable[..., object]:
    """The function run for what it allocates, its answer replaced."""

    def asked(*arguments: Any, **named: Any) -> object:
        function(*arguments, **named)
        return answer

    return asked


def labels_are_words() -> None:
    """Liger's loss asserts that the largest label is within the vocabulary (liger_kernel/ops/cross_entropy.py)."""
    less: Any = torch.Tensor.__lt__
    least: Any = torch.Tensor.__ge__

    def holds(plain: Any) -> Any:
        def compare(self: torch.Tensor, other: Any) -> Any:
            found = plain(self, other)
            asked = self.is_cuda and self.ndim == 0 and self.dtype is torch.long and isinstance(other, int)
            return True if asked else found

        return compare

    torch.Tensor.__lt__, torch.Tensor.__ge__ = holds(less), holds(least)


def generation_ends() -> None:
    """`generate` stops after max_new_tokens: none of the sequences ends early."""
    mixin: Any = transformers.GenerationMixin
    generate: Any = mixin.generate
    left: list[Any] = [0]

    def counted(self: Any, *arguments: Any, **named: Any) -> Any:
        config = named.get("generation_config") or self.generation_config
        left[0] = config.max_new_tokens or named.get("max_new_tokens")
        return generate(self, *arguments, **named)

    def unfinished(_self: Any, _finished: bool, *_: Any, **__: Any) -> bool:
        left[0] -= 1
        return bool(left[0] >= 0)

    mixin.generate = counted
    mixin._has_unfinished_sequences = unfinished  # noqa: SLF001


def selected(case: Mapping[str, Any], shape: tuple[int, int]) -> int:
    """How many elements a mask of that shape over the case's tokens keeps: those that are scored."""
    rows, columns = shape
    padding = MASKED_AT_END * (rows // 2) if case["padded"] else 0
    scored = columns
    if case["trainer"] in {"dpo", "kto"}:
        scored = min(columns, case["seq"] - case["seq"] // 2)
    elif case["trainer"] == "grpo":
        scored = min(columns, case["completion"])
    return rows * scored - padding


def masks_select(case: Mapping[str, Any]) -> None:
    """`x[mask]` and `nonzero` on the device find what a real card would.

    The index tensors are as PyTorch makes them.
    """
    plain: Any = torch.Tensor.__getitem__
    assign: Any = torch.Tensor.__setitem__
    nonzero: Any = torch.nonzero

    def indices(mask: torch.Tensor) -> torch.Tensor:
        # of a row of labels, as KTO asks, every second is true
        count = (mask.shape[0] + 1) // 2 if mask.ndim == 1 else selected(case, tuple(mask.shape))
        return torch.zeros((count, mask.ndim), dtype=torch.long, device=mask.device)

    def getitem(self: torch.Tensor, index: Any) -> Any:
        if isinstance(index, torch.Tensor) and index.dtype is torch.bool and index.is_cuda and index.ndim == 2:
            return plain(self, indices(index).unbind(1))
        if isinstance(index, torch.Tensor) and index.dtype is torch.bool and index.is_cuda and index.ndim == 1:
            return plain(self, torch.zeros_like(index, dtype=torch.long))  # what is not NaN: all
        return plain(self, index)

    def setitem(self: torch.Tensor, index: Any, value: Any) -> None:
        if not (isinstance(index, torch.Tensor) and index.dtype is torch.bool and index.is_cuda):
            assign(self, index, value)

    def asked(tensor: torch.Tensor, **named: Any) -> Any:
        if tensor.is_cuda and not named.get("as_tuple"):
            return indices(tensor)
        return nonzero(tensor, **named)

    torch.Tensor.__getitem__ = getitem
    torch.Tensor.__setitem__ = setitem
    torch.nonzero = asked


def completions_are_full(tokens: int) -> None:
    """Generated rows, which TRL reads back, have all their tokens."""
    from trl import GRPOTrainer

    trainer: Any = GRPOTrainer
    generate = trainer._generate_single_turn  # noqa: SLF001

    def generated(self: Any, *arguments: Any, **named: Any) -> Any:
        completions, *rest = generate(self, *arguments, **named)
        return ([[5] * tokens for _ in completions], *rest)

    trainer._generate_single_turn = generated  # noqa: SLF001


def reference_is_built(case: Mapping[str, Any]) -> None:
    """GRPO loads its reference model by the name of the model, which ours has not: it gets a second one like it."""
    from trl.trainer import grpo_trainer

    from lab.loading import build

    module: Any = grpo_trainer
    module.create_model_from_path = lambda *_, **__: build(case)
