"""What holds in every dialect: it is told from all others, and names of other frameworks are called so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from vramlint.dialects import Recognised
from vramlint.dialects.schemas import dialect_names

Recognise = Callable[..., Recognised]
SAMPLES: dict[str, dict[str, str]] = yaml.safe_load((Path(__file__).parent / "samples.yaml").read_text(encoding="utf-8"))
FOREIGN = {
    "axolotl": ("per_device_train_batch_size", "Hugging Face", "micro_batch_size"),
    "diffusion-pipe": ("per_device_train_batch_size", "Hugging Face", "micro_batch_size_per_gpu"),
    "gpt-neox": ("per_device_train_batch_size", "Hugging Face", "train_micro_batch_size_per_gpu"),
    "huggingface": ("sequence_len", "axolotl", "max_length"),
    "kohya": ("per_device_train_batch_size", "Hugging Face", "train_batch_size"),
    "litgpt": ("per_device_train_batch_size", "Hugging Face", "train.micro_batch_size"),
    "llamafactory": ("sequence_len", "axolotl", "cutoff_len"),
    "llm-foundry": ("per_device_train_batch_size", "Hugging Face", "device_train_microbatch_size"),
    "ms-swift": ("cutoff_len", "LLaMA-Factory", "max_length"),
    "nemo-automodel": ("per_device_train_batch_size", "Hugging Face", "step_scheduler.local_batch_size"),
    "open-instruct": ("micro_batch_size", "axolotl", "per_device_train_batch_size"),
    "openrlhf": ("per_device_train_batch_size", "Hugging Face", "train.micro_batch_size"),
    "oumi": ("per_device_train_batch_size", "Hugging Face", "training.per_device_train_batch_size"),
    "prime-rl": ("per_device_train_batch_size", "Hugging Face", "data.micro_batch_size"),
    "torchtitan": ("per_device_train_batch_size", "Hugging Face", "training.local_batch_size"),
    "torchtune": ("micro_batch_size", "axolotl", "batch_size"),
    "unsloth": ("per_device_train_batch_size", "Hugging Face", "training.batch_size"),
    "verl": ("gradient_checkpointing", "Hugging Face", "actor_rollout_ref.model.enable_gradient_checkpointing"),
}
"""A name of another framework at the root of the sample, whose it is, and what it is called here."""


def test_there_is_a_sample_of_every_dialect() -> None:
    assert set(SAMPLES) == set(dialect_names())


@pytest.mark.parametrize("dialect", SAMPLES)
def test_each_is_taken_for_itself_alone(recognised: Recognise, dialect: str) -> None:
    kind, text = SAMPLES[dialect]["kind"], SAMPLES[dialect]["text"]
    found = recognised(text, kind)
    assert found.dialect == dialect
    assert "two-dialects" not in {problem.kind for problem in found.problems}


@pytest.mark.parametrize("dialect", FOREIGN)
def test_a_key_of_another_framework_is_named(recognised: Recognise, dialect: str) -> None:
    kind, text = SAMPLES[dialect]["kind"], SAMPLES[dialect]["text"]
    key, framework, ours = FOREIGN[dialect]
    found = recognised(f"{key} = 2\n{text}" if kind == "toml" else f"{text}{key}: 2\n", kind)
    assert found.dialect == dialect
    problems = [problem for problem in found.problems if problem.path == (key,)]
    assert [problem.kind for problem in problems] == ["foreign-key"], found.problems
    assert problems[0].message == f"{key} is the {framework} name; here it is {ours}"
    assert problems[0].span is not None


@pytest.mark.parametrize("dialect", [name for name, sample in SAMPLES.items() if sample["kind"] == "yaml"])
def test_a_comment_chooses_between_two(recognised: Recognise, dialect: str) -> None:
    kind, text = SAMPLES[dialect]["kind"], SAMPLES[dialect]["text"]
    assert recognised(f"# vramlint: dialect={dialect}\n{text}", kind).dialect == dialect
    other = "huggingface" if dialect != "huggingface" else "axolotl"
    assert recognised(f"# vramlint: dialect={other}\n{text}", kind).dialect == other
