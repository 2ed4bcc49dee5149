"""The reference run in four formats is one run, each value at its own place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vramlint.dialects import Recognised, recognise
from vramlint.source import SourceFile, read

REFERENCE = Path(__file__).parents[2] / "examples" / "reference"
FORMATS = ("yaml", "toml", "json", "py")
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def loaded(suffix: str) -> tuple[SourceFile, Recognised]:
    path = REFERENCE / f"train.{suffix}"
    file = read(path.name, path.read_bytes())
    found = recognise(file, file.documents[0])
    assert found is not None
    return file, found


@pytest.mark.parametrize("suffix", FORMATS)
def test_it_is_the_measured_run(suffix: str) -> None:
    _, found = loaded(suffix)
    assert (found.problems, found.trainer_open, len(found.runs)) == ((), None, 1)
    run = found.runs[0]
    assert not run.unknown
    expected = {
        "model_name_or_path": "deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", "trainer": "transformers", "dtype": "auto",
        "load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": False,
        "bnb_4bit_compute_dtype": "bfloat16", "prepare_model_for_kbit_training": True, "use_peft": True, "lora_r": 32,
        "lora_alpha": 64, "lora_dropout": 0.0, "lora_target_modules": MODULES, "autocast_adapter_dtype": True,
        "per_device_train_batch_size": 8, "gradient_accumulation_steps": 8, "max_length": 512, "padding": False,
        "bf16": True, "fp16": False, "gradient_checkpointing": True, "use_reentrant": False, "loss_type": None,
        "optim": "adamw_torch_fused", "learning_rate": 2e-4, "use_liger_kernel": False, "reference_model": None,
    }
    assert {key: getattr(run, key) for key in expected} == expected


@pytest.mark.parametrize("suffix", FORMATS[1:])
def test_the_four_formats_say_the_same(suffix: str) -> None:
    (run,), (other,) = loaded(suffix)[1].runs, loaded("yaml")[1].runs
    assert replace(run, task=None) == replace(other, task=None)
    assert run.task == ("causal-lm" if suffix == "py" else None)  # which only the script's class says


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("key", "text"), [
    ("per_device_train_batch_size", "8"), ("max_length", "512"), ("gradient_checkpointing", "true"),
    ("learning_rate", "2"), ("lora_r", "32"), ("use_reentrant", "false"), ("padding", "false"),
])
def test_a_value_is_found_where_it_is_written(suffix: str, key: str, text: str) -> None:
    file, found = loaded(suffix)
    origin = found.origins[key]
    assert origin.kind == "written"
    assert origin.value_span is not None
    assert file.text[origin.value_span.start : origin.value_span.end].lower().startswith(text)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_key_has_an_origin_and_defaults_name_their_class(suffix: str) -> None:
    _, found = loaded(suffix)
    assert found.origins["per_device_eval_batch_size"].why == "TrainingArguments of transformers 5.17.0"
    assert found.origins["lora_dropout"].why == "LoraConfig of peft 0.21.2"
    assert found.origins["bnb_4bit_use_double_quant"].why == "BitsAndBytesConfig of transformers 5.17.0"
    assert all(getattr(found.runs[0], key) is not None for key in found.origins if found.origins[key].kind == "written")
