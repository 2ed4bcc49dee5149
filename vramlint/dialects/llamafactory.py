"""What LLaMA-Factory's schema cannot say: alpha from the rank, lists in one text, and its words for quantised adapters.

Read off LLaMA-Factory ff6d4d12 (2026-08-18): hparams/finetuning_args.py, model/adapter.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vramlint.dialects.adaptor import Adaptor
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import settle_step
from vramlint.dialects.walk import Reading
from vramlint.run import Change, Run, Value


# ruff: noqa: ARG002  # the protocol's arguments
class LlamaFactory(Adaptor):
    """The transformers Trainer behind LLaMA-Factory's own arguments."""

    def settle(self, it: Settlement, reading: Reading) -> None:
        """Alpha is twice the rank (`FinetuningArguments.__post_init__`); targets are separated by commas."""
        rank = it.values["lora_r"]
        if it.said.values.get("lora_alpha") is None and isinstance(rank, int):
            it.infer("lora_alpha", 2 * rank, "LLaMA-Factory's alpha is twice the rank")
        targets = it.values["lora_target_modules"]
        if isinstance(targets, str) and targets != "all-linear":
            it.values["lora_target_modules"] = _names(targets)
        more = it.mark("_additional_target")
        if isinstance(more, str | list | tuple):
            it.infer("lora_modules_to_save", _names(more), "additional_target names them")
        settle_step(it)

    def rewritten(self, reading: Reading, run: Run, changes: Sequence[Change]) -> Sequence[Change] | str:
        """Bits and the kind of tuning are one word each."""
        return list(_rewritten(changes))


def _rewritten(changes: Sequence[Change]) -> Iterator[Change]:
    for change in changes:
        if change.key in ("load_in_4bit", "load_in_8bit"):
            bits = 4 if change.key == "load_in_4bit" else 8
            if change.value and not change.delete:
                yield Change("_quantization_bit", bits)
            elif not any(other.key.startswith("load_in_") and other.value for other in changes):
                yield Change("_quantization_bit", delete=True)
        elif change.key == "use_peft":
            yield Change("_finetuning_type", "lora" if change.value else "full")
        else:
            yield change


def _names(value: Value | Sequence[Value]) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        value = str(value).split(",")
    return tuple(str(item).strip() for item in value if str(item).strip())



ADAPTOR = LlamaFactory()
