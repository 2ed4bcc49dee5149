"""gpt_oss, qwen3_5, LoRA on the output layer and torchtune's gemma2 against runs measured on the phantom GPU."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from lab.case import architecture_fields, complete, held_out
from lab.cases import architecture_of, capability_of, run_of
from vramlint.dataclass import replace
from vramlint.memory import Estimate, NoEstimate, estimate
from vramlint.memory.delta_shape import stretches

MEASURED = Path(__file__).parents[2] / "lab" / "data" / "measured" / "newer.jsonl"
ROWS = [json.loads(line) for line in MEASURED.read_text(encoding="utf-8").splitlines()]


def model_type(row: dict) -> str:
    return str(architecture_fields(complete(row))["model_type"])


def on_the_head(row: dict) -> bool:
    return "lm_head" in complete(row)["lora_targets"]


def estimated(row: dict, **changes: object) -> Estimate | NoEstimate:
    return estimate(replace(run_of(row), **changes), architecture_of(row), capability=capability_of(row))


GROUPS = {
    "gpt_oss": [row for row in ROWS if model_type(row) == "gpt_oss"],
    "qwen3_5": [row for row in ROWS if model_type(row) == "qwen3_5_text"],
    "qwen3_5_moe": [row for row in ROWS if model_type(row) == "qwen3_5_moe_text"],
    "glm4_moe_lite": [row for row in ROWS if model_type(row) == "glm4_moe_lite"],
    "ernie4_5_moe": [row for row in ROWS if model_type(row) == "ernie4_5_moe"],
    "the head under transformers": [row for row in ROWS if on_the_head(row) and not complete(row)["framework"]],
    "the head under torchtune": [row for row in ROWS if on_the_head(row) and complete(row)["framework"] == "torchtune"],
    "the head under LitGPT": [row for row in ROWS if on_the_head(row) and complete(row)["framework"] == "litgpt"],
    "gemma2 under torchtune": [row for row in ROWS if model_type(row) == "gemma2" and complete(row)["framework"]],
}


@pytest.mark.parametrize("name", GROUPS)
def test_what_is_allocated_is_right_within_a_percent_at_the_median(name: str) -> None:
    errors = []
    for row in GROUPS[name]:
        result = estimated(row)
        assert isinstance(result, Estimate), row
        errors.append(abs(result.allocated.typical / row["measured"]["peak_allocated"] - 1))
    assert len(errors) >= 6
    assert statistics.median(errors) < 0.01
    assert max(errors) < 0.03


@pytest.mark.parametrize("name", GROUPS)
def test_as_many_parameters_are_trained_as_in_the_real_model(name: str) -> None:
    for row in GROUPS[name]:
        if complete(row)["framework"] == "litgpt" and complete(row)["method"] == "qlora":
            continue  # Fabric's embedding counts as trained there, and no optimizer has it
        result = estimated(row)
        assert isinstance(result, Estimate)
        assert result.trainable_parameters == row["measured"]["trainable"], row


def test_some_of_them_nobody_tuned_on() -> None:
    assert sum(map(held_out, ROWS)) > 10


def test_gpt_oss_has_no_sdpa_attention() -> None:
    refused = estimated(GROUPS["gpt_oss"][0], attn_implementation="sdpa")
    assert isinstance(refused, NoEstimate)
    assert refused.keys == ("attn_implementation",)


def test_a_fused_loss_with_lora_on_the_head_has_no_number() -> None:
    row = next(row for row in GROUPS["the head under transformers"] if model_type(row) == "llama")
    refused = estimated(row, use_liger_kernel=True)
    assert isinstance(refused, NoEstimate)
    assert refused.keys == ("lora_target_modules",)


def test_layers_of_two_kinds_stay_in_their_places_at_both_ends() -> None:
    kinds = (*["linear_attention"] * 3, "full_attention") * 8
    assert stretches(kinds) == [
        ("linear_attention", 3), ("full_attention", 1), ("linear_attention", 21), ("full_attention", 7),
    ]
    assert stretches(("full_attention",) * 4) == [("full_attention", 4)]
    assert sum(count for _, count in stretches(kinds[:30])) == 30


def test_a_gated_delta_net_says_that_no_kernels_are_assumed() -> None:
    result = estimated(GROUPS["qwen3_5"][0])
    assert isinstance(result, Estimate)
    assert "kernels" in {assumption.key for assumption in result.assumptions}


def test_nemo_automodel_has_a_class_of_its_own_for_it() -> None:
    """`nemo_automodel.components.models.qwen3_5`, which is not what transformers runs."""
    assert isinstance(estimated(GROUPS["qwen3_5"][0], trainer="nemo-automodel"), NoEstimate)


def test_layers_of_two_kinds_are_not_shared_out_yet() -> None:
    refused = estimated(GROUPS["qwen3_5"][0], num_processes=4, fsdp="full_shard auto_wrap", fsdp_version=2)
    assert isinstance(refused, NoEstimate)
    assert refused.keys == ("model_name_or_path",)
