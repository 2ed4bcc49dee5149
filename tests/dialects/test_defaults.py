"""Defaults are those of the class that the trainer uses; expected values are read off the packages' own sources.

transformers 5.17.0 training_args.py, quantization_config.py; TRL 1.16.0 trainer/*_config.py; peft 0.21.2.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised

Recognise = Callable[..., Recognised]
FLAT = "model_name_or_path: a/b\nper_device_train_batch_size: 2\nmax_length: 128\n"


@pytest.mark.parametrize(("trainer", "expected"), [
    ("transformers", {
        "gradient_checkpointing": False, "bf16": False, "learning_rate": 5e-5, "dtype": "auto", "use_reentrant": None,
        "loss_type": None, "beta": None, "optim": "adamw_torch_fused", "per_device_eval_batch_size": 8, "padding": True,
        "reference_model": None, "max_grad_norm": 1.0,
    }),
    ("trl-sft", {
        "gradient_checkpointing": True, "bf16": True, "learning_rate": 2e-5, "dtype": "float32", "use_reentrant": False,
        "loss_type": "chunked_nll", "packing": False, "beta": None, "padding": True,
    }),
    ("trl-dpo", {
        "gradient_checkpointing": True, "bf16": True, "learning_rate": 1e-6, "loss_type": "sigmoid", "beta": 0.1,
        "reference_model": True, "dtype": "float32",
    }),
    ("trl-kto", {"learning_rate": 1e-6, "loss_type": "kto", "beta": 0.1, "reference_model": True}),
    ("trl-reward", {"learning_rate": 1e-4, "beta": None, "reference_model": None}),
    ("trl-grpo", {
        "learning_rate": 1e-6, "beta": 0.0, "num_generations": 8, "max_completion_length": 512,
        "reference_model": False, "use_vllm": False, "vllm_mode": "colocate", "vllm_gpu_memory_utilization": 0.3,
    }),
    ("trl-rloo", {"beta": 0.05, "num_generations": 2, "reference_model": True}),
])
def test_each_trainer_has_its_own(recognised: Recognise, trainer: str, expected: dict[str, object]) -> None:
    (run,) = recognised(FLAT + f"trainer: {trainer}\n").runs
    assert {key: getattr(run, key) for key in expected} == expected
    assert run.trainer == trainer


@pytest.mark.parametrize("trainer", ["trl-sft", "trl-dpo", "trl-reward", "trl-kto"])
def test_trl_cuts_at_1024_tokens(recognised: Recognise, trainer: str) -> None:
    found = recognised(f"model_name_or_path: a/b\nlearning_rate: 1.0e-5\ntrainer: {trainer}\n")
    assert found.runs[0].max_length == 1024
    assert found.origins["max_length"].kind == "default"


def test_trl_command_line_has_its_own_adapters(recognised: Recognise) -> None:
    (run,) = recognised(FLAT + "trainer: trl-sft\nuse_peft: true\nload_in_4bit: true\ndtype: bfloat16\n").runs
    assert (run.lora_r, run.lora_alpha, run.lora_dropout) == (16, 32, 0.05)
    assert (run.bnb_4bit_quant_type, run.bnb_4bit_compute_dtype) == ("nf4", "bfloat16")
    assert (run.prepare_model_for_kbit_training, run.autocast_adapter_dtype) == (False, False)


def test_a_script_has_those_of_peft(recognised: Recognise) -> None:
    text = FLAT + "trainer: transformers\nlora_r: 4\nload_in_4bit: true\nprepare_model_for_kbit_training: false\n"
    (run,) = recognised(text).runs
    assert (run.use_peft, run.lora_r, run.lora_alpha, run.lora_dropout) == (True, 4, 8, 0.0)
    assert (run.bnb_4bit_quant_type, run.bnb_4bit_compute_dtype, run.autocast_adapter_dtype) == ("fp4", "float32", True)


def test_trl_ignores_adapter_keys_without_use_peft(recognised: Recognise) -> None:
    found = recognised(FLAT + "trainer: trl-sft\nlora_r: 64\n")
    assert not found.runs[0].use_peft
    assert "use_peft" in found.notes[0]


def test_bf16_of_trl_yields_to_fp16(recognised: Recognise) -> None:
    (run,) = recognised(FLAT + "trainer: trl-sft\nfp16: true\n").runs
    assert (run.bf16, run.fp16) == (False, True)


def test_packing_takes_padding_away(recognised: Recognise) -> None:
    (run,) = recognised(FLAT + "packing: true\n").runs
    assert (run.trainer, run.packing, run.padding_free, run.padding) == ("trl-sft", True, True, False)
    (wrapped,) = recognised(FLAT + "packing: true\npacking_strategy: wrapped\n").runs
    assert (wrapped.padding_free, wrapped.padding) == (False, False)


@pytest.mark.parametrize(("lines", "held"), [
    ("", True), ("use_peft: true\n", False), ("precompute_ref_log_probs: true\n", False),
])
def test_when_dpo_holds_a_reference(recognised: Recognise, lines: str, held: bool) -> None:
    assert recognised(FLAT + "trainer: trl-dpo\n" + lines).runs[0].reference_model is held


def test_label_smoothing_needs_all_logits(recognised: Recognise) -> None:
    assert recognised(FLAT + "trainer: trl-sft\nlabel_smoothing_factor: 0.1\n").runs[0].loss_type == "nll"
    assert recognised(FLAT + "trainer: trl-sft\nloss_type: nll\n").runs[0].loss_type == "chunked_nll"


@pytest.mark.parametrize(("stack", "key", "value"), [
    ({"trl": "0.20"}, "gradient_checkpointing", False),
    ({"trl": "0.24"}, "gradient_checkpointing", True),
    ({"trl": "0.18"}, "bf16", False),
    ({"trl": "0.24"}, "dtype", "auto"),
    ({"trl": "1.5"}, "loss_type", "nll"),
    ({"torch": "2.7.1"}, "optim", "adamw_torch"),
    ({"torch": "2.8"}, "optim", "adamw_torch_fused"),
])
def test_older_versions_had_others(recognised: Recognise, stack: dict[str, str], key: str, value: object) -> None:
    (run,) = recognised(FLAT + "trainer: trl-sft\n", stack=stack).runs
    assert getattr(run, key) == value
    assert run.stack == stack


def test_older_transformers_checkpoint_reentrantly(recognised: Recognise) -> None:
    text = FLAT + "trainer: transformers\ngradient_checkpointing: true\n"
    assert recognised(text).runs[0].use_reentrant is False
    assert recognised(text, stack={"transformers": "4.57.1"}).runs[0].use_reentrant is True
