"""A case's trainer with its data: transformers' Trainer or one of TRL's, set as the case says."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

import datasets
import transformers

from lab import sharding
from lab.loading import build, head_of

MASKED_AT_END = 8
"""Tokens of padding in a padded row."""


def arguments(case: Mapping[str, Any], cls: type, **more: Any) -> Any:
    """The training arguments of the case, for transformers' class or one that extends it."""
    optional = {
        "optim_args": case["optim_args"],
        "optim_target_modules": case["optim_targets"],
        "liger_kernel_config": case["liger_parts"],
        "torch_empty_cache_steps": case["empty_cache_steps"],
        "neftune_noise_alpha": case["neftune"],
    }
    if case["eval_batch"]:
        optional |= {
            "eval_strategy": "steps",
            "eval_steps": 1,
            "per_device_eval_batch_size": case["eval_batch"],
            "eval_accumulation_steps": case["eval_accumulation"],
            "prediction_loss_only": case["loss_only"],
        }
    if case["trainer"] == "hf" or case["trainer"] == "sft":
        optional["label_smoothing_factor"] = case["label_smoothing"] or None
    if sharding.is_launched(case):
        optional |= sharding.arguments(case)
    given = {key: value for key, value in optional.items() if value is not None}
    return cls(
        output_dir=os.path.join(tempfile.gettempdir(), "measure-out"),
        per_device_train_batch_size=case["batch"],
        gradient_accumulation_steps=case["grad_accum"],
        max_steps=case["steps"],
        bf16=case["amp"] == "bf16",
        fp16=case["amp"] == "fp16",
        gradient_checkpointing=case["checkpointing"],
        gradient_checkpointing_kwargs={"use_reentrant": case["reentrant"]},
        optim=case["optim"],
        use_liger_kernel=case["liger"],
        max_grad_norm=case["max_grad_norm"],
        report_to=[],
        save_strategy="no",
        logging_steps=1 if case["stack"] == "2026-11" else 1000,  # TRL 0.13 cannot log under numpy 2
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **given,
        **more,
    )


def tokenizer() -> Any:
    """A tokenizer of 100 words, made on the spot."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"<pad>": 0, "<eos>": 1, **{f"w{i}": i + 2 for i in range(100)}}
    plain = Tokenizer(models.WordLevel(words, unk_token="<pad>"))  # noqa: S106 — a token of text
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", eos_token="<eos>")  # noqa: S106


def lengths(case: Mapping[str, Any], count: int) -> list[int]:
    """Tokens of each row: all full, or in padded cases every second row shorter."""
    return [case["seq"] - (MASKED_AT_END if case["padded"] and i % 2 else 0) for i in range(count)]


def plain_rows(case: Mapping[str, Any], count: int) -> list[dict[str, Any]]:
    """Rows for transformers' Trainer."""
    length, head = case["seq"], head_of(case)
    targets = (case["target"] or length) if head == "seq2seq-lm" else length
    row: dict[str, Any] = {"input_ids": [1] * length, "labels": 1 if head == "seq-cls" else [1] * targets}
    if case["padded"]:
        row["attention_mask"] = [1] * (length - MASKED_AT_END) + [0] * MASKED_AT_END
    return [row] * count


def make_trainer(model: Any, case: Mapping[str, Any]) -> Any:
    """The trainer, its data sets and, where it has one, its reference model."""
    count = case["batch"] * case["grad_accum"] * case["steps"] * case["processes"]  # each card takes its share
    if case["trainer"] == "hf":
        evaluation = plain_rows(case, case["eval_rows"]) if case["eval_batch"] else None
        return transformers.Trainer(
            model=model,
            args=arguments(case, transformers.TrainingArguments),
            train_dataset=plain_rows(case, count),
            eval_dataset=evaluation,
        )
    return {"sft": sft, "dpo": dpo, "reward": reward, "kto": kto, "grpo": grpo}[case["trainer"]](model, case, count)


def named(case: Mapping[str, Any], **keys: str) -> dict[str, Any]:
    """Arguments for the case's fields that are set, under the trainer's names; older versions lack some."""
    return {theirs: case[ours] for theirs, ours in keys.items() if case[ours] is not None and case[ours] is not False}


def data(case: Mapping[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Training rows, and the first of them again for evaluation."""
    evaluation = (
        datasets.Dataset.from_list((rows * case["eval_rows"])[: case["eval_rows"]]) if case["eval_batch"] else None
    )
    return {"train_dataset": datasets.Dataset.from_list(rows), "eval_dataset": evaluation}


def sft(model: Any, case: Mapping[str, Any], count: int) -> Any:
    """Supervised fine-tuning; packed cases get two examples to a row."""
    from trl import SFTConfig, SFTTrainer

    more = named(
        case, loss_type="loss_type", packing="packing", padding_free="padding_free", activation_offloading="offload"
    )
    length = "max_length" if "max_length" in SFTConfig.__dataclass_fields__ else "max_seq_length"  # before TRL 0.20
    # TRL refuses a length that nothing enforces
    more[length] = None if case["padding_free"] and not case["packing"] else case["seq"]
    if case["packing"]:
        rows = [{"input_ids": [5] * (case["seq"] // 2)}] * (2 * count)
    else:
        rows = [{"input_ids": [5] * length} for length in lengths(case, count)]
    return SFTTrainer(
        model=model, args=arguments(case, SFTConfig, **more), processing_class=tokenizer(), **data(case, rows)
    )


def dpo(model: Any, case: Mapping[str, Any], count: int) -> Any:
    """Direct preference optimisation; half of each row is prompt."""
    from trl import DPOConfig, DPOTrainer

    more = named(
        case,
        precompute_ref_log_probs="precompute_ref",
        beta="beta",
        padding_free="padding_free",
        activation_offloading="offload",
    )
    half = case["seq"] // 2
    rows = [
        {"prompt": "w1 " * half, "chosen": "w2 " * (length - half - 1), "rejected": "w3 " * (length - half - 1)}
        for length in lengths(case, count)
    ]
    reference = build(case) if case["method"] == "full" and case["reference"] else None  # an adapter is switched off
    return DPOTrainer(
        model=model,
        ref_model=reference,
        args=arguments(case, DPOConfig, max_length=case["seq"], **more),
        processing_class=tokenizer(),
        **data(case, rows),
    )


def kto(model: Any, case: Mapping[str, Any], count: int) -> Any:
    """Kahneman-Tversky optimisation; half of each row is prompt."""
    from trl import KTOConfig, KTOTrainer

    more = named(
        case,
        precompute_ref_log_probs="precompute_ref",
        beta="beta",
        activation_offloading="offload",
        loss_type="loss_type",
    )
    half = case["seq"] // 2
    rows = [
        {"prompt": "w1 " * half, "completion": "w2 " * (length - half - 1), "label": i % 2 == 0}
        for i, length in enumerate(lengths(case, count))
    ]
    reference = build(case) if case["method"] == "full" and case["reference"] else None
    return KTOTrainer(
        model=model,
        ref_model=reference,
        args=arguments(case, KTOConfig, max_length=case["seq"], **more),
        processing_class=tokenizer(),
        **data(case, rows),
    )


def reward(model: Any, case: Mapping[str, Any], count: int) -> Any:
    """Reward modelling on a sequence classifier with one label."""
    from trl import RewardConfig, RewardTrainer

    more = named(case, activation_offloading="offload")
    rows: list[dict[str, Any]] = [
        {"chosen_ids": [5] * length, "rejected_ids": [6] * length} for length in lengths(case, count)
    ]
    if case["stack"] != "2026-11":  # TRL before 0.20 has other columns
        rows = [
            {f"{column}_{side}": [1] * len(row["chosen_ids"])
             for column in ("input_ids", "attention_mask") for side in ("chosen", "rejected")}
            for row in rows
        ]
    return RewardTrainer(
        model=model,
        args=arguments(case, RewardConfig, max_length=case["seq"], **more),
        processing_class=tokenizer(),
        **data(case, rows),
    )


def grpo(model: Any, case: Mapping[str, Any], count: int) -> Any:
    """Group relative policy optimisation, generating with transformers."""
    from trl import GRPOConfig, GRPOTrainer

    more = named(
        case,
        beta="beta",
        num_generations="num_generations",
        max_completion_length="completion",
        num_iterations="num_iterations",
        steps_per_generation="steps_per_generation",
        loss_type="loss_type",
    )
    rows = [{"prompt": "w1 " * (case["seq"] - case["completion"])}] * count
    return GRPOTrainer(
        model=model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=arguments(case, GRPOConfig, **more),
        processing_class=tokenizer(),
        **data(case, rows),
    )
