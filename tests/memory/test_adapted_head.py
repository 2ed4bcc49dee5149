"""LoRA on the output layer: what it adds, and where it is refused."""

from __future__ import annotations

import pytest

from vramlint.catalog import Architecture
from vramlint.memory import Estimate, NoEstimate, estimate
from vramlint.run import Run

A = Architecture(
    model_type="llama", hidden_size=1024, intermediate_size=2816, num_hidden_layers=4, num_attention_heads=8,
    num_key_value_heads=4, vocab_size=32000, head_dim=128, hidden_act="silu", tie_word_embeddings=False,
    max_position_embeddings=4096,
)
BESIDE = 16 * (1024 + 32000)
"""LoRA's two matrices of rank 16 beside a head of 32000 × 1024."""


def run(**changes: object) -> Run:
    return Run(**({
        "max_length": 512, "dtype": "bfloat16", "bf16": True, "gradient_checkpointing": True, "per_device_train_batch_size": 4,
        "use_peft": True, "lora_r": 16, "lora_target_modules": ("q_proj", "lm_head"), "padding": False,
    } | changes))  # type: ignore[arg-type]  # keys of Run


def made(**changes: object) -> Estimate:
    result = estimate(run(**changes), A, capability=(8, 0))
    assert isinstance(result, Estimate), result
    return result


@pytest.mark.parametrize("trainer", ["transformers", "torchtune", "litgpt"])
def test_its_matrices_are_trained(trainer: str) -> None:
    own = {"bf16": trainer == "transformers", "trainer": trainer}
    beside, without = made(**own), made(lora_target_modules=("q_proj",), **own)
    assert beside.trainable_parameters - without.trainable_parameters == BESIDE
    assert beside.allocated.typical > without.allocated.typical


def test_a_head_alone_is_enough_to_train() -> None:
    assert made(lora_target_modules=("lm_head",)).trainable_parameters == BESIDE


def test_all_linear_layers_are_those_but_the_head() -> None:
    assert made(lora_target_modules="all-linear").narrowest_adapted == 512  # the keys and values, of four heads


@pytest.mark.parametrize(("changes", "why"), [
    ({"trainer": "trl-sft"}, "the run ends in an error"),
    ({"use_liger_kernel": True}, "Liger's fused loss"),
    ({"use_dora": True}, "DoRA"),
    ({"eval_strategy": "steps"}, "evaluation"),
    ({"lora_target_modules": ("q_proj", "embed_tokens")}, "the embedding"),
])
def test_where_it_is_refused(changes: dict[str, object], why: str) -> None:
    result = estimate(run(**changes), A, capability=(8, 0))
    assert isinstance(result, NoEstimate)
    assert why in result.why
    assert result.keys == ("lora_target_modules",)
