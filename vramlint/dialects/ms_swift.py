"""What ms-swift's schema cannot say: accumulation from the batch, defaults of the tuner, and its words for quantisation.

Read off ms-swift 3602360a (2026-08-22): trainers/arguments.py, arguments/{sft_args,tuner_args}.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vramlint.dialects.adaptor import Adaptor
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import settle_step
from vramlint.dialects.trainers import Trainers
from vramlint.dialects.walk import Reading
from vramlint.run import Change, Run, Value

TUNERS = (None, "lora", "full")
SIXTEEN = 16
"""The batch that accumulation fills up to where it is not stated."""


# ruff: noqa: ARG002  # the protocol's arguments
class MsSwift(Adaptor):
    """The transformers Trainer behind ms-swift's own arguments."""

    def trainers(self, reading: Reading, facts: Mapping[str, Value]) -> Trainers | None:
        """Tuners other than LoRA and the whole model are not simulated."""
        if facts.get("_tuner_type") not in TUNERS:
            return Trainers(("other",), f"the tuner {facts['_tuner_type']} is not simulated")
        if facts.get("_megatron"):
            return Trainers(("other",), "keys of the Megatron back end are there")
        if facts.get("_quant_method") not in (None, "bnb") or facts.get("_lisa"):
            return Trainers(("other",), "its quantisation or LISA is not simulated")
        return None

    def settle(self, it: Settlement, reading: Reading) -> None:
        """The batch is filled up to 16 (`TrainArgumentsMixin`); the rate depends on the tuner (`SftArguments`)."""
        batch = it.values["per_device_train_batch_size"]
        if it.said.values.get("gradient_accumulation_steps") is None and isinstance(batch, int) and batch:
            it.infer("gradient_accumulation_steps", max(1, -(-SIXTEEN // batch)), "ms-swift accumulates to a batch of 16")
        if it.mark("_tuner_type") == "full":
            it.infer("learning_rate", 1e-5, "ms-swift's rate for full training")
        targets = it.values["lora_target_modules"]
        regex = it.mark("_target_regex")
        if isinstance(regex, str):
            it.infer("lora_target_modules", regex, "target_regex names them")
        elif isinstance(targets, tuple) and "all-linear" in targets:
            it.values["lora_target_modules"] = "all-linear"
        elif isinstance(targets, str) and targets != "all-linear":
            it.values["lora_target_modules"] = (targets,)
        settle_step(it)

    def rewritten(self, reading: Reading, run: Run, changes: Sequence[Change]) -> Sequence[Change] | str:
        """Bits need a method beside them; LoRA is a tuner."""
        return list(_rewritten(changes))


def _rewritten(changes: Sequence[Change]) -> Iterator[Change]:
    for change in changes:
        if change.key in ("load_in_4bit", "load_in_8bit"):
            if change.value and not change.delete:
                yield Change("_quant_method", "bnb")
                yield Change("_quant_bits", 4 if change.key == "load_in_4bit" else 8)
            elif not any(other.key.startswith("load_in_") and other.value for other in changes):
                yield Change("_quant_bits", delete=True)
                yield Change("_quant_method", delete=True)
        elif change.key == "use_peft":
            yield Change("_tuner_type", "lora" if change.value else "full")
        else:
            yield change


ADAPTOR = MsSwift()
