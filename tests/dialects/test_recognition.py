"""What is a Hugging Face training config, and what is not."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from vramlint.dialects import recognise
from vramlint.source import SourceError, format_of, read

IsKnown = Callable[..., bool]
AXOLOTL = "base_model: a/b\nmicro_batch_size: 2\ngradient_accumulation_steps: 4\nsequence_len: 512\nadapter: lora\n"
LLAMA_FACTORY = """\
    model_name_or_path: a/b
    stage: sft
    finetuning_type: lora
    template: qwen
    cutoff_len: 1024
    per_device_train_batch_size: 1
    """
OUMI = """\
    model: {model_name: a/b}
    training: {trainer_type: TRL_SFT, per_device_train_batch_size: 2, learning_rate: 1.0}
    """


@pytest.mark.parametrize(("text", "kind"), [
    ("model_name_or_path: a/b\nlearning_rate: 1.0e-5\n", "yaml"),
    ("per_device_train_batch_size: 8\ngradient_accumulation_steps: 2\n", "yaml"),
    ("training_arguments:\n  per_device_train_batch_size: 8\n  learning_rate: 1.0e-5\n", "yaml"),
    ('[model]\nname = "a/b"\n[training]\nper_device_train_batch_size = 2\nlearning_rate = 1e-4\n', "toml"),
    ('{"model_name_or_path": "a/b", "num_train_epochs": 1}', "json"),
    ("from transformers import TrainingArguments\nargs = TrainingArguments(output_dir='o')\n", "python"),
    ("import trl\nconfig = trl.SFTConfig('o')\n", "python"),
])
def test_training_configs(is_recognised: IsKnown, text: str, kind: str) -> None:
    assert is_recognised(text, kind)


@pytest.mark.parametrize(("text", "kind"), [
    ('{"name": "x", "version": "1.0.0", "scripts": {"train": "node train.js"}, "dependencies": {}}', "json"),
    ("on: push\njobs:\n  test:\n    runs-on: ubuntu-latest\n    steps: [{run: pytest}]\n", "yaml"),
    ("services:\n  web: {image: nginx, ports: ['80:80']}\n", "yaml"),
    ("compute_environment: LOCAL_MACHINE\ndistributed_type: FSDP\nmixed_precision: bf16\nnum_processes: 8\n", "yaml"),
    ('{"train_micro_batch_size_per_gpu": "auto", "gradient_accumulation_steps": 1, "zero_optimization": {}}', "json"),
    ('{"peft_type": "LORA", "r": 8, "lora_alpha": 16, "base_model_name_or_path": "a/b"}', "json"),
    ('{"model_type": "llama", "hidden_size": 4096, "torch_dtype": "bfloat16", "vocab_size": 32000}', "json"),
    (AXOLOTL, "yaml"), (LLAMA_FACTORY, "yaml"), (OUMI, "yaml"),
    ("model: {_component_: torchtune.models.llama3.llama3_8b}\nbatch_size: 2\n", "yaml"),
    ("model_name_or_path: a/b\nmax_model_len: 4096\ntensor_parallel_size: 2\n", "yaml"),
    ('[project]\nname = "x"\n[tool.ruff]\nline-length = 120\n', "toml"),
    ("[1, 2, 3]", "json"), ("just text", "yaml"), ("- a\n- b\n", "yaml"),
    ("model = AutoModelForCausalLM.from_pretrained('a/b')\nmodel.generate()\n", "python"),
    ("m = FastLanguageModel.from_pretrained('a')\nSFTTrainer(m, SFTConfig('o'))\n", "python"),
])
def test_near_neighbours_and_other_files(is_recognised: IsKnown, text: str, kind: str) -> None:
    assert not is_recognised(text, kind)


def test_a_dialect_can_be_named() -> None:
    text = "base_model: a/b\nper_device_train_batch_size: 2\n"
    file = read("a.yaml", text.encode())
    assert recognise(file, file.documents[0]) is None
    named = recognise(file, file.documents[0], dialect="huggingface")
    assert named is not None
    assert [p.kind for p in named.problems if p.path == ("base_model",)] == ["foreign-key"]
    assert recognise(file, file.documents[0], dialect="nosuch") is None
    commented = read("a.yaml", f"# vramlint: dialect=huggingface\n{text}".encode())
    assert recognise(commented, commented.documents[0]) is not None


def test_the_corpus_holds_no_surprise(corpus: Path) -> None:
    known: Counter[str] = Counter()
    total: Counter[str] = Counter()
    with (corpus / "INDEX.csv").open(encoding="utf-8") as index:
        rows = list(csv.DictReader(index))
    every = {"trl-yaml": 1, "llamafactory": 2, "axolotl": 6, "open-instruct": 2, "oumi": 8, "ms-swift": 1}
    for number, row in enumerate(rows):
        if number % every.get(row["dialect"], 10):
            continue
        path = corpus / row["file"]
        try:
            file = read(path.name, path.read_bytes(), format_of(path.name) or "yaml")
        except SourceError:
            continue
        total[row["dialect"]] += 1
        found = [recognise(file, document) for document in file.documents]
        known[row["dialect"]] += any(found)
        for one in found:
            if one is not None:
                assert not [p for p in one.problems if p.kind in ("unknown-key", "foreign-key", "required", "type")]
    assert known["trl-yaml"] == total["trl-yaml"] > 0
    assert not {dialect: count for dialect, count in known.items() if count and dialect != "trl-yaml"}
