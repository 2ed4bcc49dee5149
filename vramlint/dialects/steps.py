"""What the trainers of transformers and TRL make of keys that depend on one another, whichever dialect stated them.

Read off transformers 5.17.0 (trainer.py, modeling_utils.py) and TRL 1.16.0 (trainer/*.py); older versions where a
`stack` names them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vramlint.dialects.recognised import Origin
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.tables import is_below
from vramlint.run import Change, Run

PREFERENCE = ("trl-dpo", "trl-kto")
GENERATING = ("trl-grpo", "trl-rloo")


def settle_step(it: Settlement) -> None:
    """What holds for every framework on top of these trainers, in the order in which the keys depend on one another."""
    if it.values.get("bf16") is None:
        it.values["bf16"] = False
    if it.values["gradient_checkpointing"] and it.values["use_reentrant"] is None:
        reentrant(it)
    packed(it)
    if it.values["max_length"] is None and "max_length" not in it.unknown:
        it.doubt("max_length", "nothing bounds the length of a sequence: state it, in tokens")
    reference(it)
    sharding(it)


def reentrant(it: Settlement) -> None:
    """Which of PyTorch's checkpoints runs: without reentry since transformers 5, and in TRL since 0.22."""
    is_trl = it.trainer.startswith("trl-")
    old = is_below(it.stack, {"transformers": "5"}) and not (is_trl and not is_below(it.stack, {"trl": "0.22"}))
    it.infer("use_reentrant", old, "transformers' default for checkpointing")


def packed(it: Settlement) -> None:
    """Batches that are full have nothing to pad."""
    values = it.values
    if values["packing"] and values["packing_strategy"] in ("bfd", "bfd_split"):
        it.infer("padding_free", True, f"packing by {values['packing_strategy']} needs it")
    if values["packing"] or values["padding_free"]:
        it.infer("padding", False, "packed batches have nothing to pad")


def reference(it: Settlement) -> None:
    """Whether a second model is held: not with adapters, which are switched off instead."""
    values = it.values
    if it.trainer in PREFERENCE:
        held = not values["use_peft"] and not values["precompute_ref_log_probs"]
        why = "TRL copies the model" if held else "adapters are switched off" if values["use_peft"] else "it ran before"
        it.infer("reference_model", held, why)
    elif it.trainer in GENERATING:
        held = bool(values["beta"]) and not values["use_peft"]
        it.infer("reference_model", held, "TRL holds a reference where beta is not 0 and no adapters are trained")


def sharding(it: Settlement) -> None:
    """What a file of DeepSpeed's would say is unknown; FSDP's offload is a word of `fsdp`."""
    deepspeed, fsdp = it.values["deepspeed"], it.values["fsdp"]
    if isinstance(deepspeed, str) and not it.said.is_said("zero_stage") and "zero_stage" not in it.origins:
        for key in ("zero_stage", "offload_optimizer", "offload_param"):
            it.doubt(key, f"it stands in the DeepSpeed file {deepspeed}")
    if isinstance(fsdp, str) and "offload" in fsdp:
        it.infer("fsdp_offload", True, "fsdp says offload")
    if isinstance(fsdp, str) and "shard_grad_op" in fsdp:
        it.infer("fsdp_reshard_after_forward", False, "fsdp says shard_grad_op")
    if deepspeed or fsdp or it.values["zero_stage"]:
        why = "the launch says on how many cards: state num_processes, or name a target that has several"
        it.doubt_unless_said("num_processes", why)


def turned_on(it: Settlement, why: str, reentrant_value: object) -> None:
    """Checkpointing that another key or call turns on."""
    it.values["gradient_checkpointing"] = True
    it.origins["gradient_checkpointing"] = Origin("inferred", why=why)
    it.unknown.pop("gradient_checkpointing", None)
    if not it.said.is_said("use_reentrant"):
        it.values["use_reentrant"] = bool(reentrant_value)
        it.origins["use_reentrant"] = Origin("inferred", why=why)


def resized(run: Run, changes: Sequence[Change], ranks: int) -> Iterator[Change]:
    """The batch of all `ranks` together, where a framework states that instead of accumulation; nothing if none changes."""
    said = {change.key: change.value for change in changes if not change.delete}
    batch = said.get("per_device_train_batch_size", run.per_device_train_batch_size)
    steps = said.get("gradient_accumulation_steps", run.gradient_accumulation_steps)
    is_resized = "per_device_train_batch_size" in said or "gradient_accumulation_steps" in said
    if is_resized and isinstance(batch, int) and isinstance(steps, int):
        yield Change("_global_batch_size", batch * steps * ranks)
