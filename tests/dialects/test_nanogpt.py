"""nanoGPT: its own configs (karpathy/nanoGPT 3adf61e1, config/*.py, MIT), defaults read off its train.py, and writing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
GPT2 = """\
# config for training GPT-2 (124M) down to very nice loss of ~2.85 on 1 node of 8X A100 40GB
wandb_log = True
wandb_project = 'owt'
wandb_run_name='gpt2-124M'
# 12 batch size * 1024 block size * 5 gradaccum * 8 GPUs = 491,520
batch_size = 12
block_size = 1024
gradient_accumulation_steps = 5 * 8
max_iters = 600000
lr_decay_iters = 600000
eval_interval = 1000
eval_iters = 200
log_interval = 10
weight_decay = 1e-1
"""
SHAKESPEARE = """\
import time
out_dir = 'out-shakespeare'
eval_interval = 5
eval_iters = 40
wandb_run_name = 'ft-' + str(time.time())
dataset = 'shakespeare'
init_from = 'gpt2-xl' # this is the largest GPT-2 model
always_save_checkpoint = False
batch_size = 1
gradient_accumulation_steps = 32
max_iters = 20
learning_rate = 3e-5
decay_lr = False
"""
CHARACTERS = """\
out_dir = 'out-shakespeare-char'
eval_interval = 250
dataset = 'shakespeare_char'
gradient_accumulation_steps = 1
batch_size = 64
block_size = 256 # context of up to 256 previous characters
n_layer = 6
n_head = 6
n_embd = 384
dropout = 0.2
max_iters = 5000
lr_decay_iters = 5000
"""
EVALUATION = "batch_size = 8\neval_iters = 500\neval_only = True\ninit_from = 'gpt2'\nmax_iters = 1\nout_dir = 'o'\n"


def test_whole_files(recognised: Recognise) -> None:
    found = recognised(GPT2, "python")
    (run,) = found.runs
    assert (found.dialect, found.problems, dict(run.unknown)) == ("nanogpt", (), {})
    expected = {
        "trainer": "nanogpt", "per_device_train_batch_size": 12, "gradient_accumulation_steps": 40, "max_length": 1024,
        "dtype": "float32", "bf16": True, "fp16": False, "optim": "adamw_torch_fused", "weight_decay": 0.1, "padding": False,
        "gradient_checkpointing": False, "eval_strategy": "steps", "per_device_eval_batch_size": 12,
    }
    assert {key: getattr(run, key) for key in expected} == expected


def test_the_model_is_what_the_file_says(recognised: Recognise) -> None:
    characters = recognised(CHARACTERS, "python").model_config or {}
    sizes = ("num_hidden_layers", "num_attention_heads", "hidden_size", "vocab_size", "attention_bias", "hidden_dropout")
    assert [characters[key] for key in sizes] == [6, 6, 384, 65, False, 0.2]  # data/shakespeare_char/prepare.py: 65
    largest = recognised(SHAKESPEARE, "python")
    assert largest.runs[0].model_name_or_path == "gpt2-xl"
    assert [(largest.model_config or {})[key] for key in sizes] == [48, 25, 1600, 50257, True, 0.0]  # model.py


def test_defaults(recognised: Recognise) -> None:
    (run,) = recognised(SHAKESPEARE, "python").runs  # train.py
    assert (run.max_length, run.max_grad_norm, run.torch_compile, run.weight_decay) == (1024, 1.0, True, 0.1)
    sizes = recognised(GPT2, "python").model_config or {}
    assert (sizes["num_hidden_layers"], sizes["hidden_size"], sizes["vocab_size"]) == (12, 768, 50304)


@pytest.mark.parametrize(("line", "key"), [
    ("init_from = 'resume'\n", "model_name_or_path"), ("init_from = 'gpt9'\n", "model_name_or_path"),
])
def test_what_is_not_known(recognised: Recognise, line: str, key: str) -> None:
    assert key in recognised(GPT2 + line, "python").runs[0].unknown


@pytest.mark.parametrize(("word", "expected"), [
    ("float16", (False, True)), ("float32", (False, False)), ("bfloat16", (True, False)),
])
def test_precision_is_one_word(recognised: Recognise, word: str, expected: tuple[bool, bool]) -> None:
    (run,) = recognised(GPT2 + f"dtype = '{word}'\n", "python").runs
    assert (run.dtype, run.bf16, run.fp16) == ("float32", *expected)


@pytest.mark.parametrize("text", [
    EVALUATION,  # config/eval_gpt2.py only evaluates
    # the lecture's single file (karpathy/ng-video-lecture, gpt.py) has the same names above a model of its own
    "batch_size = 64\nblock_size = 256\nmax_iters = 5000\neval_interval = 500\neval_iters = 200\ne = nn.Embedding(65, 384)\n",
    "pretrained_model_name_or_path = 'a/b'\nbatch_size = 1\nmax_length = 5\nlr = 1e-4\nmax_epochs = 3\n",
    "from transformers import TrainingArguments\nblock_size = 128\nbatch_size = 8\nTrainingArguments('o', max_steps=5)\n",
])
def test_near_neighbours(recognised: Recognise, is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text, "python") or recognised(text, "python").dialect != "nanogpt"


@pytest.mark.parametrize(("changes", "lines"), [
    ([Change("per_device_train_batch_size", 16), Change("gradient_accumulation_steps", 4)],
     ["batch_size = 16", "gradient_accumulation_steps = 4"]),
    ([Change("max_length", 128)], ["block_size = 128 # context of up to 256 previous characters"]),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], changes: list[Change], lines: list[str]) -> None:
    text, again = changed(CHARACTERS, *changes, kind="python")
    assert set(lines) <= set(text.splitlines())
    assert {c.key: getattr(again.runs[0], c.key) for c in changes} == {c.key: c.value for c in changes}


def test_there_is_no_checkpointing(refusal: Callable[..., str]) -> None:
    assert "no key" in refusal(GPT2, Change("gradient_checkpointing", True), kind="python")
