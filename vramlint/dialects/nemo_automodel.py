"""What NeMo Automodel's schema cannot say: a packed size above 0 means packing, and bounds the length.

Read off NeMo Automodel 36044ad3 (2026-08-22): recipes/llm/train_ft.py.
"""

from __future__ import annotations

from vramlint.dialects.adaptor import Adaptor
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import settle_step
from vramlint.dialects.walk import Reading


# ruff: noqa: ARG002  # the protocol's arguments
class NemoAutomodel(Adaptor):
    """Configs of NeMo Automodel's recipes."""

    def settle(self, it: Settlement, reading: Reading) -> None:
        """Packing and the length from packed_sequence_size."""
        size = it.mark("_packed")
        if isinstance(size, int) and size > 0:
            why = "packed_sequence.packed_sequence_size is above 0"
            it.infer("packing", True, why)
            it.infer("packing_strategy", "wrapped", why)
            it.infer("padding", False, why)
            it.force("max_length", size, why)
        if it.values["max_length"] is None:
            it.doubt("max_length", "neither packed_sequence_size nor the dataset's seq_length bounds it: state it, in tokens")
        settle_step(it)


ADAPTOR = NemoAutomodel()
