"""A script as unsloth's notebooks are, on the card of free Colab and on a small one: its number, and its words in plans.

Figures are of the same run on the phantom GPU (lab/data/measured/unsloth.jsonl). Written for this test; none of
unslothai/notebooks (LGPL-3.0) is copied.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.case import identity

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "lab/data/measured/unsloth.jsonl").read_text(encoding="utf-8").splitlines()
]
MODEL = {
    "model_type": "llama", "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28, "num_attention_heads": 24,
    "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 128256, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
    "max_position_embeddings": 2048,
}
SCRIPT = """\
from unsloth import FastLanguageModel
from datasets import load_dataset
from trl import SFTConfig, SFTTrainer
max_seq_length = 2048
model, tokenizer = FastLanguageModel.from_pretrained(
    model_name="./llama",
    max_seq_length=max_seq_length,
    dtype=None,
    load_in_4bit=True,
)
model = FastLanguageModel.get_peft_model(
    model,
    r=16,
    target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    lora_alpha=16,
    lora_dropout=0,
    bias="none",
    use_gradient_checkpointing="unsloth",
    random_state=3407,
)
trainer = SFTTrainer(
    model=model,
    tokenizer=tokenizer,
    train_dataset=load_dataset("mlabonne/FineTome-100k", split="train"),
    dataset_text_field="text",
    max_seq_length=max_seq_length,
    packing=False,
    args=SFTConfig(
        per_device_train_batch_size=2,
        gradient_accumulation_steps=4,
        warmup_steps=5,
        max_steps=60,
        learning_rate=2e-4,
        optim="adamw_8bit",
        weight_decay=0.01,
        seed=3407,
        output_dir="outputs",
        report_to="none",
    ),
)
trainer.train()
"""
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    (tmp_path / "llama").mkdir()
    (tmp_path / "llama" / "config.json").write_text(json.dumps(MODEL), encoding="utf-8")
    path = tmp_path / "notebook.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def measured(capability: str) -> dict[str, int]:
    """The same run in the data: that model, 2 rows of 2048 tokens, 4 micro batches, LoRA of rank 16 on a base in 4 bits."""
    half = {"weights": "float16", "amp": "fp16"} if capability == "7.5" else {}
    wanted = identity({
        "framework": "unsloth", "trainer": "sft", "capability": capability, "arch": "llama-3.2-3b", "method": "qlora",
        "double_quant": True, "lora_targets": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        "batch": 2, "seq": 2048, "grad_accum": 4, "optim": "adamw_8bit", "kbit_prepare": False, **half,
    })
    return next(dict(row["measured"]) for row in ROWS if identity(row) == wanted)


@pytest.mark.parametrize(("target", "capability"), [("t4", "7.5"), ("rtx3060", "8.6")])
def test_a_notebook_has_the_number_that_its_run_had(vramlint: Command, notebook: Path, target: str, capability: str) -> None:
    done = vramlint("estimate", "--isolated", "--target", target, "--output-format", "json", notebook.name)
    (found,) = json.loads(done.stdout)["files"]
    truth = measured(capability)
    assert found["verdict"] == "fits"
    assert found["estimate"]["allocated"]["typical"] == pytest.approx(truth["peak_allocated"], rel=0.005)
    assert found["estimate"]["required"]["low"] <= truth["least_capacity"] <= found["estimate"]["required"]["high"]


def test_plans_use_the_words_of_its_loader(vramlint: Command, notebook: Path) -> None:
    text = SCRIPT.replace("load_in_4bit=True", "load_in_4bit=False").replace('checkpointing="unsloth"', "checkpointing=False")
    notebook.write_text(text, encoding="utf-8")
    done = vramlint("--isolated", "--target", "6GiB@8.6", "--fix", "--unsafe-fixes", notebook.name)
    assert done.returncode == 0, done.stdout
    edited = notebook.read_text(encoding="utf-8")
    assert "    load_in_4bit=True,\n" in edited
    assert '    use_gradient_checkpointing="unsloth",\n' in edited


@pytest.mark.parametrize(("before", "after", "why"), [
    ("lora_dropout=0,", "lora_dropout=0.05,", "dropout"),
    ("load_in_4bit=True", "full_finetuning=True", "full fine-tuning"),
    ('"gate_proj", "up_proj", "down_proj"', '"gate_proj"', "all seven projections"),
])
def test_what_is_not_simulated_has_a_reason_and_no_verdict(
    vramlint: Command, notebook: Path, before: str, after: str, why: str,
) -> None:
    notebook.write_text(SCRIPT.replace(before, after), encoding="utf-8")
    done = vramlint("--isolated", "--target", "t4", notebook.name)
    assert why in done.stdout
    assert "fits on" not in done.stdout
