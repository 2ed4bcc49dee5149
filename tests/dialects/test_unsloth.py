"""unsloth: a whole script, a Studio file, defaults read off its source (015bdef0), and writing back.

The script is written for this test as the notebooks of unslothai/notebooks are (LGPL-3.0, so none is copied); Studio's keys are
those of its shipped configs.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised
from vramlint.run import Change

Recognise = Callable[..., Recognised]
SCRIPT = """\
from unsloth import FastLanguageModel
import torch
from trl import SFTTrainer, SFTConfig
max_seq_length = 2048
load_in_4bit = True
model, tokenizer = FastLanguageModel.from_pretrained(
    model_name="unsloth/Llama-3.1-8B",
    max_seq_length=max_seq_length,
    dtype=None,
    load_in_4bit=load_in_4bit,
)
model = FastLanguageModel.get_peft_model(
    model,
    r=32,
    target_modules=["q_proj", "v_proj"],
    lora_alpha=64,
    use_gradient_checkpointing="unsloth",
)
trainer = SFTTrainer(
    model=model,
    train_dataset=dataset,
    args=SFTConfig(
        per_device_train_batch_size=2,
        gradient_accumulation_steps=4,
        optim="adamw_8bit",
        learning_rate=2e-4,
    ),
)
"""
LEAST = """\
from unsloth import FastLanguageModel
from trl import SFTTrainer, SFTConfig
model, tokenizer = FastLanguageModel.from_pretrained("unsloth/Qwen3-4B")
model = FastLanguageModel.get_peft_model(model)
SFTTrainer(model=model, args=SFTConfig(output_dir="o"))
"""
STUDIO = """\
    model: unsloth/Qwen2.5-0.5B
    training:
      training_type: lora
      max_seq_length: 1024
      load_in_4bit: true
      batch_size: 3
      train_on_completions: true
      gradient_checkpointing: unsloth
    lora:
      lora_r: 64
      target_modules: "q_proj,k_proj"
      use_loftq: false
      finetune_language_layers: true
    """


def test_a_whole_script(recognised: Recognise) -> None:
    found = recognised(SCRIPT, "python")
    (run,) = found.runs
    assert (found.dialect, found.problems, dict(run.unknown)) == ("unsloth", (), {})
    expected = {
        "trainer": "unsloth", "model_name_or_path": "unsloth/Llama-3.1-8B", "dtype": "bfloat16", "bf16": True,
        "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True, "use_peft": True, "lora_r": 32,
        "lora_alpha": 64, "lora_target_modules": ("q_proj", "v_proj"), "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4, "max_length": 2048, "gradient_checkpointing": True, "activation_offloading": True,
        "optim": "adamw_8bit", "learning_rate": 2e-4, "padding_free": True, "padding": False, "packing": False,
    }
    assert {key: getattr(run, key) for key in expected} == expected


def test_a_studio_file(recognised: Recognise) -> None:
    found = recognised(STUDIO)
    (run,) = found.runs
    assert (found.dialect, found.problems, dict(run.unknown), run.trainer) == ("unsloth", (), {}, "unsloth")
    assert (run.load_in_4bit, run.use_peft, run.lora_r, run.lora_alpha) == (True, True, 64, 16)
    assert (run.lora_target_modules, run.max_length, run.per_device_train_batch_size) == (("q_proj", "k_proj"), 1024, 3)
    (full,) = recognised(STUDIO.replace("training_type: lora", "training_type: full")).runs
    assert (full.use_peft, full.load_in_4bit) == (False, False)


def test_defaults(recognised: Recognise) -> None:
    (run,) = recognised(LEAST, "python").runs
    expected = {  # loader.py and llama.py; rl.py, `replacements`
        "load_in_4bit": True, "max_length": 2048, "lora_r": 16, "lora_alpha": 16, "lora_dropout": 0.0,
        "lora_target_modules": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        "gradient_checkpointing": True, "activation_offloading": True, "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2, "optim": "adamw_8bit", "weight_decay": 0.001,
    }
    assert {key: getattr(run, key) for key in expected} == expected


@pytest.mark.parametrize(("before", "after", "expected"), [
    ("load_in_4bit = True", "load_in_4bit = False", {"load_in_4bit": False, "dtype": "bfloat16"}),
    ("dtype=None,", "dtype=None, full_finetuning=True,", {"load_in_4bit": False, "use_peft": False}),
    ('checkpointing="unsloth"', "checkpointing=True", {"gradient_checkpointing": True, "activation_offloading": False}),
    ('checkpointing="unsloth"', "checkpointing=False", {"gradient_checkpointing": False, "activation_offloading": False}),
    ("max_seq_length = 2048", "max_seq_length = 256", {"gradient_checkpointing": True, "activation_offloading": False}),
    ("dtype=None", "dtype=torch.float16", {"dtype": "float16", "fp16": True, "bf16": False}),
])
def test_what_the_loader_makes_of_it(recognised: Recognise, before: str, after: str, expected: dict[str, object]) -> None:
    (run,) = recognised(SCRIPT.replace(before, after), "python").runs
    assert {key: getattr(run, key) for key in expected} == expected


def test_preferences_are_not_simulated_as_supervised_tuning(recognised: Recognise) -> None:
    text = LEAST.replace("SFTTrainer", "DPOTrainer").replace("SFTConfig", "DPOConfig")
    assert recognised(text, "python").runs[0].trainer == "other"


@pytest.mark.parametrize("loader", ["FastModel", "FastVisionModel"])
def test_other_loaders_put_other_layers_in_place(recognised: Recognise, loader: str) -> None:
    assert recognised(LEAST.replace("FastLanguageModel", loader), "python").runs[0].trainer == "other"


@pytest.mark.parametrize(("text", "kind"), [
    ("model, t = FastLanguageModel.from_pretrained('a/b')\nFastLanguageModel.for_inference(model)\nmodel.generate()\n", "python"),
    ("from trl import SFTConfig, SFTTrainer\nSFTTrainer('a/b', args=SFTConfig('o'))\n", "python"),
    ("model = AutoModelForCausalLM.from_pretrained('a/b')\nmodel = get_peft_model(model, LoraConfig())\n", "python"),
    ("model: a/b\ntraining:\n  batch_size: 2\n  learning_rate: 2e-4\nlora:\n  r: 8\n", "yaml"),
])
def test_near_neighbours(recognised: Recognise, is_recognised: Callable[..., bool], text: str, kind: str) -> None:
    assert not is_recognised(text, kind) or recognised(text, kind).dialect != "unsloth"


@pytest.mark.parametrize(("change", "line"), [
    (Change("per_device_train_batch_size", 1), "        per_device_train_batch_size=1,"),
    (Change("max_length", 1024), "max_seq_length = 1024"), (Change("lora_r", 8), "    r=8,"),
    (Change("load_in_4bit", False), "load_in_4bit = False"),
    (Change("gradient_checkpointing", False), "    use_gradient_checkpointing=False,"),
])
def test_write_back(changed: Callable[..., tuple[str, Recognised]], change: Change, line: str) -> None:
    text, again = changed(SCRIPT, change, kind="python")
    assert line in text.splitlines()
    assert getattr(again.runs[0], change.key) == change.value


def test_a_base_in_4_bits_is_one_word_of_its_loader(changed: Callable[..., tuple[str, Recognised]]) -> None:
    four = (Change("load_in_4bit", True), Change("bnb_4bit_quant_type", "nf4"), Change("bnb_4bit_compute_dtype", "float16"))
    text, again = changed(SCRIPT.replace("load_in_4bit = True", "load_in_4bit = False"), *four, kind="python")
    assert text == SCRIPT
    assert again.runs[0].bnb_4bit_compute_dtype == "bfloat16"  # that of the model


def test_write_back_to_studio(changed: Callable[..., tuple[str, Recognised]], refusal: Callable[..., str]) -> None:
    text, again = changed(STUDIO, Change("per_device_train_batch_size", 1), Change("gradient_accumulation_steps", 12))
    assert "  batch_size: 1" in text
    assert again.runs[0].gradient_accumulation_steps == 12
    assert "kernels of its own" in refusal(STUDIO, Change("use_liger_kernel", True))


def test_without_a_dtype_the_card_decides(recognised: Recognise) -> None:
    assert {"dtype", "bf16", "fp16"} <= recognised(SCRIPT, "python").asks_card
    assert not recognised(SCRIPT.replace("dtype=None", "dtype=torch.bfloat16"), "python").asks_card
