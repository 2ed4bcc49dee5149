"""OpenRLHF's flags in a file: today's groups and the flat names of before; defaults read off its source (3c3be623)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
NOW = """\
    model:
      model_name_or_path: meta-llama/Meta-Llama-3-8B
      gradient_checkpointing_enable: true
    train:
      micro_batch_size: 2
      batch_size: 256
    data:
      max_len: 4096
    ds:
      zero_stage: 3
      packing_samples: true
      lora:
        rank: 16
    adam:
      lr: 5e-6
    """
BEFORE = """\
    pretrain: meta-llama/Meta-Llama-3-8B
    micro_train_batch_size: 2
    train_batch_size: 256
    max_len: 2048
    zero_stage: 2
    flash_attn: true
    gradient_checkpointing: true
    lora_rank: 8
    """


def test_a_whole_file(recognised: Recognise) -> None:
    found = recognised(NOW)
    (run,) = found.runs
    assert (found.dialect, found.problems, set(run.unknown)) == ("openrlhf", (), {"num_processes"})  # the launch says
    expected = {
        "trainer": "openrlhf", "model_name_or_path": "meta-llama/Meta-Llama-3-8B", "gradient_checkpointing": True,
        "use_peft": True, "lora_r": 16, "lora_alpha": 16, "per_device_train_batch_size": 2, "max_length": 4096,
        "zero_stage": 3, "packing": True, "learning_rate": 5e-6, "dtype": "bfloat16",
    }
    assert {key: getattr(run, key) for key in expected} == expected


def test_the_names_of_before(recognised: Recognise) -> None:
    found = recognised(BEFORE)
    (run,) = found.runs
    assert (found.dialect, found.problems, run.model_name_or_path) == ("openrlhf", (), "meta-llama/Meta-Llama-3-8B")
    assert (run.per_device_train_batch_size, run.max_length, run.zero_stage) == (2, 2048, 2)
    assert (run.use_peft, run.lora_r, run.attn_implementation) == (True, 8, "flash_attention_2")


def test_defaults(recognised: Recognise) -> None:
    text = "model: {model_name_or_path: gpt2}\nds: {adam_offload: false, packing_samples: false, param_dtype: bf16}\n"
    (run,) = recognised(text).runs  # cli/train_sft.py
    assert (run.per_device_train_batch_size, run.max_length, run.zero_stage, run.use_peft) == (8, 2048, 2, False)
    assert (run.gradient_checkpointing, run.max_grad_norm, run.attn_implementation) == (False, 1.0, "flash_attention_2")


@pytest.mark.parametrize("text", [
    "model: {model_name_or_path: gpt2}\ntrain: {epochs: 3}\ndata: {path: x}\n", "zero_stage: 2\nmax_len: 5\nflash_attn: true\n",
    "pretrain: true\nlr: 3\nmax_len: 512\n",
])
def test_near_neighbours(recognised: Recognise, is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text) or recognised(text).dialect != "openrlhf"


@pytest.mark.parametrize(("change", "line"), [
    (Change("per_device_train_batch_size", 1), "  micro_batch_size: 1"), (Change("max_length", 512), "  max_len: 512"),
    (Change("lora_r", 4), "    rank: 4"),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], change: Change, line: str) -> None:
    text, again = changed(NOW, change)
    assert line in text.splitlines()
    assert getattr(again.runs[0], change.key) == change.value


# Flags of OpenRLHF's own scripts: OpenRLHF/OpenRLHF 3c3be623, examples/scripts/{train_sft,train_sft_mixtral_lora}.sh, Apache-2.0.
SFT = """\
    --data.max_len 2048 --data.dataset Open-Orca/OpenOrca --data.input_key question --data.output_key response
    --train.batch_size 256 --train.micro_batch_size 2 --data.max_samples 500000
    --model.model_name_or_path meta-llama/Meta-Llama-3-8B
    --ckpt.output_dir ./checkpoint/llama3-8b-sft --ckpt.save_steps -1 --logger.logging_steps 1 --eval.steps -1 --ds.zero_stage 2
    --train.max_epochs 1 --ds.param_dtype bf16 --ds.attn_implementation flash_attention_2 --adam.lr 5e-6 --ckpt.load_enable
    --ds.packing_samples --model.gradient_checkpointing_enable
    """
MIXTRAL = SFT.replace("meta-llama/Meta-Llama-3-8B", "mistralai/Mixtral-8x7B-v0.1").replace("zero_stage 2", "zero_stage 3")
LORA = f"{MIXTRAL} --ds.lora.rank 64 --ds.lora.alpha 64 --model.aux_loss_coef 0.001"


def in_a_file(flags: str) -> str:
    """The flags as a launcher keeps them: groups by their dots, a flag alone is true."""
    tree: dict[str, Any] = {}
    words = flags.split()
    for index, word in enumerate(words):
        if word.startswith("--"):
            *groups, last = word[2:].split(".")
            place = tree
            for group in groups:
                place = place.setdefault(group, {})
            following = words[index + 1] if index + 1 < len(words) else "--"
            place[last] = True if following.startswith("--") else yaml.safe_load(following)
    return yaml.safe_dump(tree, sort_keys=False)


@pytest.mark.parametrize(("flags", "expected"), [
    (SFT, {"model_name_or_path": "meta-llama/Meta-Llama-3-8B", "zero_stage": 2, "use_peft": False}),
    (LORA, {"model_name_or_path": "mistralai/Mixtral-8x7B-v0.1", "zero_stage": 3, "use_peft": True, "lora_r": 64}),
])
def test_its_own_scripts(recognised: Recognise, flags: str, expected: dict[str, object]) -> None:
    found = recognised(in_a_file(flags))
    (run,) = found.runs
    assert (found.dialect, found.problems, set(run.unknown)) == ("openrlhf", (), {"num_processes"})
    expected |= {
        "per_device_train_batch_size": 2, "max_length": 2048, "packing": True, "gradient_checkpointing": True,
        "dtype": "bfloat16",
        "attn_implementation": "flash_attention_2", "learning_rate": 5e-6,
    }
    assert {key: getattr(run, key) for key in expected} == expected
