"""LitGPT's own figures from an A10G, of configs that it ships: bf16-true, LoRA on queries and values, or everything trained."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from vramlint.catalog import FoundModel, find_model
from vramlint.memory import Estimate, estimate
from vramlint.run import Run

ROOT = Path(__file__).parents[2]
A10G = (8, 6)


def rows() -> list[dict[str, str]]:
    with (ROOT / "lab/data/published_litgpt.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["id"])
def test_what_litgpt_printed_is_met_within_three_percent(row: dict[str, str]) -> None:
    """`torch.cuda.max_memory_allocated()` in GB, to two places; its batches are padded to at most 512 tokens."""
    found = find_model(row["model"], base_directory=ROOT)
    assert isinstance(found, FoundModel)
    adapts = row["method"] == "lora"
    made = Run(
        trainer="litgpt", dtype="bfloat16", use_peft=adapts, lora_r=int(row["lora_r"] or 8), lora_dropout=0.05,
        lora_target_modules=("q_proj", "v_proj") if adapts else None, max_length=int(row["seq"]), optim="adamw_torch",
        per_device_train_batch_size=int(row["batch"]), gradient_accumulation_steps=int(row["gradient_accumulation"]),
    )
    result = estimate(made, found.architecture, capability=A10G)
    assert isinstance(result, Estimate)
    assert result.allocated.typical / 1e9 == pytest.approx(float(row["allocated_gb"]), rel=0.03)
