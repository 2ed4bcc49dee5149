"""XTuner: a whole module, defaults read off its source (b934f462), and writing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
QLORA = """\
import torch
from mmengine.optim import AmpOptimWrapper
from peft import LoraConfig
from torch.optim import AdamW
from transformers import AutoModelForCausalLM, BitsAndBytesConfig
from xtuner.model import SupervisedFinetune

pretrained_model_name_or_path = "internlm/internlm2-7b"
use_varlen_attn = False
max_length = 2048
pack_to_max_length = True
batch_size = 1  # per_device
accumulative_counts = 16
dataloader_num_workers = 0
optim_type = AdamW
lr = 2e-4
max_norm = 1

model = dict(
    type=SupervisedFinetune,
    use_varlen_attn=use_varlen_attn,
    llm=dict(
        type=AutoModelForCausalLM.from_pretrained,
        pretrained_model_name_or_path=pretrained_model_name_or_path,
        torch_dtype=torch.float16,
        quantization_config=dict(
            type=BitsAndBytesConfig,
            load_in_4bit=True,
            bnb_4bit_compute_dtype=torch.float16,
            bnb_4bit_use_double_quant=True,
            bnb_4bit_quant_type="nf4",
        ),
    ),
    lora=dict(type=LoraConfig, r=64, lora_alpha=16, lora_dropout=0.1, task_type="CAUSAL_LM"),
)
train_dataloader = dict(batch_size=batch_size, num_workers=dataloader_num_workers)
optim_wrapper = dict(type=AmpOptimWrapper, optimizer=dict(type=optim_type, lr=lr), accumulative_counts=accumulative_counts)
param_scheduler = []
train_cfg = dict(max_epochs=3)
"""
FULL = QLORA[:QLORA.index("model = dict(")] + (
    "model = dict(type=SupervisedFinetune, llm=dict(pretrained_model_name_or_path=pretrained_model_name_or_path))\n"
) + QLORA[QLORA.index("train_dataloader"):]


def test_a_whole_file(recognised: Recognise) -> None:
    found = recognised(QLORA, "python")
    (run,) = found.runs
    assert (found.dialect, found.problems, dict(run.unknown)) == ("xtuner", (), {})
    expected = {
        "trainer": "xtuner", "model_name_or_path": "internlm/internlm2-7b", "dtype": "float16", "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": "float16", "use_peft": True,
        "lora_r": 64, "lora_alpha": 16, "lora_dropout": 0.1, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 16,
        "max_length": 2048, "packing": True, "padding": False, "optim": "adamw_torch", "learning_rate": 2e-4,
        "gradient_checkpointing": True, "prepare_model_for_kbit_training": True,
    }
    assert {key: getattr(run, key) for key in expected} == expected


def test_defaults(recognised: Recognise) -> None:
    (run,) = recognised(FULL, "python").runs  # model/sft.py: use_activation_checkpointing is True
    assert (run.use_peft, run.load_in_4bit, run.gradient_checkpointing, run.context_parallel_size) == (False, False, True, 1)


def test_without_named_modules_lora_takes_every_linear_layer(recognised: Recognise) -> None:
    assert recognised(QLORA, "python").runs[0].lora_target_modules in ("all-linear", ("all-linear",))


def test_a_count_that_is_multiplied_is_not_known(recognised: Recognise) -> None:
    text = QLORA.replace("accumulative_counts = 16", "accumulative_counts = 16\naccumulative_counts *= sequence_parallel_size")
    assert "gradient_accumulation_steps" in recognised(text, "python").runs[0].unknown


@pytest.mark.parametrize("text", [
    "model = dict(type='ResNet')\ntrain_dataloader = dict(batch_size=3)\noptim_wrapper = dict()\ntrain_cfg = dict()\n",
    "max_length = 5\npretrained_model_name_or_path = 'gpt2'\nprint(max_length)\n",
    "batch_size = 12\nblock_size = 1024\nn_layer = 12\nmax_iters = 5\n",
])
def test_near_neighbours(recognised: Recognise, is_recognised: Callable[..., bool], text: str) -> None:
    assert not is_recognised(text, "python") or recognised(text, "python").dialect != "xtuner"


@pytest.mark.parametrize(("change", "line"), [
    (Change("per_device_train_batch_size", 2), "batch_size = 2  # per_device"), (Change("max_length", 512), "max_length = 512"),
    (Change("gradient_accumulation_steps", 8), "accumulative_counts = 8"),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], change: Change, line: str) -> None:
    text, again = changed(QLORA, change, kind="python")
    assert line in text.splitlines()
    assert getattr(again.runs[0], change.key) == change.value
