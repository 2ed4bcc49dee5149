"""The receipt of an estimate: the measured run that is nearest to it, how it differs, and how far vramlint is off there."""

from __future__ import annotations

from collections.abc import Mapping
from math import log2
from typing import Any

from vramlint.catalog import Architecture
from vramlint.catalog.measured import MeasuredRun, measured_runs
from vramlint.memory import Estimate, NoEstimate, estimate
from vramlint.run import Run

USUAL = Run()
OWN_HEADS = (None, "causal-lm", "masked-lm", "seq2seq-lm")
WEIGHTS = {
    "sharing": 6.0,
    "method": 5.0, "trainer": 4.0, "task": 4.0, "gradient_checkpointing": 3.0, "use_liger_kernel": 3.0,
    "prepare_model_for_kbit_training": 2.0, "activation_offloading": 2.0, "use_dora": 2.0, "reference_model": 2.0,
    "precompute_ref_log_probs": 1.0, "stack": 2.0,
    "attn_implementation": 1.5, "dtype": 1.5, "precision": 1.5, "loss_type": 1.5, "packing": 1.5, "padding_free": 1.5,
    "optim": 1.5, "padding": 1.0, "eval_strategy": 1.0, "gradient_accumulation_steps": 0.5, "lora_target_modules": 0.4,
    "lora_dropout": 0.4, "max_grad_norm": 0.3, "neftune_noise_alpha": 0.3, "bnb_4bit_use_double_quant": 0.2,
    "bnb_4bit_quant_type": 0.1, "use_rslora": 0.1,
}
"""How far apart two runs are that differ in a thing: what changes most of the step weighs most."""
PER_DOUBLING = {
    "per_device_train_batch_size": 0.3, "max_length": 0.3, "lora_r": 0.2, "num_generations": 0.3, "num_processes": 0.2,
}
ANOTHER_MODEL, ANOTHER_TYPE, ANOTHER_CARD, OTHER_KERNELS, WITHOUT_CAPACITY = 0.6, 2.5, 0.2, 2.0, 0.3
ADAPTER_KEYS = {"lora_r", "lora_target_modules", "lora_dropout", "use_dora", "use_rslora"}
FOUR_BIT_KEYS = {"bnb_4bit_use_double_quant", "bnb_4bit_quant_type"}
SHAPE = ("model_type", "hidden_size", "num_hidden_layers", "num_key_value_heads", "intermediate_size", "vocab_size")
CANDIDATES = 3
"""So many of the nearest are tried, should the first have no estimate."""
Traits = Mapping[str, Any]


def receipt_of(run: Run, architecture: Architecture, capability: tuple[int, int]) -> dict[str, Any] | None:
    """The nearest measured run as the entry `receipt` of a record, in bytes and parts of one; None if there is none.

    Its error is that of this vramlint, estimated now: it cannot be out of date.
    """
    here = _traits(lambda key: getattr(run, key), architecture, run.stack)
    ranked = sorted(
        ((_distance(here, architecture, capability, there), index) for index, there in enumerate(measured_runs())),
    )
    for _, index in ranked[:CANDIDATES]:
        there = measured_runs()[index]
        made = _ESTIMATED.get(index)
        if made is None:
            made = _ESTIMATED[index] = estimate(_run_of(there), there.architecture, capability=there.capability)
        if isinstance(made, Estimate):
            return _entry(there, made, _differences(here, architecture, capability, there))
    return None


def _traits(value_of: Any, architecture: Architecture, stack: Mapping[str, str]) -> Traits:
    """What of a run is compared, words of the same meaning made one."""
    four, eight, adapted = value_of("load_in_4bit"), value_of("load_in_8bit"), value_of("use_peft")
    traits = {key: value_of(key) for key in (*WEIGHTS, *PER_DOUBLING) if key not in ("sharing", "method", "precision", "stack")}
    traits["sharing"] = _sharing(value_of("num_processes"), value_of("fsdp"), value_of("zero_stage"))
    traits["method"] = "4-bit LoRA" if four and adapted else "8-bit LoRA" if eight and adapted else "LoRA" if adapted else "full"
    traits["task"] = "the model's own" if traits["task"] in OWN_HEADS else traits["task"]
    traits["precision"] = "bf16" if value_of("bf16") else "fp16" if value_of("fp16") else "none"
    traits["dtype"] = architecture.dtype or "bfloat16" if traits["dtype"] == "auto" else traits["dtype"]
    traits["attn_implementation"] = traits["attn_implementation"] or "sdpa"
    traits["gradient_accumulation_steps"] = "more than 1" if traits["gradient_accumulation_steps"] > 1 else "1"
    traits["eval_strategy"] = "no" if traits["eval_strategy"] == "no" else "steps"
    traits["padding"] = bool(traits["padding"] and not traits["packing"])
    targets = traits["lora_target_modules"]
    traits["lora_target_modules"] = ", ".join(sorted(targets)) if isinstance(targets, (tuple, list)) else targets or "the default"
    traits["stack"] = _older(stack)
    if not adapted:
        traits |= dict.fromkeys(ADAPTER_KEYS)
    if not four:
        traits |= dict.fromkeys(FOUR_BIT_KEYS)
    return traits


def _sharing(cards: int, fsdp: str | None, stage: int) -> str:
    """How cards share the model."""
    return "FSDP" if fsdp else f"ZeRO {stage}" if stage else "DDP" if cards > 1 else "one card"


def _older(stack: Mapping[str, str]) -> str:
    """The versions that tell stacks apart: `transformers 4.48`, or current."""
    version = stack.get("transformers", "")
    return f"transformers {'.'.join(version.split('.')[:2])}" if version else "current"


def _of_measured(there: MeasuredRun) -> Traits:
    return _traits(
        lambda key: there.run.get(key, getattr(USUAL, key)), there.architecture, there.run.get("stack", {}),
    )


_KNOWN: dict[int, Traits] = {}
_ESTIMATED: dict[int, Estimate | NoEstimate] = {}
"""The traits and the estimates of measured runs, each made once in a process that estimates many files."""


def _traits_there(there: MeasuredRun) -> Traits:
    found = _KNOWN.get(id(there))
    if found is None:
        found = _KNOWN[id(there)] = _of_measured(there)
    return found


def _distance(here: Traits, architecture: Architecture, capability: tuple[int, int], measured: MeasuredRun) -> float:
    there = _traits_there(measured)
    far = sum(weight for key, weight in WEIGHTS.items() if here[key] != there[key])
    for key, weight in PER_DOUBLING.items():
        if here[key] != there[key]:
            far += weight * (abs(log2(here[key] / there[key])) if here[key] and there[key] else 1)
    other = measured.architecture
    if not _same_model(architecture, other):
        far += ANOTHER_MODEL + ANOTHER_TYPE * (architecture.model_type != other.model_type)
        far += 0.3 * abs(log2(_size(architecture) / _size(other)))
    if capability != measured.capability:
        far += ANOTHER_CARD + OTHER_KERNELS * ((capability >= (8, 0)) != (measured.capability >= (8, 0)))
    return far + WITHOUT_CAPACITY * (measured.required is None)


def _same_model(one: Architecture, other: Architecture) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in SHAPE)


def _size(a: Architecture) -> int:
    """About the number of parameters of a dense model, which is all that is asked here."""
    layer = a.hidden_size * (4 * a.hidden_size + 3 * a.intermediate_size)
    return max(1, a.num_hidden_layers * layer + a.vocab_size * a.hidden_size)


def _differences(
    here: Traits, architecture: Architecture, capability: tuple[int, int], measured: MeasuredRun,
) -> list[dict[str, Any]]:
    """What is other there, the weightiest first."""
    there = _traits_there(measured)
    found: list[dict[str, Any]] = []
    if not _same_model(architecture, measured.architecture):
        found.append({"key": "model", "here": architecture.model_type, "there": measured.model})
    keys = sorted((*WEIGHTS, *PER_DOUBLING), key=lambda key: -(WEIGHTS.get(key) or PER_DOUBLING.get(key, 0)))
    found += [{"key": key, "here": here[key], "there": there[key]} for key in keys if here[key] != there[key]]
    if capability != measured.capability:
        found.append({
            "key": "compute capability", "here": ".".join(map(str, capability)),
            "there": ".".join(map(str, measured.capability)),
        })
    return found


def _run_of(there: MeasuredRun) -> Run:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in there.run.items()}
    return Run(model_name_or_path=there.model, **values)


def _entry(there: MeasuredRun, made: Estimate, differs: list[dict[str, Any]]) -> dict[str, Any]:
    measured = {"allocated": there.allocated, "required": there.required}
    estimated = {"allocated": made.allocated.typical, "required": made.required.typical}
    return {
        "model": there.model, "trainer": there.run.get("trainer", USUAL.trainer), "differs": differs,
        "measured": measured, "estimated": estimated,
        "error": {
            figure: None if truth is None else round(estimated[figure] / truth - 1, 5) for figure, truth in measured.items()
        },
        "device": "the phantom GPU", "versions": there.versions, "tuned_on": not there.held_out,
    }
