"""prime-rl: whole files of its two commands, defaults read off its source (559b4477), and writing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
SFT = """\
max_steps = 5
[ckpt]
[model]
name = "PrimeIntellect/Qwen3-0.6B"
[model.lora]
rank = 8
target_modules = ["q_proj", "v_proj"]
[data]
name = "PrimeIntellect/Reverse-Text-SFT"
batch_size = 4
micro_batch_size = 2
seq_len = 1024
[optim]
lr = 1.5e-5
"""
RL = """\
max_steps = 20
seq_len = 2048
[deployment]
num_train_gpus = 2
[model]
name = "Qwen/Qwen3-4B"
[orchestrator]
batch_size = 128
[trainer.optim]
lr = 3e-6
[trainer.model.lora]
rank = 4
[inference]
"""


def test_sft(recognised: Recognise) -> None:
    found = recognised(SFT, "toml")
    (run,) = found.runs
    assert (found.dialect, found.problems, dict(run.unknown)) == ("prime-rl", (), {})
    expected = {
        "trainer": "prime-rl", "model_name_or_path": "PrimeIntellect/Qwen3-0.6B", "use_peft": True, "lora_r": 8, "lora_alpha": 32,
        "lora_target_modules": ("q_proj", "v_proj"), "per_device_train_batch_size": 2, "max_length": 1024,
        "learning_rate": 1.5e-5,
    }
    assert {key: getattr(run, key) for key in expected} == expected


def test_rl(recognised: Recognise) -> None:
    found = recognised(RL, "toml")
    (run,) = found.runs
    assert (found.dialect, found.problems) == ("prime-rl", ())
    assert (run.model_name_or_path, run.max_length, run.lora_r, run.use_peft) == ("Qwen/Qwen3-4B", 2048, 4, True)
    assert (run.learning_rate, run.num_processes) == (3e-6, 2)


def test_defaults(recognised: Recognise) -> None:
    text = '[model]\nimpl = "hf"\n[data]\ntype = "sft"\nseq_len = 64\n[ckpt]\n[orchestrator]\n[trainer]\n'
    (run,) = recognised(text, "toml").runs  # configs/{shared,trainer,sft}.py
    assert (run.model_name_or_path, run.dtype, run.per_device_train_batch_size) == ("Qwen/Qwen3-0.6B", "float32", 1)
    assert (run.use_peft, run.offload_optimizer, run.context_parallel_size) == (False, True, 1)


@pytest.mark.parametrize("text", [
    '[model]\nname = "x"\n[client]\nurl = "y"\n',
    '[model]\nname = "llama3"\nflavor = "8B"\n[training]\nseq_len = 5\n[optimizer]\nname = "AdamW"\n',
    '[project]\nname = "x"\n[tool.ruff]\nline-length = 3\n',
])
def test_near_neighbours(recognised: Recognise, is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text, "toml") or recognised(text, "toml").dialect != "prime-rl"


@pytest.mark.parametrize(("change", "line"), [
    (Change("per_device_train_batch_size", 1), "micro_batch_size = 1"), (Change("lora_r", 4), "rank = 4"),
    (Change("max_length", 512), "seq_len = 512"),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], change: Change, line: str) -> None:
    text, again = changed(SFT, change, kind="toml")
    assert line in text.splitlines()
    assert getattr(again.runs[0], change.key) == change.value
