"""What Oumi's schema cannot say: whether any layer is frozen, and which TRL runs.

Read off Oumi d8ed0777 (2026-08-21): src/oumi/builders/models.py, pyproject.toml.
"""

from __future__ import annotations

from vramlint.dialects.adaptor import Adaptor
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import settle_step
from vramlint.dialects.walk import Reading

TRL = "1.4"
"""What Oumi runs with where no version is stated: its pyproject.toml asks for trl>=0.24,<1.5."""


# ruff: noqa: ARG002  # the protocol's arguments
class Oumi(Adaptor):
    """Training configs of Oumi."""

    def settle(self, it: Settlement, reading: Reading) -> None:
        """Frozen layers leave open what is trained, unless only adapters are; the stack is the one that Oumi asks for."""
        if "trl" not in it.stack and it.trainer.startswith("trl-"):
            it.stack = {**it.stack, "trl": TRL}
            it.note(f"TRL {TRL}: Oumi asks for one below 1.5, whose loss is over all logits at once")
        if it.mark("_freeze_layers") and not it.values["use_peft"]:
            it.doubt("use_peft", "model.freeze_layers leaves only a part of the model to be trained")
        settle_step(it)


ADAPTOR = Oumi()
