"""LLM Foundry: a whole file, defaults read off its source (8c8dd48f), and writing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
FINETUNE = """\
    variables:
      length: 2048
    max_seq_len: ${variables.length}
    model:
      name: hf_causal_lm
      pretrained_model_name_or_path: mosaicml/mpt-7b
      pretrained: true
    train_loader:
      name: finetuning
    max_duration: 1ep
    optimizer:
      name: decoupled_adamw
      lr: 1.0e-5
    global_train_batch_size: 64
    device_train_microbatch_size: 2
    device_eval_batch_size: 3
    precision: amp_bf16
    fsdp_config:
      sharding_strategy: FULL_SHARD
      mixed_precision: PURE
      activation_checkpointing: true
    """


def test_a_whole_file(recognised: Recognise) -> None:
    found = recognised(FINETUNE)
    (run,) = found.runs
    assert (found.dialect, found.problems, set(run.unknown)) == ("llm-foundry", (), {"num_processes"})  # the launch says
    expected = {
        "trainer": "llm-foundry", "model_name_or_path": "mosaicml/mpt-7b", "max_length": 2048, "per_device_train_batch_size": 2,
        "per_device_eval_batch_size": 3, "bf16": True, "fp16": False, "fsdp": "full_shard", "gradient_checkpointing": True,
        "learning_rate": 1e-5, "use_peft": False,
    }
    assert {key: getattr(run, key) for key in expected} == expected


def test_defaults(recognised: Recognise) -> None:
    text = "train_loader: {name: text}\nmax_duration: 1ep\nglobal_train_batch_size: 8\nmax_seq_len: 64\n"
    (run,) = recognised(text).runs
    assert (run.gradient_checkpointing, run.fsdp, run.use_peft, run.model_name_or_path) == (False, None, False, None)


def test_microbatches_that_are_found_by_trying(recognised: Recognise) -> None:
    (run,) = recognised(FINETUNE.replace("device_train_microbatch_size: 2", "device_train_microbatch_size: auto")).runs
    assert run.auto_find_batch_size


def test_inside_a_job(recognised: Recognise) -> None:
    text = "name: job\nimage: x\ncommand: train\n"
    text += "parameters: {train_loader: {}, max_duration: 1ep, global_train_batch_size: 8, max_seq_len: 512}\n"
    found = recognised(text)
    assert (found.dialect, found.runs[0].max_length) == ("llm-foundry", 512)


@pytest.mark.parametrize("text", [
    "max_seq_len: 64\ndevice_eval_batch_size: 4\nmodels: []\nicl_tasks: x.yaml\n", "train_loader: {batch_size: 3}\nlr: 0.1\n",
])
def test_near_neighbours(is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text)


@pytest.mark.parametrize(("change", "line"), [
    (Change("per_device_train_batch_size", 1), "device_train_microbatch_size: 1"),
    (Change("gradient_checkpointing", False), "  activation_checkpointing: false"),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], change: Change, line: str) -> None:
    text, again = changed(FINETUNE, change)
    assert line in text.splitlines()
    assert getattr(again.runs[0], change.key) == change.value
