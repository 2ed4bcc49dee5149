"""ms-swift: defaults read off its source (3602360a), what follows, recognition, and writing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
BASE = "model: a/b\ndataset: [x]\ntuner_type: lora\ntorch_dtype: bfloat16\nmax_length: 2048\nnum_train_epochs: 1\n"

WHOLE = """\
    model: Qwen/Qwen2.5-7B-Instruct
    dataset: ['AI-ModelScope/alpaca-gpt4-data-en#500']
    tuner_type: lora
    quant_bits: 4
    quant_method: bnb
    bnb_4bit_quant_type: nf4
    torch_dtype: bfloat16
    lora_rank: 16
    lora_alpha: 64
    target_modules: [q_proj, v_proj]
    per_device_train_batch_size: 2
    gradient_accumulation_steps: 4
    learning_rate: 2e-4
    max_length: 4096
    packing: true
    attn_impl: flash_attn
    """


@pytest.mark.parametrize(("key", "value"), [  # trainers/arguments.py, arguments/{tuner,quant}_args.py
    ("per_device_train_batch_size", 1), ("per_device_eval_batch_size", 1), ("gradient_accumulation_steps", 16), ("lora_r", 8),
    ("lora_alpha", 32), ("lora_dropout", 0.05), ("lora_target_modules", "all-linear"), ("gradient_checkpointing", True),
    ("use_reentrant", True), ("bf16", True), ("fp16", False), ("weight_decay", 0.1), ("lr_scheduler_type", "cosine"),
    ("learning_rate", 1e-4), ("dtype", "bfloat16"), ("use_peft", True), ("trainer", "transformers"),
])
def test_defaults(recognised: Recognise, key: str, value: object) -> None:
    found = recognised(BASE)
    assert found.dialect == "ms-swift"
    assert found.problems == ()
    assert getattr(found.runs[0], key) == value


@pytest.mark.parametrize(("lines", "key", "value"), [
    ("quant_method: bnb\nquant_bits: 4\n", "load_in_4bit", True),
    ("quant_method: bnb\nquant_bits: 8\n", "load_in_8bit", True),
    ("per_device_train_batch_size: 5\n", "gradient_accumulation_steps", 4),  # ceil(16 / 5)
    ("packing: true\n", "padding", False),
    ("attn_impl: flash_attn\n", "attn_implementation", "flash_attention_2"),
    ("target_regex: '.*q_proj'\n", "lora_target_modules", ".*q_proj"),
    ("target_modules: [q_proj]\n", "lora_target_modules", ("q_proj",)),
    ("rlhf_type: dpo\n", "trainer", "other"), ("micro_batch_size: 1\n", "trainer", "other"),
    ("quant_method: hqq\nquant_bits: 4\n", "trainer", "other"),
])
def test_what_follows(recognised: Recognise, lines: str, key: str, value: object) -> None:
    assert getattr(recognised(BASE + lines).runs[0], key) == value


def test_full_training_has_another_rate(recognised: Recognise) -> None:
    (run,) = recognised(BASE.replace("lora", "full")).runs
    assert (run.learning_rate, run.use_peft) == (1e-5, False)


def test_fp16_and_fp32_checkpoints_train_in_fp16(recognised: Recognise) -> None:
    (run,) = recognised(BASE.replace("bfloat16", "float32")).runs  # base_args/model_args.py, _init_mixed_precision
    assert (run.bf16, run.fp16) == (False, True)


def test_an_unbounded_length_is_not_guessed(recognised: Recognise) -> None:
    assert "max_length" in recognised(BASE.replace("max_length: 2048\n", "")).runs[0].unknown


def test_the_name_of_version_three(recognised: Recognise) -> None:
    found = recognised(BASE.replace("tuner_type", "train_type"))
    assert found.runs[0].use_peft
    assert [p.suggestion for p in found.problems] == ["tuner_type"]


@pytest.mark.parametrize("text", [
    "model: a/b\nadapters: [x]\ninfer_backend: vllm\nstream: true\n",
    "model: {_component_: torchtune.models.llama3.llama3_8b}\nbatch_size: 2\ndataset: {packed: true}\nlearning_rate: 1.0\n",
    "model: gpt-4\ndataset: x\ntemperature: 0.1\n",
])
def test_near_neighbours(is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text)


@pytest.mark.parametrize(("change", "lines"), [
    (Change("per_device_train_batch_size", 2), ["per_device_train_batch_size: 2"]),
    (Change("load_in_4bit", True), ["quant_method: bnb", "quant_bits: 4"]),
    (Change("attn_implementation", "sdpa"), ["attn_impl: sdpa"]), (Change("lora_r", 16), ["lora_rank: 16"]),
    (Change("dtype", "float16"), ["torch_dtype: float16"]), (Change("use_peft", False), ["tuner_type: full"]),
    (Change("gradient_checkpointing", False), ["gradient_checkpointing: false"]),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], change: Change, lines: list[str]) -> None:
    text, again = changed(BASE, change)
    assert set(lines) <= set(text.splitlines())
    assert getattr(again.runs[0], change.key) == change.value


def test_a_whole_file(recognised: Recognise) -> None:
    found = recognised(WHOLE)
    (run,) = found.runs
    assert (found.dialect, found.problems, dict(run.unknown)) == ("ms-swift", (), {})
    expected = {
        "trainer": "transformers", "model_name_or_path": "Qwen/Qwen2.5-7B-Instruct", "use_peft": True, "load_in_4bit": True,
        "lora_r": 16, "lora_alpha": 64, "lora_target_modules": ("q_proj", "v_proj"), "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4, "max_length": 4096, "packing": True, "padding_free": True, "padding": False,
        "attn_implementation": "flash_attention_2", "bf16": True, "learning_rate": 2e-4, "optim": "adamw_torch_fused",
    }
    assert {key: getattr(run, key) for key in expected} == expected


def test_keys_of_megatron_are_no_findings(recognised: Recognise) -> None:
    found = recognised(BASE + "micro_batch_size: 1\nglobal_batch_size: 16\nrecompute_granularity: full\nlr: 1e-4\n")
    assert found.problems == ()
    assert found.runs[0].trainer == "other"
