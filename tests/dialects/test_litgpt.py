"""LitGPT: a whole file, defaults read off its source (26857050), and writing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
QLORA = """\
    checkpoint_dir: checkpoints/meta-llama/Meta-Llama-3-8B
    out_dir: out/finetune/qlora-llama3-8b
    precision: bf16-true
    quantize: bnb.nf4
    devices: 1
    lora_r: 32
    lora_alpha: 16
    lora_query: true
    lora_key: false
    lora_value: true
    lora_mlp: false
    data:
      class_path: litgpt.data.Alpaca2k
    train:
      global_batch_size: 8
      micro_batch_size: 2
      max_steps:
      max_seq_length: 512
      min_lr: 6e-5
    eval:
      interval: 100
    optimizer:
      class_path: torch.optim.AdamW
      init_args:
        lr: 2e-4
        weight_decay: 0.0
    """
FULL = "checkpoint_dir: checkpoints/google/gemma-2b\nprecision: bf16-true\nout_dir: out\ntrain: {max_seq_length: 512}\n"


def test_a_whole_file(recognised: Recognise) -> None:
    found = recognised(QLORA)
    (run,) = found.runs
    assert (found.dialect, found.problems, dict(run.unknown)) == ("litgpt", (), {})
    expected = {
        "trainer": "litgpt", "model_name_or_path": "meta-llama/Meta-Llama-3-8B", "dtype": "bfloat16", "bf16": False,
        "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": False, "use_peft": True, "lora_r": 32,
        "lora_dropout": 0.05, "lora_target_modules": ("q_proj", "v_proj"), "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4, "max_length": 512, "optim": "paged_adamw_32bit", "learning_rate": 2e-4,
        "gradient_checkpointing": False, "max_grad_norm": 0.0,
    }
    assert {key: getattr(run, key) for key in expected} == expected


def test_defaults_of_finetuning_and_pretraining(recognised: Recognise) -> None:
    (run,) = recognised(FULL).runs  # finetune/full.py: micro 1, global 16
    assert (run.per_device_train_batch_size, run.gradient_accumulation_steps) == (1, 16)
    assert (run.use_peft, run.optim) == (False, "adamw_torch")
    text = "model_name: pythia-14m\nprecision: bf16-mixed\nout_dir: out\ntrain: {max_seq_length: 512, max_tokens: 100}\n"
    (run,) = recognised(text).runs  # pretrain.py: micro 4, global 512, max_norm 1.0
    assert (run.per_device_train_batch_size, run.gradient_accumulation_steps, run.max_grad_norm) == (4, 128, 1.0)
    assert (run.dtype, run.bf16, run.model_name_or_path) == ("float32", True, "pythia-14m")


@pytest.mark.parametrize(("precision", "dtype", "bf16", "fp16"), [
    ("bf16-true", "bfloat16", False, False), ("bf16-mixed", "float32", True, False), ("16-mixed", "float32", False, True),
    ("16-true", "float16", False, False), ("32-true", "float32", False, False),
])
def test_precision(recognised: Recognise, precision: str, dtype: str, bf16: bool, fp16: bool) -> None:
    (run,) = recognised(FULL.replace("bf16-true", precision)).runs
    assert (run.dtype, run.bf16, run.fp16) == (dtype, bf16, fp16)


def test_without_a_precision_the_card_decides(recognised: Recognise) -> None:
    assert "dtype" in recognised(FULL.replace("precision: bf16-true\n", "") + "data: Alpaca\n").runs[0].unknown


def test_unknown_keys_are_refused(recognised: Recognise) -> None:
    found = recognised(FULL + "quantise: bnb.nf4\nmodel_name_or_path: x\n", dialect="litgpt")
    suggested = {p.path: p.suggestion for p in found.problems}
    assert suggested == {("quantise",): "quantize", ("model_name_or_path",): "checkpoint_dir"}


@pytest.mark.parametrize("text", [
    "model: {train: {micro_batch_size: 1}}\n", "checkpoint_dir: a/b\nprompt: hi\ntemperature: 0.5\n",
    "train: {batch_size: 3}\neval: {interval: 2}\ndata: x\n",
])
def test_near_neighbours(is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text)


@pytest.mark.parametrize(("changes", "lines"), [
    ((Change("per_device_train_batch_size", 1), Change("gradient_accumulation_steps", 8)), ["  micro_batch_size: 1"]),
    ((Change("max_length", 256),), ["  max_seq_length: 256"]), ((Change("lora_r", 8),), ["lora_r: 8"]),
    ((Change("dtype", "float32"),), ['precision: "32-true"']), ((Change("load_in_4bit", False),), ["quantize: null"]),
    ((Change("lora_target_modules", ("q_proj", "k_proj")),), ["lora_key: true", "lora_value: false"]),
])
def test_write_back(
    changed: Callable[..., tuple[str, Recognised]], changes: tuple[Change, ...], lines: list[str],
) -> None:
    text, again = changed(QLORA, *changes)
    assert set(lines) <= set(text.splitlines())
    assert {c.key: getattr(again.runs[0], c.key) for c in changes} == {c.key: c.value for c in changes}


def test_there_is_no_checkpointing(refusal: Callable[..., str]) -> None:
    assert refusal(QLORA, Change("gradient_checkpointing", True))
