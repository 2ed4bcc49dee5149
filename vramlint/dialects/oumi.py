"""What Oumi's schema cannot say: whether any layer is frozen, whatever else is trained.

Read off Oumi d8ed0777 (2026-08-21): src/oumi/builders/models.py.
"""

from __future__ import annotations

from vramlint.dialects.adaptor import Adaptor
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import settle_step
from vramlint.dialects.walk import Reading


# ruff: noqa: ARG002  # the protocol's arguments
class Oumi(Adaptor):
    """Training configs of Oumi."""

    def settle(self, it: Settlement, reading: Reading) -> None:
        """Frozen layers leave open what is trained, unless only adapters are."""
        if it.mark("_freeze_layers") and not it.values["use_peft"]:
            it.doubt("use_peft", "model.freeze_layers leaves only a part of the model to be trained")
        settle_step(it)


ADAPTOR = Oumi()
