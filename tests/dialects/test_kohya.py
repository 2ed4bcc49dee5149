"""kohya's sd-scripts and its GUI: recognised and validated, no number; defaults read off sd-scripts 48d368fa."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
LORA = """\
pretrained_model_name_or_path = "runwayml/stable-diffusion-v1-5"
train_data_dir = "data"
resolution = "512,512"
enable_bucket = true
network_module = "networks.lora"
network_dim = 32
train_batch_size = 2
gradient_checkpointing = true
mixed_precision = "bf16"
optimizer_type = "AdamW8bit"
learning_rate = 1e-4
max_train_epochs = 10
"""
TABLES = """\
[model_arguments]
pretrained_model_name_or_path = "x.safetensors"
[additional_network_arguments]
network_module = "networks.lora"
network_dim = 16
[training_arguments]
train_batch_size = 4
mixed_precision = "fp16"
max_train_steps = 100
save_precision = "fp16"
[dataset_arguments]
resolution = 1024
cache_latents = true
"""
GUI = """\
{"train_batch_size": 4, "mixed_precision": "bf16", "max_resolution": "512,512", "caption_extension": ".txt", "clip_skip": 1,
 "learning_rate": "1e-6", "lr_scheduler": "cosine", "gradient_accumulation_steps": 1.0, "gradient_checkpointing": false}
"""


def test_a_whole_file(recognised: Recognise) -> None:
    found = recognised(LORA, "toml")
    (run,) = found.runs
    assert (found.dialect, found.problems) == ("kohya", ())
    expected = {
        "trainer": "kohya", "use_peft": True, "per_device_train_batch_size": 2, "gradient_checkpointing": True, "bf16": True,
        "fp16": False, "learning_rate": 1e-4,
    }
    assert {key: getattr(run, key) for key in expected} == expected


def test_the_same_in_tables(recognised: Recognise) -> None:
    found = recognised(TABLES, "toml")
    (run,) = found.runs  # train_util.py: read_config_from_file flattens them
    assert (found.dialect, run.use_peft, run.per_device_train_batch_size, run.fp16) == ("kohya", True, 4, True)


def test_a_preset_of_the_gui(recognised: Recognise) -> None:
    found = recognised(GUI, "json")
    assert (found.dialect, found.problems, found.runs[0].per_device_train_batch_size) == ("kohya", (), 4)


@pytest.mark.parametrize(("text", "kind"), [(LORA, "toml"), (TABLES, "toml"), (GUI, "json")])
def test_there_is_never_a_number(recognised: Recognise, text: str, kind: str) -> None:
    (run,) = recognised(text, kind).runs
    assert "memory of image training comes later" in run.unknown["model_name_or_path"]


def test_defaults(recognised: Recognise) -> None:
    text = "resolution = 512\nenable_bucket = true\nclip_skip = 2\nmax_train_steps = 5\nlr_scheduler = 'x'\n"
    text += "train_data_dir = 'd'\n"
    (run,) = recognised(text, "toml").runs  # train_util.py
    assert (run.per_device_train_batch_size, run.gradient_accumulation_steps, run.gradient_checkpointing) == (1, 1, False)
    assert (run.bf16, run.fp16, run.max_grad_norm, run.use_peft) == (False, False, 1.0, False)


@pytest.mark.parametrize("text", [
    "[[datasets]]\nresolution = 512\nbatch_size = 4\nenable_bucket = true\n[[datasets.subsets]]\nimage_dir = 'x'\n",
    "learning_rate = 1e-4\nmixed_precision = 'bf16'\ntrain_batch_size = 3\nlr_scheduler = 'cosine'\n",
])
def test_near_neighbours(is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text, "toml")


@pytest.mark.parametrize(("change", "line"), [
    (Change("per_device_train_batch_size", 1), "train_batch_size = 1"),
    (Change("gradient_checkpointing", False), "gradient_checkpointing = false"),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], change: Change, line: str) -> None:
    text, again = changed(LORA, change, kind="toml")
    assert line in text.splitlines()
    assert getattr(again.runs[0], change.key) == change.value
