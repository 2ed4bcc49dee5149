"""Mixtures of experts and further decoders against runs measured on the phantom GPU; what peft and bitsandbytes do to experts."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

from lab.case import architecture_fields, complete, held_out
from lab.cases import architecture_of, capability_of, run_of
from vramlint.dataclass import replace
from vramlint.memory import Estimate, NoEstimate, estimate

FOLDER = Path(__file__).parents[2] / "lab" / "data" / "measured"
EXPERTS = {
    "mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "granitemoe", "phimoe", "deepseek_v2", "deepseek_v3", "glm4_moe",
}
FURTHER = {
    "falcon", "nemotron", "cohere2", "gpt_bigcode", "ministral3", "ernie4_5", "exaone4", "hunyuan_v1_dense",
}


def rows(name: str) -> list[dict]:
    lines = (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if "error" not in row["measured"]]


def model_type(row: dict) -> str:
    return str(architecture_fields(complete(row))["model_type"])


def estimated(row: dict) -> Estimate:
    result = estimate(run_of(row), architecture_of(row), capability=capability_of(row), replay=False)
    assert isinstance(result, Estimate), row
    return result


@pytest.mark.parametrize(("name", "types"), [("experts", EXPERTS), ("further", FURTHER)])
def test_every_type_is_measured_in_each_method(name: str, types: set[str]) -> None:
    found = {(model_type(row), complete(row)["method"]) for row in rows(name)}
    assert found == {(each, method) for each in types for method in ("full", "lora", "qlora")}


@pytest.mark.parametrize("name", ["experts", "further"])
def test_as_many_parameters_are_trained_as_in_the_real_model(name: str) -> None:
    for row in rows(name):
        result, case = estimated(row), complete(row)
        assert result.trainable_parameters == row["measured"]["trainable"], row
        if case["method"] != "qlora" and not (case["trainer"] == "dpo" and case["method"] == "full"):
            assert result.total_parameters == row["measured"]["stored_elements"], row


def test_what_is_allocated_with_experts_is_right_within_two_percent() -> None:
    errors = {
        json.dumps(row): abs(estimated(row).allocated.typical / row["measured"]["peak_allocated"] - 1) for row in rows("experts")
    }
    assert statistics.median(errors.values()) < 0.005
    assert max(errors.values()) < 0.02, max(errors, key=lambda key: errors[key])
    assert sum(held_out(row) for row in rows("experts")) > 30


def test_what_further_decoders_allocate_is_right_within_three_percent() -> None:
    errors = [abs(estimated(row).allocated.typical / row["measured"]["peak_allocated"] - 1) for row in rows("further")]
    assert statistics.median(errors) < 0.01
    assert max(errors) < 0.03


def a_row(kind: str, method: str, **wanted: object) -> dict:
    return next(
        row for row in rows("experts")
        if model_type(row) == kind and complete(row)["method"] == method and wanted.items() <= complete(row).items()
    )


def test_four_bits_leave_experts_as_large_as_they_were() -> None:
    row = a_row("qwen3_moe", "qlora", kbit_prepare=False)
    a = architecture_of(row)
    experts = a.num_hidden_layers * a.num_experts * 3 * a.moe_intermediate_size * a.hidden_size
    assert estimated(row).peak.parts.weights > 2 * experts


@pytest.mark.parametrize(("targets", "key"), [
    (("q_proj", "gate_proj"), "lora_target_modules"),  # half of a fused parameter
    (("nothing",), "lora_target_modules"),
])
def test_targets_that_peft_refuses_give_no_number(targets: tuple[str, ...], key: str) -> None:
    row = a_row("qwen3_moe", "lora")
    refused = estimate(replace(run_of(row), lora_target_modules=targets), architecture_of(row))
    assert isinstance(refused, NoEstimate)
    assert key in refused.keys


def test_dropout_cannot_be_had_with_lora_on_experts() -> None:
    row = a_row("qwen3_moe", "lora", lora_targets="all-linear")
    refused = estimate(replace(run_of(row), lora_dropout=0.1), architecture_of(row))
    assert isinstance(refused, NoEstimate)
    assert refused.keys == ("lora_dropout",)
    on_attention = replace(run_of(row), lora_dropout=0.1, lora_target_modules=("q_proj",))
    assert isinstance(estimate(on_attention, architecture_of(row)), Estimate)


def test_runs_that_end_in_an_error_have_no_number() -> None:
    lines = (FOLDER / "experts.jsonl").read_text(encoding="utf-8").splitlines()
    failed = [row for row in map(json.loads, lines) if row["measured"].get("error") == "AttributeError"]
    assert len(failed) > 10
    for row in failed:
        refused = estimate(run_of(row), architecture_of(row), capability=(8, 0), replay=False)
        assert isinstance(refused, NoEstimate), row


def test_experts_before_transformers_5_give_no_number() -> None:
    row = a_row("mixtral", "full")
    assert isinstance(estimate(replace(run_of(row), stack={"transformers": "4.57.1"}), architecture_of(row)), NoEstimate)
