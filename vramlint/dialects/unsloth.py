"""What unsloth's schema cannot say: what its loader and its patches of TRL's trainers make of the keys.

Read off unsloth 015bdef0 (2026-08-22): models/{loader,llama,vision,rl,_utils}.py, trainer.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vramlint.dialects.adaptor import Adaptor
from vramlint.dialects.huggingface import skipped
from vramlint.dialects.recognised import Origin
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import settle_step
from vramlint.dialects.tables import WHOLE
from vramlint.dialects.trainers import Trainers
from vramlint.dialects.walk import Reading
from vramlint.run import Change, Run, Value
from vramlint.source import Document

SEVEN = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SUPERVISED = ("trl-sft", "transformers")
OFFLOADED_FROM = 512
"""Below so many tokens `use_gradient_checkpointing="unsloth"` is plain checkpointing (`apply_unsloth_gradient_checkpointing`)."""
TRL_CHAIN = ("unsloth_config", "SFTConfig", "TrainingArguments", "LoraConfig")
PLAIN_CHAIN = ("TrainingArguments", "LoraConfig")
TURNED_OFF = (None, False, "false", "none", "")


# ruff: noqa: ARG002  # the protocol's arguments
class Unsloth(Adaptor):
    """Scripts that load with unsloth, and Studio's files."""

    def skipped(self, document: Document) -> frozenset[str]:
        """Models loaded behind the trainer."""
        return skipped(document)

    def trainers(self, reading: Reading, facts: Mapping[str, Value]) -> Trainers | None:
        """Supervised tuning of what FastLanguageModel loads is simulated; its patches of TRL's other trainers are not."""
        if "trainer" in facts:
            return None
        called = [str(section.about["trainer"]) for section in reading.found.sections[1:] if "trainer" in section.about]
        other = next((name for name in called if name not in SUPERVISED), None)
        other = other or next((name for name in _called(reading) if name in UNKNOWN_TRAINERS), None)
        if other:
            return Trainers(("other",), f"unsloth patches {other}, which is not simulated")
        loader = next((name for name in _called(reading) if name.startswith(OTHER_LOADERS)), None)
        if loader is None:
            return None
        return Trainers(("other",), f"unsloth's {loader.partition('.')[0]} has other layers, which are not simulated")

    def classes_for(self, reading: Reading, trainer: str) -> list[str]:
        """unsloth's own defaults before those of the class that it patches."""
        if not reading.python:
            return [WHOLE]
        names = set(_called(reading))
        plain = "TrainingArguments" in names and not any(name in names for name in ("SFTConfig", "UnslothTrainingArguments"))
        return ["unsloth_from_pretrained", "unsloth_get_peft_model", *(PLAIN_CHAIN if plain else TRL_CHAIN)]

    def settle(self, it: Settlement, reading: Reading) -> None:
        """How the base is loaded, what is trained, and which checkpointing runs."""
        if reading.python:
            _load(it)
            batch = it.values["per_device_train_batch_size"]  # a patched trainer never evaluates on more rows
            it.infer("per_device_eval_batch_size", batch, "unsloth lowers it to that of training")
        else:
            _studio(it)
        _precision(it)
        _adapters(it, reading)
        _checkpointing(it)
        _rows(it, reading)
        it.note("attention is taken to be torch's own; with flash-attn or xformers installed unsloth takes those")
        settle_step(it)

    def rewritten(self, reading: Reading, run: Run, changes: Sequence[Change]) -> Sequence[Change] | str:
        """4-bit and checkpointing are words of unsloth's loader."""
        made = []
        for change in changes:
            if change.key == "load_in_4bit" and reading.python:
                made.append(Change("_four_bit", bool(change.value) and not change.delete))
            elif change.key == "gradient_checkpointing":
                made.append(Change("_checkpointing", "unsloth" if change.value and not change.delete else False))
            elif change.key in ("use_liger_kernel", "use_peft"):
                return "unsloth has kernels of its own" if change.key == "use_liger_kernel" else "a call would have to be added"
            elif change.key not in IMPLIED:
                made.append(change)
        return made


IMPLIED = ("activation_offloading", "use_reentrant", "bnb_4bit_quant_type", "bnb_4bit_compute_dtype")
"""What unsloth decides itself where checkpointing or a 4-bit base is asked for."""
OTHER_LOADERS = ("FastModel.", "FastVisionModel.", "FastTextModel.")
"""Those that compile a model's own modules (models/vision.py) instead of putting functions by hand in their place."""
UNKNOWN_TRAINERS = (
    "DPOTrainer", "KTOTrainer", "ORPOTrainer", "CPOTrainer", "GRPOTrainer", "RLOOTrainer", "RewardTrainer", "PPOTrainer",
)


def _called(reading: Reading) -> list[str]:
    """The short names of what the script calls."""
    return [entry.key.partition("()")[0] for entry in reading.values.root.entries if "()" in entry.key]


def _load(it: Settlement) -> None:
    """`load_in_4bit` is on unless another precision is asked for (loader.py, from_pretrained)."""
    full, four = bool(it.mark("_full")), bool(it.mark("_four_bit"))
    eight, sixteen = bool(it.mark("_eight_bit")), bool(it.mark("_sixteen_bit"))
    unknown = next((it.said.unknown[mark] for mark in ("_four_bit", "_full", "_eight_bit") if mark in it.said.unknown), None)
    if unknown is not None:
        it.doubt("load_in_4bit", unknown)
    if it.mark("_fp8"):
        it.doubt("dtype", "a base in fp8 (load_in_fp8) is not simulated yet")
    quantised = four and not (full or eight or sixteen)
    why = "load_in_4bit is unsloth's default" if "_four_bit" not in it.said.values else "load_in_4bit says so"
    it.infer("load_in_4bit", quantised, "full_finetuning overrides it" if full else why)
    if "_four_bit" in it.said.origins and quantised:
        it.origins["load_in_4bit"] = it.said.origins["_four_bit"]
    it.infer("load_in_8bit", eight and not full, "load_in_8bit says so")
    if full:
        it.force("use_peft", False, "full_finetuning trains every weight")


def _studio(it: Settlement) -> None:
    full = it.mark("_training_type") == "full"
    it.infer("use_peft", not full, "training_type is full" if full else "training_type is lora")
    if full:
        it.force("load_in_4bit", False, "training_type is full")
    targets = it.values["lora_target_modules"]
    if isinstance(targets, str) and "," in targets:
        it.values["lora_target_modules"] = tuple(part.strip() for part in targets.split(",") if part.strip())
    elif targets in ("", ("all-linear",)):
        it.values["lora_target_modules"] = "all-linear"
    it.infer("dtype", "bfloat16", "unsloth loads in bf16 on a card that has it")


def _precision(it: Settlement) -> None:
    if not it.said.is_said("dtype"):  # loader.py asks the card
        it.asks_card |= {"dtype", "bf16", "fp16", "bnb_4bit_compute_dtype"}
    if it.values["load_in_4bit"]:
        for key, value in (
            ("bnb_4bit_quant_type", "nf4"), ("bnb_4bit_use_double_quant", True), ("bnb_4bit_compute_dtype", it.values["dtype"]),
        ):
            it.infer(key, value, "unsloth's 4-bit base: nf4, nested, computed in dtype (loader.py)")
        it.note("a 4-bit base is taken to have every linear layer in nf4; unsloth's dynamic mirrors keep some in 16 bits")
    stated = [key for key in ("bf16", "fp16") if it.said.is_said(key) and it.values[key]]
    if not stated:
        half = it.values["dtype"] == "float16"
        for key, value in (("bf16", not half), ("fp16", half)):
            it.values[key] = value
            it.unknown.pop(key, None)
            it.origins[key] = Origin("inferred", why="unsloth sets it by the model's dtype (rl.py)")


def _adapters(it: Settlement, reading: Reading) -> None:
    if it.values["use_peft"] and it.values["lora_target_modules"] is None:
        whole = any(name.startswith(("FastModel", "FastVisionModel")) for name in _called(reading)) if reading.python else True
        it.infer("lora_target_modules", "all-linear" if whole else SEVEN, "get_peft_model's default")


def _checkpointing(it: Settlement) -> None:
    why = it.said.unknown.get("_checkpointing")
    if why is not None:
        it.doubt("gradient_checkpointing", why)
        return
    said, length = it.mark("_checkpointing"), it.values["max_length"]
    on = said not in TURNED_OFF
    offloads = said == "unsloth" and (not isinstance(length, int) or length >= OFFLOADED_FROM)
    place = it.said.origins.get("_checkpointing")
    reason = f"use_gradient_checkpointing is {said}" if place else "use_gradient_checkpointing is unsloth by default"
    reentrant = True if on else None
    for key, value in (("gradient_checkpointing", on), ("activation_offloading", offloads), ("use_reentrant", reentrant)):
        it.values[key] = value
        it.unknown.pop(key, None)
        it.origins[key] = place if place and key == "gradient_checkpointing" else Origin("inferred", why=reason)


def _rows(it: Settlement, reading: Reading) -> None:
    """SFT batches go without padding unless somebody says otherwise (trainer.py, `_should_auto_padding_free`)."""
    supervised = not reading.python or any(name in ("SFTTrainer", "UnslothTrainer") for name in _called(reading))
    if supervised and not it.values["packing"] and not it.said.is_said("padding_free"):
        it.infer("padding_free", True, "unsloth turns it on for supervised tuning")


ADAPTOR = Unsloth()
