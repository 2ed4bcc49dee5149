"""Optimizers, adapters and parts of a step against runs measured on the phantom GPU, and the reasons where there is no number."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.cases import architecture_of, run_of
from lab.compare import Compared, compare, rows
from vramlint.memory import Estimate, NoEstimate, estimate

NAMES = (
    "adamw_torch", "adamw_torch_fused", "adamw_torch_xla", "adamw_torch_npu_fused", "adafactor", "adamw_anyprecision",
    "adamw_torch_4bit", "adamw_torch_8bit", "ademamix", "sgd", "adagrad", "adamw_bnb_8bit", "adamw_8bit",
    "ademamix_8bit", "lion_8bit", "lion_32bit", "paged_adamw_32bit", "paged_adamw_8bit", "paged_ademamix_32bit",
    "paged_ademamix_8bit", "paged_lion_32bit", "paged_lion_8bit", "rmsprop", "rmsprop_bnb", "rmsprop_bnb_8bit",
    "rmsprop_bnb_32bit", "galore_adamw", "galore_adamw_8bit", "galore_adafactor", "galore_adamw_layerwise",
    "galore_adamw_8bit_layerwise", "galore_adafactor_layerwise", "lomo", "adalomo", "grokadamw", "schedule_free_radam",
    "schedule_free_adamw", "schedule_free_sgd", "apollo_adamw", "apollo_adamw_layerwise", "stable_adamw",
)
"""`OptimizerNames` of transformers 5.17 (training_args.py)."""
ELSEWHERE = {"adamw_torch_xla", "adamw_torch_npu_fused", "adamw_anyprecision", "galore_adafactor_layerwise"}


def small(**fields: object) -> NoEstimate | Estimate:
    """The estimate of a small full run with these fields."""
    case = {"arch": "smollm2-135m", "weights": "float32", "max_grad_norm": 0.0}
    run = replace(run_of(case), **{"optim_target_modules": ("attn", "mlp"), **fields})
    return estimate(run, architecture_of(case), capability=(8, 6))


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_of_transformers_has_a_number_or_a_reason(name: str) -> None:
    made = small(optim=name)
    assert isinstance(made, NoEstimate) is (name in ELSEWHERE)
    if isinstance(made, NoEstimate):
        assert name in made.why


def test_low_rank_optimizers_need_their_modules() -> None:
    made = small(optim="galore_adamw", optim_target_modules=None)
    assert isinstance(made, NoEstimate)
    assert made.keys == ("optim_target_modules",)


def test_gradients_used_up_in_the_backward_pass_do_not_add_up() -> None:
    case = {"arch": "tinyllama-1.1b", "weights": "float32"}
    lomo, sgd = (estimate(replace(run_of(case), optim=name), architecture_of(case)) for name in ("lomo", "sgd"))
    assert isinstance(lomo, Estimate)
    assert isinstance(sgd, Estimate)
    assert lomo.allocated.typical < 0.85 * sgd.allocated.typical


def of_file(name: str) -> list[Compared]:
    """The compared rows of one file of measured runs."""
    return [compare(row) for row in rows() if row.file == name]


@pytest.mark.parametrize(("file", "count"), [("optimizers", 140), ("adapters", 50), ("step", 45), ("mixtures", 50)])
def test_what_was_measured_is_met(file: str, count: int) -> None:
    sizes = sorted(abs(error) for one in of_file(file) if (error := one.error("allocated")) is not None)
    assert len(sizes) >= count
    assert sizes[len(sizes) // 2] < 0.003
    assert sizes[int(0.95 * len(sizes))] < 0.02
    assert sizes[-1] < 0.1


def test_a_compiled_model_gets_no_number_under_the_trainers() -> None:
    result = small(torch_compile=True)
    assert isinstance(result, NoEstimate)
    assert result.keys == ("torch_compile",)


def test_an_8_bit_base_keeps_its_inputs_beside_checkpoints_without_reentry() -> None:
    case = {"arch": "llama-3.2-1b", "method": "qlora", "bits": 8, "batch": 4, "seq": 1024}
    kept, dropped = (
        estimate(run_of({**case, "reentrant": again}), architecture_of(case), capability=(8, 6)) for again in (False, True)
    )
    assert isinstance(kept, Estimate)
    assert isinstance(dropped, Estimate)
    assert kept.allocated.typical > 1.2 * dropped.allocated.typical


def test_no_number_for_partly_frozen_models_and_other_adapters() -> None:
    assert isinstance(small(unfrozen_parameters=("lm_head",)), NoEstimate)
    made = small(use_peft=True, lora_target_modules=("q_proj",), peft_type="IA3")
    assert isinstance(made, NoEstimate)
    assert "IA3" in made.why
