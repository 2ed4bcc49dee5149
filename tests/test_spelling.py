"""Which words are slips of which: what a person may have meant, and what only looks like it."""

from __future__ import annotations

import pytest

from vramlint.catalog import MissingModel, find_model
from vramlint.spelling import is_slip


@pytest.mark.parametrize(("word", "known"), [
    ("TinyLama-1.1B", "TinyLlama-1.1B"), ("Llama3.1-8B", "Llama-3.1-8B"), ("Qwen2.5-7B-Instrcut", "Qwen2.5-7B-Instruct"),
    ("gradient_acumulation_step", "gradient_accumulation_steps"), ("max_sequence_length", "max_seq_length"),
    ("learningrate", "learning_rate"), ("leraning_rate", "learning_rate"), ("rate_learning", "learning_rate"),
])
def test_a_slip(word: str, known: str) -> None:
    assert is_slip(word, known)
    assert is_slip(known, word)


@pytest.mark.parametrize(("word", "known"), [
    ("Qwen3.5-2B", "Qwen2.5-72B"), ("Qwen2.5-VL-7B", "Qwen2.5-7B"), ("Llama-2-70b", "Llama-2-7b"), ("gemma-4-12B", "gemma-2-2b"),
    ("global_batch_size", "lora_ga_batch_size"), ("gradient_accumulation_fusion", "gradient_accumulation_steps"),
    ("load_in_4bit", "load_in_8bit"), ("train", "trainer"), ("lr_warmup_fraction", "warmup_ratio"),
    ("swanlab_project", "wandb_project"),
])
def test_another_thing(word: str, known: str) -> None:
    assert not is_slip(word, known)
    assert not is_slip(known, word)


def test_a_part_left_out_where_that_is_let_pass() -> None:
    assert not is_slip("lora_target", "lora_target_modules")
    assert is_slip("lora_target", "lora_target_modules", left_out=1)
    assert not is_slip("batch", "batch_size", left_out=1)


@pytest.mark.parametrize(("name", "meant"), [
    ("meta-lama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B"), ("someone/Qwen3-0.6B", "Qwen/Qwen3-0.6B"),
    ("Qwen/Qwen2.5-7B-Instuct", "Qwen/Qwen2.5-7B-Instruct"),
    ("Qwen/Qwen9.5-2B", None), ("Qwen/Qwen2.5-VL-7B-Instruct-Audio", None), ("google/gemma-9-12B-it", None),
])
def test_the_model_that_was_meant_or_none(name: str, meant: str | None) -> None:
    found = find_model(name, base_directory=None, isolated=True)
    assert isinstance(found, MissingModel)
    assert next(iter(found.suggestions), None) == meant
