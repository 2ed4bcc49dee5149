"""Oumi: a whole file, defaults read off its source (d8ed0777), and writing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
QLORA = """\
    model:
      model_name: meta-llama/Llama-3.1-8B-Instruct
      model_max_length: 2048
      torch_dtype_str: bfloat16
      attn_implementation: sdpa
      trust_remote_code: True
    data:
      train:
        datasets:
          - dataset_name: yahma/alpaca-cleaned
    training:
      trainer_type: TRL_SFT
      use_peft: True
      per_device_train_batch_size: 2
      gradient_accumulation_steps: 8
      enable_gradient_checkpointing: True
      gradient_checkpointing_kwargs:
        use_reentrant: False
      optimizer: paged_adamw_8bit
      learning_rate: 3e-4
      dataloader_num_workers: auto
    peft:
      q_lora: True
      bnb_4bit_quant_type: nf4
      lora_r: 16
      lora_alpha: 32
      lora_target_modules:
        - q_proj
        - v_proj
    """
BARE = "model:\n  model_name: gpt2\ntraining:\n  trainer_type: %s\n  max_steps: 2\n"


def test_a_whole_file(recognised: Recognise) -> None:
    found = recognised(QLORA)
    (run,) = found.runs
    assert (found.dialect, found.problems, dict(run.unknown)) == ("oumi", (), {})
    expected = {
        "trainer": "trl-sft", "model_name_or_path": "meta-llama/Llama-3.1-8B-Instruct", "dtype": "bfloat16", "bf16": False,
        "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": "float32", "use_peft": True, "lora_r": 16,
        "lora_alpha": 32, "lora_target_modules": ("q_proj", "v_proj"), "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 8, "max_length": 2048, "optim": "paged_adamw_8bit", "gradient_checkpointing": True,
        "use_reentrant": False, "prepare_model_for_kbit_training": True, "attn_implementation": "sdpa",
    }
    assert {key: getattr(run, key) for key in expected} == expected


def test_defaults(recognised: Recognise) -> None:
    (run,) = recognised(BARE % "TRL_SFT").runs  # params/{training,model,peft}_params.py
    expected = {
        "per_device_train_batch_size": 8, "per_device_eval_batch_size": 8, "gradient_accumulation_steps": 1,
        "optim": "adamw_torch",
        "gradient_checkpointing": False, "bf16": False, "fp16": False, "dtype": "auto", "use_peft": False, "lora_alpha": 8,
        "bnb_4bit_quant_type": "fp4", "max_grad_norm": 1.0, "use_liger_kernel": False, "packing": False, "fsdp": None,
        "max_length": 1024,  # TRL's own: Oumi passes nothing
    }
    assert {key: getattr(run, key) for key in expected} == expected


@pytest.mark.parametrize(("word", "trainer"), [
    ("TRL_SFT", "trl-sft"), ("TRL_DPO", "trl-dpo"), ("TRL_KTO", "trl-kto"), ("TRL_GRPO", "trl-grpo"), ("HF", "transformers"),
    ("VERL_GRPO", "verl"), ("OUMI", "oumi"), ("TRL_GKD", "other"),
])
def test_trainers(recognised: Recognise, word: str, trainer: str) -> None:
    assert recognised(BARE % word).runs[0].trainer == trainer


def test_without_a_trainer_type_it_is_the_trainer_of_transformers(recognised: Recognise) -> None:
    (run,) = recognised("model: {model_name: gpt2}\ntraining: {max_steps: 2}\n").runs  # TrainingParams.trainer_type is HF
    assert run.trainer == "transformers"
    assert "max_length" in run.unknown  # model_max_length is ignored and TRL's default does not apply


def test_a_quantised_base_needs_use_peft(recognised: Recognise) -> None:
    (run,) = recognised(QLORA.replace("use_peft: True", "use_peft: False")).runs  # train.py: peft_params only if use_peft
    assert (run.use_peft, run.load_in_4bit) == (False, False)
    (run,) = recognised(QLORA.replace("q_lora: True", "q_lora: True\n      q_lora_bits: 8")).runs
    assert (run.load_in_4bit, run.load_in_8bit) == (False, True)


@pytest.mark.parametrize(("word", "bf16", "fp16"), [("NONE", False, False), ("BF16", True, False), ("FP16", False, True)])
def test_mixed_precision(recognised: Recognise, word: str, bf16: bool, fp16: bool) -> None:
    (run,) = recognised(BARE % "TRL_SFT" + f"  mixed_precision_dtype: {word}\n").runs
    assert (run.bf16, run.fp16) == (bf16, fp16)


def test_frozen_layers_leave_open_what_is_trained(recognised: Recognise) -> None:
    text = QLORA.replace("attn_implementation: sdpa", "freeze_layers: [vision_tower]")
    assert "use_peft" not in recognised(text).runs[0].unknown  # adapters alone are trained anyway
    assert "use_peft" in recognised(text.replace("use_peft: True", "use_peft: False")).runs[0].unknown


def test_unknown_keys_are_refused(recognised: Recognise) -> None:
    found = recognised(BARE % "HF" + "  gradient_checkpointing: true\n  per_device_batch: 3\n")
    assert {p.path for p in found.problems} == {("training", "gradient_checkpointing"), ("training", "per_device_batch")}


@pytest.mark.parametrize("text", [
    "model: {model_name: gpt2}\nengine: VLLM\ngeneration: {max_new_tokens: 5}\n",
    "model: {model_name: gpt2}\ntasks: [{evaluation_backend: lm_harness}]\n",
    "name: job\nresources: {cloud: gcp}\nrun: oumi train\n", "training: {trainer_type: HF, max_steps: 2}\n",
])
def test_near_neighbours(is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text)


@pytest.mark.parametrize(("changes", "lines"), [
    ((Change("per_device_train_batch_size", 1), Change("gradient_accumulation_steps", 16)),
     ["  per_device_train_batch_size: 1", "  gradient_accumulation_steps: 16"]),
    ((Change("max_length", 512),), ["  model_max_length: 512"]), ((Change("lora_r", 8),), ["  lora_r: 8"]),
    ((Change("gradient_checkpointing", False),), ["  enable_gradient_checkpointing: False"]),
    ((Change("optim", "adamw_8bit"),), ["  optimizer: adamw_8bit"]),
    ((Change("dtype", "float32"),), ["  torch_dtype_str: float32"]),
    ((Change("use_liger_kernel", True),), ["  enable_liger_kernel: True"]),
])
def test_write_back(
    changed: Callable[..., tuple[str, Recognised]], changes: tuple[Change, ...], lines: list[str],
) -> None:
    text, again = changed(QLORA, *changes)
    assert {line.lower() for line in lines} <= {line.lower() for line in text.splitlines()}
    assert {c.key: getattr(again.runs[0], c.key) for c in changes} == {c.key: c.value for c in changes}


def test_what_trl_below_1_5_does(recognised: Recognise) -> None:
    (run,) = recognised(QLORA).runs  # pyproject.toml of Oumi: trl>=0.24,<1.5
    assert run.stack["trl"] == "1.4"  # whose loss is not in chunks: the logits of the whole batch are there at once
    assert run.autocast_adapter_dtype is False  # TRL's SFTTrainer casts adapters on a quantised base to bf16
    (run,) = recognised(QLORA, stack={"trl": "1.16.0"}).runs
    assert run.stack["trl"] == "1.16.0"
