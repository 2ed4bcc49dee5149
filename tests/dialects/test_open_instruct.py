"""open-instruct: told apart from Hugging Face's own configs; finetune.py is estimated, dpo_tune_cache.py is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

BASE = """\
    model_name_or_path: allenai/OLMo-1.7-7B-hf
    use_slow_tokenizer: true
    max_seq_length: 4096
    per_device_train_batch_size: 1
    gradient_accumulation_steps: 2
    learning_rate: 2.0e-06
    num_train_epochs: 3
    with_tracking: true
    checkpointing_steps: epoch
    """


@pytest.mark.parametrize(("lines", "key", "value"), [  # finetune.py, FlatArguments
    ("", "trainer", "transformers"), ("num_epochs: 1\n", "trainer", "other"), ("beta: 5\n", "trainer", "other"),
    ("", "max_length", 4096), ("", "use_peft", False), ("", "gradient_checkpointing", False),
    ("", "attn_implementation", "flash_attention_2"), ("", "dtype", "bfloat16"), ("", "max_grad_norm", 0.0),
    ("use_lora: true\n", "lora_r", 64), ("use_qlora: true\n", "load_in_4bit", True),
    ("", "optim", "adamw_torch_fused"),
    ("use_8bit_optimizer: true\n", "optim", "adamw_torch_fused"), ("use_qlora: true\n", "optim", "paged_adamw_32bit"),
    ("use_qlora: true\n    use_8bit_optimizer: true\n", "optim", "paged_adamw_8bit"), ("packing: true\n", "padding", False),
    ("use_qlora: true\n", "prepare_model_for_kbit_training", True), ("clip_grad_norm: 1.0\n", "max_grad_norm", 1.0),
])
def test_keys_and_defaults(recognised: Callable[..., Recognised], lines: str, key: str, value: object) -> None:
    found = recognised(BASE + lines)
    assert (found.dialect, found.problems) == ("open-instruct", ())
    assert getattr(found.runs[0], key) == value


def test_an_optimizer_without_the_fused_kernel_is_not_taken_for_the_foreach_one(recognised: Callable[..., Recognised]) -> None:
    assert "fused_optimizer is off" in recognised(BASE + "fused_optimizer: false\n").runs[0].unknown["optim"]


def test_without_its_marks_it_is_hugging_face(recognised: Callable[..., Recognised]) -> None:
    marks = ("use_slow", "with_tracking", "checkpointing")
    text = "".join(line + "\n" for line in BASE.splitlines() if not line.strip().startswith(marks))
    assert recognised(text).dialect == "huggingface"


def test_write_back(changed: Callable[..., tuple[str, Recognised]]) -> None:
    text, _ = changed(BASE, Change("max_length", 2048), Change("gradient_checkpointing", True))
    assert "max_seq_length: 2048" in text
    assert "gradient_checkpointing: true" in text


def test_a_whole_file(recognised: Callable[..., Recognised]) -> None:
    found = recognised(BASE)
    (run,) = found.runs
    assert (found.dialect, found.problems, dict(run.unknown)) == ("open-instruct", (), {})
    expected = {
        "model_name_or_path": "allenai/OLMo-1.7-7B-hf", "max_length": 4096, "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 2, "learning_rate": 2e-6, "use_peft": False,
    }
    assert {key: getattr(run, key) for key in expected} == expected


@pytest.mark.parametrize("text", [
    "model_name_or_path: a/b\nstage: sft\nfinetuning_type: lora\ntemplate: qwen\nuse_flash_attn: true\nlearning_rate: 1e-5\n",
    "base_model: a/b\nmicro_batch_size: 2\nlearning_rate: 1e-5\nwith_tracking: true\nsequence_len: 512\n",
    "model_name_or_path: a/b\nlearning_rate: 1.0e-5\nnum_train_epochs: 1\n",
])
def test_near_neighbours(
    recognised: Callable[..., Recognised], is_recognised: Callable[..., bool], text: str,
) -> None:
    assert not is_recognised(text) or recognised(text).dialect != "open-instruct"
