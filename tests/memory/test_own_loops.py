"""Frameworks with a loop of their own, against runs of theirs on the phantom GPU; and what of them gives no number."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from types import MappingProxyType

import pytest

from lab.cases import architecture_of, capability_of, on_small_card, run_of
from vramlint.catalog import Architecture, architecture_from_config
from vramlint.dataclass import replace
from vramlint.memory import Estimate, NoEstimate, estimate
from vramlint.memory.own_loops import OWN_LOOPS
from vramlint.run import Run

MEASURED = Path(__file__).parents[2] / "lab/data/measured"
ROWS = [
    json.loads(line)
    for name in ("frameworks.jsonl", "unsloth.jsonl") for line in (MEASURED / name).read_text(encoding="utf-8").splitlines()
]
LLAMA = architecture_from_config({
    "model_type": "llama", "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 8, "num_attention_heads": 16,
    "num_key_value_heads": 4, "vocab_size": 32000, "max_position_embeddings": 8192,
})


def run(**keys: object) -> Run:
    base = Run(trainer="torchtune", dtype="bfloat16", max_length=1024, per_device_train_batch_size=2, optim="adamw_torch")
    return replace(base, **keys)


def number(made: Run, a: Architecture = LLAMA) -> Estimate:
    result = estimate(made, a)
    assert isinstance(result, Estimate), result
    return result


@pytest.mark.parametrize("name", sorted(OWN_LOOPS))
def test_half_of_its_measured_runs_are_met_within_three_percent_and_nearly_all_within_ten(name: str) -> None:
    found = []
    for row in ROWS:
        if row["framework"].replace("_", "-") == name and "error" not in row["measured"]:
            small = on_small_card(row)
            result = estimate(run_of(row), architecture_of(row), capability=capability_of(row), small_card=small)
            assert isinstance(result, Estimate), (row, result)
            truth = row["measured"]["peak_allocated"]
            found.append(abs(result.allocated.typical - truth) / truth)
    assert len(found) >= 20
    assert statistics.median(found) < 0.03
    assert sorted(found)[int(0.95 * len(found))] < 0.1


@pytest.mark.parametrize(("keys", "key"), [
    ({"torch_compile": True}, "torch_compile"),
    ({"packing": True}, "packing"),
    ({"loss_type": "sigmoid"}, "loss_type"),
    ({"use_peft": True, "use_dora": True, "lora_target_modules": ("q_proj",)}, "use_dora"),
])
def test_what_is_not_simulated_gives_no_number_and_names_the_key(keys: dict[str, object], key: str) -> None:
    result = estimate(run(**keys), LLAMA)
    assert isinstance(result, NoEstimate)
    assert result.keys == (key,)


def test_an_optimizer_in_the_backward_pass_leaves_no_gradients_and_needs_single_steps() -> None:
    """recipes/full_finetune_single_device.py of torchtune: it and gradient accumulation exclude each other."""
    fused = run(optim="adamw_torch_fused", gradient_checkpointing=True, max_length=64, per_device_train_batch_size=1)
    within = number(replace(fused, optimizer_in_backward=True))
    assert within.peak.parts.optimizer == number(fused).peak.parts.optimizer
    gradients = 2 * number(fused).trainable_parameters
    embeddings = 2 * 2 * LLAMA.vocab_size * LLAMA.hidden_size  # the head's is added up from two parts of it
    assert number(fused).allocated.typical - within.allocated.typical > gradients - 2 * embeddings
    refused = estimate(replace(fused, optimizer_in_backward=True, gradient_accumulation_steps=4), LLAMA)
    assert isinstance(refused, NoEstimate)
    assert refused.keys == ("gradient_accumulation_steps",)


def test_nanogpt_is_simulated_compiled_in_bfloat16_alone() -> None:
    compiled = [row for row in ROWS if row["framework"] == "nanogpt" and (row.get("options") or {}).get("compile")]
    assert len(compiled) >= 5
    for row in compiled:
        made, a = run_of(row), architecture_of(row)
        whole = number(made, a)
        assert whole.allocated.low <= row["measured"]["peak_allocated"] <= whole.allocated.high
        assert whole.allocated.typical < number(replace(made, torch_compile=False), a).allocated.typical
        refused = estimate(replace(made, bf16=False), a)
        assert isinstance(refused, NoEstimate)
        assert refused.keys == ("torch_compile",)


NEMO: dict[str, object] = {"trainer": "nemo-automodel", "optim": "adam", "padding": False}


def test_nemo_automodel_s_own_classes_checkpoint_each_part_of_a_layer() -> None:
    """activation_checkpointing.py, apply_submodule_checkpointing: of a layer four tensors stay, of transformers' classes one."""
    keys = {**NEMO, "gradient_checkpointing": True, "use_peft": True, "lora_r": 1, "lora_target_modules": ("q_proj",)}
    one = 2 * 1024 * LLAMA.hidden_size * 2

    def kept_by_a_layer(a: Architecture) -> float:
        few, many = (number(run(**keys), replace(a, num_hidden_layers=count)) for count in (8, 16))
        grown = many.allocated.typical - few.allocated.typical - (many.peak.parts.weights - few.peak.parts.weights)
        return grown / 8 / one

    assert 3.95 < kept_by_a_layer(LLAMA) < 4.2
    assert 0.95 < kept_by_a_layer(replace(LLAMA, model_type="mistral")) < 1.2


def test_nemo_automodel_sums_up_the_largest_gradient_in_float64() -> None:
    """components/training/utils.py, _clip_grad_norm_impl: the scaled gradient, its squares, and those in eight bytes each."""
    short = {**NEMO, "max_length": 32, "per_device_train_batch_size": 1}
    clipped, unclipped = number(run(**short)), number(run(**short, max_grad_norm=0.0))
    assert clipped.peak.phase == "gradient clipping, step 2"
    wanted = 2 * 8_519_680 + (2 + 2 + 8) * LLAMA.vocab_size * LLAMA.hidden_size
    assert 0 <= clipped.peak.parts.workspace - wanted < 0.01 * clipped.allocated.typical  # rests of blocks besides
    assert unclipped.allocated.typical < clipped.allocated.typical


def test_nemo_automodel_tells_its_models_of_padded_rows() -> None:
    assert number(run(**{**NEMO, "padding": True})).allocated.typical > number(run(**NEMO)).allocated.typical


def test_nemo_automodel_quantises_the_head_too_and_cannot_where_it_is_the_embedding_s() -> None:
    """components/quantization/qlora.py leaves no module out; bitsandbytes asserts that a tied head is packed, and it is not."""
    lora = {**NEMO, "use_peft": True, "lora_r": 8, "lora_target_modules": ("*_proj",)}
    loaded, packed = number(run(**lora)), number(run(**lora, load_in_4bit=True))
    in_layers = LLAMA.num_hidden_layers * LLAMA.hidden_size * (2 * 1024 + 2 * 256 + 3 * LLAMA.intermediate_size)
    head = LLAMA.vocab_size * LLAMA.hidden_size
    saved = loaded.peak.parts.weights - packed.peak.parts.weights
    assert abs(saved - (in_layers + head) * (2 - 0.5 - 4 / 64)) < 0.01 * saved
    refused = estimate(run(**lora, load_in_4bit=True), replace(LLAMA, tie_word_embeddings=True))
    assert isinstance(refused, NoEstimate)
    assert "ends in an error" in refused.why


def test_nemo_automodel_on_several_cards_keeps_parts_in_the_dtype_that_was_loaded() -> None:
    """FSDP2Config: computed in bf16, reduced in fp32; of parameters, gradients and two states a card has its share each."""
    one, four = number(run(**NEMO)), number(run(**NEMO, num_processes=4))
    assert abs(four.peak.parts.optimizer - one.peak.parts.optimizer / 4) < 0.01 * one.peak.parts.optimizer
    assert four.allocated.typical < one.allocated.typical
    wide = number(run(**{**NEMO, "dtype": "float32"}, num_processes=4))
    assert abs(wide.peak.parts.optimizer - 2 * four.peak.parts.optimizer) < 0.01 * one.peak.parts.optimizer


def test_a_model_that_torchtune_has_not_gives_no_number() -> None:
    olmo = replace(LLAMA, model_type="olmo2", extra=MappingProxyType({}))
    assert isinstance(estimate(run(), olmo), NoEstimate)


def test_llama_before_3_1_under_lora_keeps_a_table_of_positions_in_every_layer() -> None:
    """modules/peft of torchtune: lora_llama3_self_attention makes its own rope; lora_llama3_1 hands one to all layers."""
    lora = {"use_peft": True, "lora_r": 8, "lora_target_modules": ("q_proj", "v_proj")}
    table = 4 * 8192 * LLAMA.head_dim
    short = number(run(**lora)).peak.parts.weights
    longer = number(run(**lora), replace(LLAMA, max_position_embeddings=16384)).peak.parts.weights
    once = number(run(**lora), replace(LLAMA, max_position_embeddings=131072)).peak.parts.weights
    assert longer - short == LLAMA.num_hidden_layers * table
    assert once - short == (131072 // 8192 - LLAMA.num_hidden_layers) * table
