"""Runs that cannot be, said in each of the four formats: a finding where it is written, never a number nor a traceback."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Vramlint = Callable[..., subprocess.CompletedProcess[str]]
FORMATS = ("yaml", "toml", "json", "py")
BERT = {"model_name_or_path": "google-bert/bert-base-uncased", "task": "seq-cls"}
LORA = {"use_peft": True, "lora_r": 16, "lora_target_modules": ["query", "value"]}
BAD = [
    ({"per_device_train_batch_size": 0}, "per_device_train_batch_size"),
    ({"per_device_train_batch_size": -4}, "per_device_train_batch_size"),
    ({"per_device_train_batch_size": 10**9}, "per_device_train_batch_size"),
    ({"max_length": 513}, "max_length"),
    ({**LORA, "lora_target_modules": ["nothing_such"]}, "lora_target_modules"),
    ({**LORA, "lora_r": 0}, "lora_r"),
]
CALLS = {"lora_r": "r", "lora_target_modules": "target_modules"}
"""What arguments of peft's LoraConfig are called."""


def written(kind: str, run: dict[str, object]) -> str:
    """The run in one of the formats, one key a line."""
    if kind == "py":
        return _script(run)
    if kind == "json":
        return "{\n" + ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in run.items()) + "\n}\n"
    mark = ": " if kind == "yaml" else " = "
    return "".join(f"{key}{mark}{json.dumps(value)}\n" for key, value in run.items())


def _script(run: dict[str, object]) -> str:
    lora = [f"    {CALLS[key]}={run[key]!r},\n" for key in CALLS if key in run]
    given = {key: run[key] for key in ("output_dir", "bf16", "per_device_train_batch_size")}
    return "".join([
        "from peft import LoraConfig\nfrom transformers import *\n",
        f"model = AutoModelForSequenceClassification.from_pretrained({run['model_name_or_path']!r})\n",
        f"max_length = {run['max_length']}\n",
        *(["lora = LoraConfig(\n", *lora, ")\n"] if lora else []),
        "args = TrainingArguments(\n", *(f"    {key}={value!r},\n" for key, value in given.items()), ")\n",
        "Trainer(model=model, args=args).train()\n",
    ])


def line_of(text: str, key: str, kind: str) -> int:
    """The line in which the key stands."""
    name = CALLS.get(key, key) if kind == "py" else key
    begins = tuple(f"{name}{mark}" for mark in ("=", " ", ":", '"'))
    (found,) = (i for i, line in enumerate(text.splitlines(), 1) if line.strip().lstrip('"').startswith(begins))
    return found


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(("bad", "key"), BAD, ids=lambda value: str(value)[:60])
def test_it_is_found_where_it_is_written(
    vramlint: Vramlint, tmp_path: Path, kind: str, bad: dict[str, object], key: str,
) -> None:
    run = {**BERT, "trainer": "transformers", "output_dir": "out", "bf16": True, "per_device_train_batch_size": 8,
           "max_length": 256, **bad}
    text = written(kind, run)
    (tmp_path / f"train.{kind}").write_text(text)
    done = vramlint("--isolated", "--target", "rtx3090", "--output-format", "json", f"train.{kind}")
    said = json.loads(done.stdout)
    assert [record for record in said["files"] if record["estimate"]] == []
    line = line_of(text, key, kind)
    assert line in [found["span"]["start"]["line"] for found in said["findings"] if found["span"]], done.stdout


@pytest.mark.parametrize("kind", FORMATS)
def test_a_rank_larger_than_a_matrix_is_found(vramlint: Vramlint, tmp_path: Path, kind: str) -> None:
    run = {**BERT, "trainer": "transformers", "output_dir": "out", "bf16": True, "per_device_train_batch_size": 8,
           "max_length": 256, **LORA, "lora_r": 1024}
    text = written(kind, run)
    (tmp_path / f"train.{kind}").write_text(text)
    done = vramlint("--isolated", "--target", "rtx3090", "--output-format", "concise", f"train.{kind}")
    assert f"train.{kind}:{line_of(text, 'lora_r', kind)}:" in done.stdout
    assert "VRM614" in done.stdout
    assert "768" in done.stdout


@pytest.mark.parametrize("fields", [{"num_attention_heads": 10}, {"num_attention_heads": 0}, {"hidden_size": -768}])
def test_heads_that_do_not_divide_are_found(vramlint: Vramlint, tmp_path: Path, fields: dict[str, int]) -> None:
    config = {"model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "vocab_size": 30522,
              "intermediate_size": 3072, **fields}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text(json.dumps(config))
    run = {"model_name_or_path": "./mine", "task": "seq-cls", "trainer": "transformers", "output_dir": "out", "bf16": True,
           "per_device_train_batch_size": 8, "max_length": 256}
    (tmp_path / "train.yaml").write_text(written("yaml", run))
    for arguments in ((), ("--model-config", "mine/config.json")):
        done = vramlint("--isolated", "--target", "rtx3090", *arguments, "train.yaml")
        assert done.returncode == 1
        assert "train.yaml:1:" in done.stdout
        assert "GiB" not in done.stdout
