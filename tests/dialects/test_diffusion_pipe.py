"""diffusion-pipe: recognised and validated, no number; defaults read off its source (8f83dbf)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
LORA = """\
output_dir = 'runs'
dataset = 'dataset.toml'
epochs = 10
micro_batch_size_per_gpu = 2
pipeline_stages = 1
gradient_accumulation_steps = 4
activation_checkpointing = 'unsloth'
[model]
type = 'wan'
dtype = 'bfloat16'
[adapter]
type = 'lora'
rank = 32
[optimizer]
type = 'adamw_optimi'
lr = 2e-5
"""


def test_a_whole_file(recognised: Recognise) -> None:
    found = recognised(LORA, "toml")
    (run,) = found.runs
    assert (found.dialect, found.problems) == ("diffusion-pipe", ())
    expected = {
        "trainer": "diffusion-pipe", "dtype": "bfloat16", "use_peft": True, "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4, "gradient_checkpointing": True, "learning_rate": 2e-5,
    }
    assert {key: getattr(run, key) for key in expected} == expected


def test_there_is_never_a_number(recognised: Recognise) -> None:
    assert "comes later" in recognised(LORA, "toml").runs[0].unknown["model_name_or_path"]


def test_defaults(recognised: Recognise) -> None:
    text = "dataset = 'd.toml'\nsave_dtype = 'bfloat16'\ncaching_batch_size = 1\n[model]\ntype = 'flux'\n"
    (run,) = recognised(text, "toml").runs  # train.py
    assert (run.per_device_train_batch_size, run.gradient_accumulation_steps, run.max_grad_norm) == (1, 1, 1.0)
    assert (run.pipeline_parallel_size, run.use_peft, run.gradient_checkpointing) == (1, False, False)


@pytest.mark.parametrize("text", [
    "resolutions = [512]\nenable_ar_bucket = true\n[[directory]]\npath = 'x'\n",
    "model = '/models/llama'\nmicro_batch_size_per_gpu = 1\npipeline_stages = 1\nactivation_checkpointing = true\n",
])
def test_near_neighbours(recognised: Recognise, is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text, "toml") or recognised(text, "toml").dialect != "diffusion-pipe"


@pytest.mark.parametrize(("change", "line"), [
    (Change("per_device_train_batch_size", 1), "micro_batch_size_per_gpu = 1"),
    (Change("gradient_accumulation_steps", 8), "gradient_accumulation_steps = 8"),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], change: Change, line: str) -> None:
    text, again = changed(LORA, change, kind="toml")
    assert line in text.splitlines()
    assert getattr(again.runs[0], change.key) == change.value
