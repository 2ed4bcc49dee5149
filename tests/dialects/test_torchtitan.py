"""torchtitan: TOML of today and of 2024, a Python function; defaults off its source (238fa995, b5bcd76c); writing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
TOML = """\
[job]
description = "Llama 3 8B training"

[model]
name = "llama3"
flavor = "8B"

[optimizer]
name = "AdamW"
lr = 3e-4

[training]
local_batch_size = 2
seq_len = 4096
max_norm = 1.0

[parallelism]
data_parallel_shard_degree = 4
tensor_parallel_degree = 2

[activation_checkpoint]
mode = "full"
"""
LEAST = "[job]\n[model]\nflavor = '8B'\n[training]\nsteps = 10\n"
OLD = """\
[job]
dump_folder = "./outputs"
[model]
name = "llama2"
flavor = "13B"
[training]
batch_size = 2
seq_len = 4096
data_parallel_shard_degree = -1
tensor_parallel_degree = 1
compile = true
[experimental]
pipeline_parallel_degree = 1
[activation_checkpoint]
mode = 'selective'
selective_ac_option = 'op'
"""
PYTHON = """\
from torchtitan.config import TrainingConfig
from torchtitan.distributed.activation_checkpoint import FullAC
from torchtitan.models.llama3 import model_registry
from torchtitan.trainer import Trainer

def mine() -> Trainer.Config:
    return Trainer.Config(
        model_spec=model_registry("8B", attn_backend="flex"),
        optimizer=default_adamw(lr=3e-4),
        training=TrainingConfig(num_tokens_per_microbatch_per_dp_rank=4 * 8192, max_context_length=8192),
        activation_checkpoint=FullAC.Config(),
    )
"""


def test_a_whole_file(recognised: Recognise) -> None:
    found = recognised(TOML, "toml")
    (run,) = found.runs
    assert (found.dialect, found.problems, dict(run.unknown)) == ("torchtitan", (), {})
    expected = {
        "trainer": "torchtitan", "model_name_or_path": "meta-llama/Llama-3.1-8B", "dtype": "float32", "bf16": True,
        "per_device_train_batch_size": 2, "max_length": 4096, "packing": True, "padding": False, "optim": "adamw_torch_fused",
        "learning_rate": 3e-4, "gradient_checkpointing": True, "selective_checkpointing": None, "use_reentrant": False,
        "tensor_parallel_size": 2, "num_processes": 8, "fsdp": "full_shard", "gradient_accumulation_steps": 1,
    }
    assert {key: getattr(run, key) for key in expected} == expected


def test_names_of_2024(recognised: Recognise) -> None:
    found = recognised(OLD, "toml")
    (run,) = found.runs
    assert (found.problems, dict(run.unknown), run.model_name_or_path) == ((), {}, "meta-llama/Llama-2-13b-hf")
    assert (run.per_device_train_batch_size, run.torch_compile, run.num_processes) == (2, True, 1)
    assert (run.gradient_checkpointing, run.selective_checkpointing) == (True, "op")
    assert any("torchrun" in note for note in found.notes)


def test_a_function(recognised: Recognise) -> None:
    found = recognised(PYTHON, "python")
    (run,) = found.runs
    assert (found.dialect, dict(run.unknown), run.model_name_or_path) == ("torchtitan", {}, "meta-llama/Llama-3.1-8B")
    assert (run.per_device_train_batch_size, run.max_length, run.learning_rate, run.optim) == (4, 8192, 3e-4, "adamw_torch_fused")
    assert (run.gradient_checkpointing, run.selective_checkpointing) == (True, None)
    (selective,) = recognised(PYTHON.replace("        activation_checkpoint=FullAC.Config(),\n", ""), "python").runs
    assert selective.selective_checkpointing == "op"  # trainer.py: SelectiveAC by default


def test_defaults(recognised: Recognise) -> None:
    (run,) = recognised(LEAST, "toml").runs  # config/job_config.py
    expected = {
        "per_device_train_batch_size": 8, "max_length": 2048, "learning_rate": 8e-4, "weight_decay": 0.1, "max_grad_norm": 1.0,
        "optim": "adamw_torch_fused", "gradient_checkpointing": True, "selective_checkpointing": "2", "torch_compile": False,
        "dtype": "float32", "bf16": True,
    }
    assert {key: getattr(run, key) for key in expected} == expected


@pytest.mark.parametrize(("before", "after", "key"), [
    ('flavor = "8B"', 'flavor = "9B"', "model_name_or_path"), ('name = "llama3"', 'name = "flux"', "model_name_or_path"),
    ('name = "AdamW"', 'name = "AdamW"\nearly_step_in_backward = true', "optim"),
    ('flavor = "8B"', 'flavor = "8B"\nconverters = ["float8"]', "dtype"),
    ('mode = "full"', 'mode = "memory_budget"', "gradient_checkpointing"),
])
def test_what_is_not_known(recognised: Recognise, before: str, after: str, key: str) -> None:
    assert key in recognised(TOML.replace(before, after), "toml").runs[0].unknown


def test_a_name_of_another_framework(recognised: Recognise) -> None:
    (problem,) = recognised("gradient_accumulation_steps = 4\n" + TOML, "toml").problems
    assert (problem.kind, problem.suggestion) == ("foreign-key", "training.global_batch_size")


@pytest.mark.parametrize(("text", "kind"), [
    ('max_steps = 5\n[model]\nname = "a/b"\n[data]\nname = "x"\nbatch_size = 4\n[ckpt]\n', "toml"),
    ('[model]\ntype = "flux"\n[optimizer]\ntype = "adamw"\n[adapter]\ntype = "lora"\n', "toml"),
    ('[project]\nname = "x"\n[tool.ruff]\nline-length = 120\n', "toml"),
    ("from transformers import TrainingArguments\nTrainingArguments('o')\n", "python"),
])
def test_near_neighbours(recognised: Recognise, is_recognised: Callable[..., bool], text: str, kind: str) -> None:
    assert not is_recognised(text, kind) or recognised(text, kind).dialect != "torchtitan"


@pytest.mark.parametrize(("changes", "lines"), [
    ([Change("per_device_train_batch_size", 1), Change("gradient_accumulation_steps", 2)],
     ["local_batch_size = 1", "global_batch_size = 8"]),
    ([Change("gradient_checkpointing", False)], ['mode = "none"']),
    ([Change("max_length", 1024)], ["seq_len = 1024"]),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], changes: list[Change], lines: list[str]) -> None:
    text, again = changed(TOML, *changes, kind="toml")
    assert set(lines) <= set(text.splitlines())
    assert {c.key: getattr(again.runs[0], c.key) for c in changes} == {c.key: c.value for c in changes}


def test_what_it_has_no_key_for(refusal: Callable[..., str]) -> None:
    assert "no key" in refusal(TOML, Change("load_in_4bit", True), kind="toml")
    assert "only read" in refusal(PYTHON, Change("per_device_train_batch_size", 1), kind="python")
