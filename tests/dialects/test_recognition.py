"""What is a Hugging Face training config, and what is not."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from vramlint.dialects import Recognised, recognise
from vramlint.dialects.schemas import dialect_names
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
    ('{"peft_type": "LORA", "r": 8, "lora_alpha": 16, "base_model_name_or_path": "a/b"}', "json"),
    ('{"model_type": "llama", "hidden_size": 4096, "torch_dtype": "bfloat16", "vocab_size": 32000}', "json"),
    ("model: {_component_: torchtune.models.llama3.llama3_8b}\nbatch_size: 2\n", "yaml"),
    ("model_name_or_path: a/b\nmax_model_len: 4096\ntensor_parallel_size: 2\n", "yaml"),
    ('[project]\nname = "x"\n[tool.ruff]\nline-length = 120\n', "toml"),
    ("[1, 2, 3]", "json"), ("just text", "yaml"), ("- a\n- b\n", "yaml"),
    ("model = AutoModelForCausalLM.from_pretrained('a/b')\nmodel.generate()\n", "python"),
    ("m = FastLanguageModel.from_pretrained('a')\nm.generate()\n", "python"),
])
def test_near_neighbours_and_other_files(is_recognised: IsKnown, text: str, kind: str) -> None:
    assert not is_recognised(text, kind)


@pytest.mark.parametrize(("text", "dialect"), [(AXOLOTL, "axolotl"), (LLAMA_FACTORY, "llamafactory")])
def test_neighbours_have_their_own_dialects(recognised: Callable[..., Recognised], text: str, dialect: str) -> None:
    assert recognised(text).dialect == dialect


def test_two_dialects_are_both_named(recognised: Callable[..., Recognised]) -> None:
    both = AXOLOTL + "model: a/b\ntuner_type: full\ndataset: x\nper_device_train_batch_size: 2\n"
    found = recognised(both)
    (problem,) = [p for p in found.problems if p.kind == "two-dialects"]
    assert "axolotl" in problem.message
    assert "ms-swift" in problem.message
    assert "dialect=" in problem.help[0]
    chosen = recognised("# vramlint: dialect=ms-swift\n" + both)
    assert chosen.dialect == "ms-swift"
    assert "two-dialects" not in {p.kind for p in chosen.problems}


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


CORPUS_NAMES = {
    "trl-yaml": "huggingface", "axolotl": "axolotl", "llamafactory": "llamafactory", "ms-swift": "ms-swift",
    "torchtune": "torchtune", "litgpt": "litgpt", "open-instruct": "open-instruct", "torchtitan": "torchtitan",
}
"""What the corpus calls a dialect, and what the schemas do."""


def test_the_corpus_is_told_apart(corpus: Path) -> None:
    known: Counter[str] = Counter()
    total: Counter[str] = Counter()
    with (corpus / "INDEX.csv").open(encoding="utf-8") as index:
        rows = list(csv.DictReader(index))
    expected = {theirs: ours for theirs, ours in CORPUS_NAMES.items() if ours in dialect_names()}
    for row in rows[:: 3]:
        path = corpus / row["file"]
        try:
            file = read(path.name, path.read_bytes(), format_of(path.name) or "yaml")
        except SourceError:
            continue
        found = {one.dialect for document in file.documents if (one := recognise(file, document)) is not None}
        if row["kind"] == "training" and row["dialect"] in expected:
            total[row["dialect"]] += 1
            known[row["dialect"]] += expected[row["dialect"]] in found
            found.discard(expected[row["dialect"]])
        elif row["dialect"] in expected:
            found.discard(expected[row["dialect"]])
        assert not found & set(expected.values()), row["file"]
    missed = {dialect: total[dialect] - known[dialect] for dialect in total if known[dialect] < 0.98 * total[dialect] - 1}
    assert not missed
    assert sum(total.values()) > 100


def test_a_json_schema_of_configs_is_no_config(is_recognised: Callable[..., bool]) -> None:
    keys = '"model_name_or_path": {"type": "string"}, "per_device_train_batch_size": {"type": "integer"}, "output_dir": {}'
    assert not is_recognised(f'{{"$schema": "https://json-schema.org/draft/2020-12/schema", "properties": {{{keys}}}}}', "json")
    written = '"model_name_or_path": "gpt2", "per_device_train_batch_size": 1, "output_dir": "out"'
    assert is_recognised(f'{{"$schema": "./vramlint.json", {written}}}', "json")
