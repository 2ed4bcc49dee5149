"""What LitGPT's schema cannot say: the model behind a directory, accumulation from two batches, modules from switches.

Read off LitGPT 26857050 (2026-06-29): args.py, finetune/lora.py, lora.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vramlint.dialects.adaptor import Adaptor
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import resized, settle_step
from vramlint.dialects.walk import Reading
from vramlint.run import Change, Run, Value

SWITCHES = (
    ("_query", ("q_proj",)), ("_key", ("k_proj",)), ("_value", ("v_proj",)), ("_projection", ("o_proj",)),
    ("_mlp", ("gate_proj", "up_proj", "down_proj")), ("_head", ("lm_head",)),
)
LORA_KEYS = ("lora_r", "lora_alpha", "lora_dropout", "_query", "_key", "_value")
PRECISIONS = {"bfloat16": "bf16-true", "float16": "16-true", "float32": "32-true"}


# ruff: noqa: ARG002  # the protocol's arguments
class LitGPT(Adaptor):
    """LitGPT's own loop."""

    def settle(self, it: Settlement, reading: Reading) -> None:
        """Model, adapters, accumulation and optimizer."""
        self._model(it, reading)
        if any(it.said.is_said(key) for key in LORA_KEYS):
            it.infer("use_peft", True, "keys of LoRA are there")
            targets = tuple(name for mark, names in SWITCHES if it.mark(mark) for name in names)
            it.infer("lora_target_modules", targets, "the switches lora_query, lora_key … name them")
        whole, micro = it.mark("_global_batch_size"), it.values["per_device_train_batch_size"]
        devices = it.values["num_processes"]
        if isinstance(whole, int) and isinstance(micro, int) and isinstance(devices, int) and micro * devices > 0:
            it.infer("gradient_accumulation_steps", max(1, whole // devices // micro), "global over micro batch size")
        name = str(it.mark("_optimizer") or "AdamW").rpartition(".")[2]
        quantised = it.values["load_in_4bit"] or it.values["load_in_8bit"]
        known = {"AdamW": "paged_adamw_32bit" if quantised else "adamw_torch", "SGD": "sgd"}
        it.infer("optim", known.get(name, name), "optimizer names it, paged by LitGPT over a quantised base")
        settle_step(it)

    def _model(self, it: Settlement, reading: Reading) -> None:
        directory, name = it.mark("_checkpoint_dir"), it.mark("_model_name")
        why, mark = "checkpoint_dir names it", "_checkpoint_dir"
        model: Value = None
        if isinstance(directory, str):
            model = directory.removeprefix("./").removeprefix("checkpoints/").strip("/")
        elif isinstance(name, str):
            model, why, mark = reading.tables.about["models"].get(name, name), "model_name names it", "_model_name"
        if isinstance(model, str) and model:
            it.infer("model_name_or_path", model, why)
            place = it.said.origins.get(mark)
            if place is not None and it.origins.get("model_name_or_path") is not None:
                it.origins["model_name_or_path"] = place
        else:
            it.doubt("model_name_or_path", it.said.unknown.get(mark, "neither checkpoint_dir nor model_name is stated"))

    def rewritten(self, reading: Reading, run: Run, changes: Sequence[Change]) -> Sequence[Change] | str:
        """Accumulation is the global batch; dtype and autocast are one word."""
        if any(change.key in ("bf16", "fp16", "use_peft", "gradient_checkpointing") for change in changes):
            return "LitGPT has no key for it, or another of its commands would have to run"
        return list(_rewritten(run, changes))


def _rewritten(run: Run, changes: Sequence[Change]) -> Iterator[Change]:
    yield from resized(run, changes, run.num_processes)
    for change in changes:
        if change.key == "gradient_accumulation_steps":
            continue
        if change.key == "dtype":
            yield Change("_precision", PRECISIONS.get(str(change.value), "bf16-true"))
        elif change.key in ("load_in_4bit", "load_in_8bit"):
            word = "bnb.nf4" if change.key == "load_in_4bit" else "bnb.int8-training"
            yield Change("_quantize", word if change.value and not change.delete else None)
        elif change.key == "lora_target_modules":
            for mark, names in SWITCHES:
                chosen = change.value if isinstance(change.value, tuple) else ()
                yield Change(mark, (change.value == "all-linear" and mark != "_head") or any(name in chosen for name in names))
        else:
            yield change


ADAPTOR = LitGPT()
