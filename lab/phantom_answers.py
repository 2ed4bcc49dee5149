"""What a phantom GPU cannot compute and a program asks of it: those answers, given as a real card would.

A read from the phantom's memory gives zeros, so `mask.all()` is false and a finished generation never shows. Both
change what is allocated: transformers then builds an attention mask that a real card would not see, and attention
takes another kernel. The answers here are what the case says; the tensors that the question itself allocates remain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import transformers


def give(case: Mapping[str, Any]) -> None:
    """Answer, for the rest of this process, whether masks are all ones and when generation is done."""
    if not (case["padded"] or case["packing"] or case["padding_free"]):
        masks_are_all_ones()
    if case["trainer"] == "grpo":
        generation_ends()


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
    find = module.find_packed_sequence_indices
    module.find_packed_sequence_indices = and_then(find, None)
    ignore_bidirectional = module._ignore_bidirectional_mask_sdpa  # noqa: SLF001

    def ignore(padding_mask: Any, *rest: Any, **named: Any) -> bool:
        if padding_mask is not None:
            padding_mask.all()
        return bool(ignore_bidirectional(None, *rest, **named))

    module._ignore_bidirectional_mask_sdpa = ignore  # noqa: SLF001


def and_then(function: Callable[..., object], answer: object) -> Callable[..., object]:
    """The function run for what it allocates, its answer replaced."""
    def asked(*arguments: Any, **named: Any) -> object:
        function(*arguments, **named)
        return answer

    return asked


def generation_ends() -> None:
    """`generate` stops after max_new_tokens: none of the sequences ends early."""
    mixin: Any = transformers.GenerationMixin
    generate, left = mixin.generate, [0]

    def counted(self: Any, *arguments: Any, **named: Any) -> Any:
        config = named.get("generation_config") or self.generation_config
        left[0] = config.max_new_tokens or named.get("max_new_tokens")
        return generate(self, *arguments, **named)

    def unfinished(_self: Any, _finished: bool, *_: Any, **__: Any) -> bool:
        left[0] -= 1
        return left[0] >= 0

    mixin.generate = counted
    mixin._has_unfinished_sequences = unfinished  # noqa: SLF001
