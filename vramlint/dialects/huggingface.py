"""What the huggingface schema cannot say: how the trainers of transformers and TRL settle keys that depend on others.

Read off transformers 5.17.0 (trainer.py, modeling_utils.py), TRL 1.16.0 (trainer/*.py, scripts/utils.py) and peft
0.21.2 (utils/other.py); older versions where a `stack` names them.
"""

from __future__ import annotations

from vramlint.dialects.adaptor import Adaptor
from vramlint.dialects.recognised import Origin
from vramlint.dialects.settlement import Settlement
from vramlint.dialects.steps import GENERATING, packed, reentrant, reference, sharding, turned_on
from vramlint.dialects.tables import is_below
from vramlint.dialects.walk import Reading
from vramlint.source import Document, Entry

ADAPTER_KEYS = (
    "lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "lora_modules_to_save", "use_dora", "use_rslora",
)
CHUNKING = {"trl": "1.7"}
"""Since this version TRL's SFTTrainer never holds all logits, whatever `loss_type` says."""


def targets_of(document: Document) -> list[Entry]:
    """Calls of a tokenizer on what a decoder is to write: their max_length bounds targets, not inputs."""
    return [e for e in document.root.entries if any(inner.key == "text_target" for inner in e.value.entries)]


def skipped(document: Document) -> frozenset[str]:
    """Calls that say nothing of what goes in or is trained: models loaded behind the trainer, to merge or to try it; targets."""
    entries = document.root.entries
    loads = [e for e in entries if e.key.partition("()")[0].endswith(".from_pretrained") and "Model" in e.key]
    trainers = [e.key_span.start for e in entries if e.key.partition("()")[0].endswith("Trainer")]
    behind = [e.key for e in loads if trainers and e.key_span.start > trainers[0]]
    targets = [e.key for e in targets_of(document)]
    return frozenset([*targets, *(behind if len(behind) < len(loads) else ())])


def classes_for(reading: Reading, trainer: str) -> list[str]:
    """The classes whose defaults hold, in order of precedence.

    In a flat file TRL's command line reads ModelConfig; a script or a nested file has LoraConfig and its kin. A trainer
    of TRL that is given TrainingArguments keeps their values: `SFTConfig(**args.to_dict())`.
    """
    trainers, found = reading.tables.about["trainers"], reading.found
    about = trainers.get(trainer) or trainers["transformers"]
    is_nested = len(found.sections) > 1 and any("from" in s.about for s in found.sections[1:])
    chain: list[str] = list(about["nested" if is_nested or reading.python else "flat"])
    if reading.python:
        called = {str(s.about.get("from", "")).partition(" of ")[0] for s in found.sections[1:]}
        if "from_pretrained" in called:
            chain = ["from_pretrained" if name == "create_model_from_path" else name for name in chain]
        if about["config"] not in called and "TrainingArguments" in called:
            chain.insert(0, "TrainingArguments")
    return chain


class HuggingFace(Adaptor):
    """Scripts, TRL's command line and nested files, told apart by what they call and name."""

    def skipped(self, document: Document) -> frozenset[str]:
        """Models loaded behind the trainer."""
        return skipped(document)

    def classes_for(self, reading: Reading, trainer: str) -> list[str]:
        """The classes of the trainer, as the kind of file has them."""
        return classes_for(reading, trainer)

    def settle(self, it: Settlement, reading: Reading) -> None:
        """Fill in what follows; in the order in which the keys depend on one another."""
        is_trl = it.trainer.startswith("trl-")
        flat = not reading.python and "ModelConfig" in classes_for(reading, it.trainer)
        _precision(it)
        _adapters(it, is_trl=is_trl, flat=flat)
        _quantisation(it, is_trl=is_trl, flat=flat, python=reading.python)
        _checkpointing(it, is_trl=is_trl)
        _sequence(it, is_trl=is_trl)
        _target(it, reading)
        _loss(it)
        reference(it)
        sharding(it)


ADAPTOR = HuggingFace()


def _precision(it: Settlement) -> None:
    if it.values.get("bf16") is None:
        if "fp16" in it.unknown:
            it.doubt("bf16", it.unknown["fp16"])
        it.values["bf16"] = it.trainer.startswith("trl-") and not it.values["fp16"]
        it.origins["bf16"] = Origin("default", why="TRL's configs: bf16 unless fp16 is on")


def _adapters(it: Settlement, *, is_trl: bool, flat: bool) -> None:
    written = [key for key in ADAPTER_KEYS if it.said.is_said(key)]
    if it.said.is_said("use_peft") or not written:
        return
    if is_trl and flat:
        it.notes.append(f"{written[0]} is stated but not use_peft: TRL's command line trains the whole model")
    else:
        it.infer("use_peft", True, f"{written[0]} is stated")


def _quantisation(it: Settlement, *, is_trl: bool, flat: bool, python: bool) -> None:
    is_quantised = bool(it.values["load_in_4bit"] or it.values["load_in_8bit"])
    if is_trl and flat and is_quantised:
        # get_quantization_config of TRL: the compute dtype is the model's.
        it.infer("bnb_4bit_compute_dtype", it.values["dtype"], "TRL computes 4-bit weights in dtype")
    if is_trl and is_quantised and it.values["use_peft"]:
        it.infer("autocast_adapter_dtype", False, "TRL turns adapters on a quantised base to bf16")
    is_open = not it.said.is_said("prepare_model_for_kbit_training") and not is_trl and not python
    if is_quantised and it.values["use_peft"] and is_open:
        it.open["prepare_model_for_kbit_training"] = (
            "whether the script calls prepare_model_for_kbit_training is not stated: "
            "state `prepare_model_for_kbit_training: true` or `false`"
        )


def _checkpointing(it: Settlement, *, is_trl: bool) -> None:
    said, values = it.said.values, it.values
    by_trainer = bool(values["gradient_checkpointing"])
    prepared = bool(values["prepare_model_for_kbit_training"] and (values["load_in_4bit"] or values["load_in_8bit"]))
    # In a script the call itself turns checkpointing on, by default and with PyTorch's own variant.
    called = it.said.origins.get("prepare_model_for_kbit_training", Origin("default"))
    from_call = prepared and called.kind == "inferred"
    if from_call and not by_trainer and "_prepare_checkpointing" in it.said.unknown:
        it.doubt("gradient_checkpointing", it.said.unknown["_prepare_checkpointing"])
    if from_call and not by_trainer and said.get("_prepare_checkpointing", True):
        turned_on(it, "prepare_model_for_kbit_training turns it on", said.get("_prepare_reentrant", True))
    elif said.get("_enabled_checkpointing") and not by_trainer:
        turned_on(it, "gradient_checkpointing_enable() is called", said.get("_enabled_reentrant", False))
    elif by_trainer and not it.said.is_said("use_reentrant"):
        reentrant(it)
    if is_trl and values["use_peft"] and values["zero_stage"] == 3 and by_trainer:
        values["use_reentrant"] = True
        it.origins["use_reentrant"] = Origin("inferred", why="TRL forces it for adapters under ZeRO-3")


def _sequence(it: Settlement, *, is_trl: bool) -> None:
    values = it.values
    packed(it)
    if it.said.is_said("max_length") and values["max_length"] is not None:
        return
    if not is_trl and "_length" in it.said.values:
        length = it.said.values["_length"]
        if isinstance(length, int) and not isinstance(length, bool) and length >= 1:
            values["max_length"] = length
            it.origins["max_length"] = it.said.origins["_length"]
            it.unknown.pop("max_length", None)
            return
    if not is_trl:
        why = it.said.unknown.get("_length")
        it.doubt("max_length", why or "the transformers Trainer does not cut sequences: state max_length, in tokens")
    elif it.trainer in GENERATING:
        prompt, completion = values["max_prompt_length"], values["max_completion_length"]
        if isinstance(prompt, int) and isinstance(completion, int):
            it.infer("max_length", prompt + completion, "max_prompt_length + max_completion_length")
        else:
            it.doubt("max_length", "prompts have no bound: state max_length, the tokens of prompt and completion")
    elif values["max_length"] is None:
        it.doubt("max_length", "max_length is null, so nothing is cut: state the longest sequence, in tokens")


def _target(it: Settlement, reading: Reading) -> None:
    """The bound of targets, where the script has their tokens cut by the tokenizer."""
    for entry in targets_of(reading.document) if reading.python else ():
        found = reading.values.get((entry.key, "max_length"))
        length = found.value if found is not None else None
        if isinstance(length, int) and not isinstance(length, bool) and length > 0:
            it.infer("max_target_length", length, "the tokenizer cuts targets to it")


def _loss(it: Settlement) -> None:
    if it.trainer != "trl-sft" or it.values["loss_type"] not in ("nll", "chunked_nll", None):
        return
    chunks = not it.values["label_smoothing_factor"]
    if is_below(it.stack, CHUNKING):
        chunks = it.values["loss_type"] == "chunked_nll"
    it.values["loss_type"] = "chunked_nll" if chunks else "nll"
    if not it.said.is_said("loss_type"):
        why = "SFTTrainer of TRL computes the loss in chunks" if chunks else "the loss needs all logits"
        it.origins["loss_type"] = Origin("default", why=why)
