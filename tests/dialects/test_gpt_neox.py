"""GPT-NeoX: a whole file, defaults read off its source (ea7aefd8), and writing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
SMALL = """\
    pipe_parallel_size: 1
    model_parallel_size: 2
    num_layers: 12
    hidden_size: 768
    num_attention_heads: 12
    seq_length: 2048
    max_position_embeddings: 2048
    train_micro_batch_size_per_gpu: 4
    gradient_accumulation_steps: 8
    checkpoint_activations: true
    gradient_clipping: 1.0
    zero_optimization:
      stage: 1
    optimizer:
      type: Adam
      params:
        lr: 0.0006
    bf16:
      enabled: true
    train_iters: 320000
    """


def test_a_whole_file(recognised: Recognise) -> None:
    found = recognised(SMALL)
    (run,) = found.runs
    assert (found.dialect, found.problems) == ("gpt-neox", ())
    expected = {
        "trainer": "gpt-neox", "per_device_train_batch_size": 4, "gradient_accumulation_steps": 8, "max_length": 2048,
        "zero_stage": 1, "tensor_parallel_size": 2, "pipeline_parallel_size": 1, "gradient_checkpointing": True, "bf16": True,
        "learning_rate": 0.0006,
    }
    assert {key: getattr(run, key) for key in expected} == expected


def test_no_model_is_made_up(recognised: Recognise) -> None:
    (run,) = recognised(SMALL).runs
    assert "memory comes later" in run.unknown["model_name_or_path"]


def test_defaults(recognised: Recognise) -> None:
    text = "num_layers: 2\nhidden_size: 64\nmodel_parallel_size: 1\nseq_length: 64\ntrain_iters: 5\noptimizer: {}\n"
    (run,) = recognised(text).runs  # neox_args.py, deepspeed_args.py
    assert (run.pipeline_parallel_size, run.tensor_parallel_size, run.gradient_accumulation_steps) == (1, 1, 1)
    assert (run.gradient_checkpointing, run.max_grad_norm) == (False, 1.0)


def test_dashes_for_underscores(recognised: Recognise) -> None:
    text = SMALL.replace("model_parallel_size", "model-parallel-size").replace("seq_length", "seq-length")
    text = text.replace("train_iters", "train-iters")
    (run,) = recognised(text.replace("checkpoint_activations", "checkpoint-activations")).runs
    assert (run.tensor_parallel_size, run.max_length, run.gradient_checkpointing) == (2, 2048, True)


@pytest.mark.parametrize("text", [
    "zero_optimization: {stage: 2}\ntrain_micro_batch_size_per_gpu: 4\noptimizer: {type: Adam}\n",
    "hidden_size: 64\nnum_layers: 4\nmodel_type: gpt_neox\narchitectures: [X]\n", "num_layers: 3\nhidden_size: 5\n",
])
def test_near_neighbours(recognised: Recognise, is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text) or recognised(text).dialect != "gpt-neox"


@pytest.mark.parametrize(("change", "line"), [
    (Change("per_device_train_batch_size", 1), "train_micro_batch_size_per_gpu: 1"),
    (Change("max_length", 512), "seq_length: 512"),
    (Change("gradient_checkpointing", False), "checkpoint_activations: false"),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], change: Change, line: str) -> None:
    text, again = changed(SMALL, change)
    assert line in text.splitlines()
    assert getattr(again.runs[0], change.key) == change.value
