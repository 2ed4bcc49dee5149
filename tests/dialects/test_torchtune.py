"""torchtune: a whole file, builders, conditions read off its source (bd2a0fc7), and writing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
QLORA = """\
    output_dir: /tmp/torchtune/out
    model:
      _component_: torchtune.models.llama3_1.qlora_llama3_1_8b
      lora_attn_modules: ['q_proj', 'v_proj', 'output_proj']
      apply_lora_to_mlp: True
      apply_lora_to_output: False
      lora_rank: 8
      lora_alpha: 16
    tokenizer:
      _component_: torchtune.models.llama3.llama3_tokenizer
      max_seq_len: 2048
    checkpointer:
      _component_: torchtune.training.FullModelHFCheckpointer
      checkpoint_dir: /tmp/Meta-Llama-3.1-8B-Instruct/
      output_dir: ${output_dir}
      model_type: LLAMA3
    dataset:
      _component_: torchtune.datasets.alpaca_cleaned_dataset
      packed: False
    batch_size: 2
    optimizer:
      _component_: torch.optim.AdamW
      fused: True
      lr: 3e-4
    loss:
      _component_: torchtune.modules.loss.LinearCrossEntropyLoss
    epochs: 1
    gradient_accumulation_steps: 8
    clip_grad_norm: null
    compile: False
    dtype: bf16
    enable_activation_checkpointing: True
    enable_activation_offloading: False
    """


def test_a_whole_file(recognised: Recognise) -> None:
    found = recognised(QLORA)
    (run,) = found.runs
    assert (found.dialect, found.problems, dict(run.unknown)) == ("torchtune", (), {})
    expected = {
        "trainer": "torchtune", "model_name_or_path": "meta-llama/Llama-3.1-8B", "use_peft": True, "load_in_4bit": True,
        "lora_target_modules": ("q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), "lora_r": 8,
        "max_length": 2048, "per_device_train_batch_size": 2, "per_device_eval_batch_size": 2,
        "gradient_accumulation_steps": 8, "optim": "adamw_torch_fused", "learning_rate": 3e-4, "max_grad_norm": 0.0,
        "dtype": "bfloat16", "bf16": False, "gradient_checkpointing": True, "activation_offloading": False,
        "loss_type": "linear_cross_entropy", "packing": False, "padding": True,
    }
    assert {key: getattr(run, key) for key in expected} == expected


@pytest.mark.parametrize(("builder", "model", "adapted", "quantised"), [
    ("llama2.llama2_7b", "meta-llama/Llama-2-7b-hf", False, False),
    ("llama3_2.lora_llama3_2_1b", "meta-llama/Llama-3.2-1B", True, False),
    ("qwen2_5.qlora_qwen2_5_7b_instruct", "Qwen/Qwen2.5-7B-Instruct", True, True),
    ("qwen3.qwen3_0_6b_base", "Qwen/Qwen3-0.6B-Base", False, False),
    ("gemma2.lora_gemma2_9b", "google/gemma-2-9b", True, False),
])
def test_builders(recognised: Recognise, builder: str, model: str, adapted: bool, quantised: bool) -> None:
    (run,) = recognised(QLORA.replace("llama3_1.qlora_llama3_1_8b", builder)).runs
    assert (run.model_name_or_path, run.use_peft, run.load_in_4bit) == (model, adapted, quantised)


def test_a_builder_of_ones_own_is_not_guessed(recognised: Recognise) -> None:
    (run,) = recognised(QLORA.replace("qlora_llama3_1_8b", "qlora_mine")).runs
    assert "mine" in run.unknown["model_name_or_path"]


@pytest.mark.parametrize(("old", "new", "key", "value"), [
    ("packed: False", "packed: True", "padding", False),
    ("fused: True", "fused: False", "optim", "adamw_torch"),
    ("torch.optim.AdamW", "bitsandbytes.optim.PagedAdamW8bit", "optim", "paged_adamw_8bit"),
    ("clip_grad_norm: null", "clip_grad_norm: 1.0", "max_grad_norm", 1.0),
    ("dtype: bf16", "dtype: fp32", "dtype", "float32"),
    ("batch_size: 2", "batch_size: 2\n    batch_size_val: 1", "per_device_eval_batch_size", 1),
])
def test_what_follows(recognised: Recognise, old: str, new: str, key: str, value: object) -> None:
    assert getattr(recognised(QLORA.replace(old, new)).runs[0], key) == value


def test_unbounded_sequences_are_not_guessed(recognised: Recognise) -> None:
    assert "max_seq_len" in recognised(QLORA.replace("max_seq_len: 2048", "max_seq_len: null")).runs[0].unknown["max_length"]


def test_a_wrong_value_is_found(recognised: Recognise) -> None:
    found = recognised(QLORA.replace("dtype: bf16", "dtype: fp16").replace("apply_lora_to_mlp: True", "apply_lora_to_mlp: many"))
    assert {(p.kind, p.path[-1]) for p in found.problems} == {("enum", "dtype"), ("type", "apply_lora_to_mlp")}


@pytest.mark.parametrize("text", [
    "model: {_component_: torchtune.models.llama3.llama3_8b}\ncheckpointer: {_component_: x}\ntasks: [mmlu]\nbatch_size: 8\n",
    "model: {_component_: torchtune.models.llama3.llama3_8b}\nprompt: {user: hi}\nmax_new_tokens: 3\ndtype: bf16\n",
    "model: {_component_: mine.model}\noptimizer: {_component_: torch.optim.AdamW}\nbatch_size: 1\n",
])
def test_what_does_not_train_with_torchtune(is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text)


@pytest.mark.parametrize(("change", "line"), [
    (Change("per_device_train_batch_size", 1), "batch_size: 1"), (Change("max_length", 512), "  max_seq_len: 512"),
    (Change("optim", "paged_adamw_8bit"), "  _component_: bitsandbytes.optim.PagedAdamW8bit"),
    (Change("gradient_checkpointing", False), "enable_activation_checkpointing: false"),
    (Change("activation_offloading", True), "enable_activation_offloading: true"),
    (Change("dtype", "float32"), "dtype: fp32"), (Change("lora_r", 4), "  lora_rank: 4"),
    (Change("packing", True), "  packed: true"),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], change: Change, line: str) -> None:
    text, again = changed(QLORA, change)
    assert line in text.splitlines()
    assert "output_dir: ${output_dir}" in text
    assert getattr(again.runs[0], change.key) == change.value


def test_modules_are_written_under_its_names(changed: Callable[..., tuple[str, Recognised]]) -> None:
    text, again = changed(QLORA, Change("lora_target_modules", ("q_proj", "o_proj")))
    assert again.runs[0].lora_target_modules == ("q_proj", "o_proj")
    assert "output_proj" in text


@pytest.mark.parametrize("change", [Change("optim", "lion_8bit"), Change("use_peft", False), Change("use_liger_kernel", True)])
def test_what_it_has_no_word_for(refusal: Callable[..., str], change: Change) -> None:
    assert refusal(QLORA, change)


def test_defaults(recognised: Recognise) -> None:
    least = (
        "model: {_component_: torchtune.models.llama3_1.lora_llama3_1_8b}\noptimizer: {_component_: torch.optim.AdamW}\n"
        "tokenizer: {_component_: torchtune.models.llama3.llama3_tokenizer, max_seq_len: 512}\nbatch_size: 2\ndtype: bf16\n"
    )
    (run,) = recognised(least).runs
    expected = {  # models/llama3/_model_builders.py; recipes/lora_finetune_single_device.py
        "lora_r": 8, "lora_alpha": 16, "lora_dropout": 0.0, "gradient_checkpointing": False, "activation_offloading": False,
        "max_grad_norm": 0.0, "torch_compile": False, "packing": False, "per_device_eval_batch_size": 2,
    }
    assert {key: getattr(run, key) for key in expected} == expected
