"""What verl's schema cannot say: a rank above 0 means LoRA, and a row is a prompt and a response.

Read off verl b178a3cd (2026-01-29): workers/fsdp_workers.py, trainer/fsdp_sft_trainer.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from vramlint.dialects.adaptor import Adaptor
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import settle_step
from vramlint.dialects.walk import Reading
from vramlint.run import Change, Run


# ruff: noqa: ARG002  # the protocol's arguments
class Verl(Adaptor):
    """Configs of verl's trainers."""

    def settle(self, it: Settlement, reading: Reading) -> None:
        """Adapters from their rank, the length from its two parts."""
        rank = it.mark("_lora_rank")
        if isinstance(rank, int):
            it.infer("use_peft", rank > 0, "verl trains LoRA where lora_rank is above 0")
            if rank > 0:
                it.infer("lora_r", rank, "lora_rank says so")
        prompt, response = it.values["max_prompt_length"], it.values["max_completion_length"]
        if isinstance(prompt, int) and isinstance(response, int) and it.said.is_said("max_prompt_length"):
            it.infer("max_length", prompt + response, "data.max_prompt_length and data.max_response_length together")
        if it.values["per_device_train_batch_size"] is None or not it.said.is_said("per_device_train_batch_size"):
            it.doubt("per_device_train_batch_size", "no micro batch size per GPU is stated: verl has no default for it")
        settle_step(it)

    def rewritten(self, reading: Reading, run: Run, changes: Sequence[Change]) -> Sequence[Change] | str:
        """LoRA's rank under its own name; a length that is a sum has no key."""
        if any(change.key == "max_length" for change in changes) and run.max_prompt_length and run.trainer == "verl":
            return "the length is data.max_prompt_length and data.max_response_length together: which to shorten is a choice"
        return [Change("_lora_rank", c.value, delete=c.delete) if c.key == "lora_r" else c for c in changes]


ADAPTOR = Verl()
