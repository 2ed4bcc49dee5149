"""What OpenRLHF's schema cannot say: a rank above 0 means LoRA.

Read off OpenRLHF 3c3be623 (2026-08-13): openrlhf/models/actor.py, cli/train_sft.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from vramlint.dialects.adaptor import Adaptor
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import settle_step
from vramlint.dialects.walk import Reading
from vramlint.run import Change, Run


# ruff: noqa: ARG002  # the protocol's arguments
class OpenRLHF(Adaptor):
    """Flags of OpenRLHF's commands."""

    def settle(self, it: Settlement, reading: Reading) -> None:
        """Adapters from their rank."""
        rank = it.mark("_lora_rank")
        if isinstance(rank, int) and rank > 0:
            it.infer("use_peft", True, "OpenRLHF trains LoRA where the rank is above 0")
            it.infer("lora_r", rank, "the rank says so")
        settle_step(it)

    def rewritten(self, reading: Reading, run: Run, changes: Sequence[Change]) -> Sequence[Change] | str:
        """LoRA's rank under its own name."""
        return [Change("_lora_rank", c.value, delete=c.delete) if c.key == "lora_r" else c for c in changes]


ADAPTOR = OpenRLHF()
