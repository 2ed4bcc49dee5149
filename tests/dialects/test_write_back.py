"""A change of the run is written under the file's own names, and the file then says exactly that run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vramlint.dialects import Recognised, Refusal, recognise, to_operations
from vramlint.run import Change, with_changes
from vramlint.source import Edited, apply, read

Changed = Callable[..., tuple[str, Recognised]]
REFERENCE = Path(__file__).parents[2] / "examples" / "reference"
TRL = """\
    model_name_or_path: a/b
    torch_dtype: bfloat16
    use_peft: true
    load_in_4bit: true
    lora_r: 16  # rank
    dataset_train_split: train
    per_device_train_batch_size: 8
    """
CHANGES = [
    (Change("per_device_train_batch_size", 4), Change("gradient_accumulation_steps", 16)),
    (Change("max_length", 256),),
    (Change("lora_r", 16), Change("lora_alpha", 32)),
    (Change("optim", "adamw_8bit"),),
    (Change("use_liger_kernel", True),),
    (Change("per_device_eval_batch_size", 1),),
    (Change("bnb_4bit_use_double_quant", True),),
    (Change("gradient_checkpointing", False),),
    (Change("bf16", False), Change("fp16", True)),
    (Change("bnb_4bit_compute_dtype", "float16"),),
    (Change("lora_target_modules", ("q_proj", "v_proj")),),
    (Change("lora_target_modules", "all-linear"),),
    (Change("attn_implementation", "eager"),),
    (Change("dtype", "float16"),),
]


INSIDE_A_REBOUND_NAME = {"bnb_4bit_use_double_quant", "bnb_4bit_compute_dtype", "attn_implementation", "dtype"}
"""In the script these stand within `model = …`, a name bound three times, in which the source room edits nothing."""


@pytest.mark.parametrize(("suffix", "changes"), [
    pytest.param(suffix, changes, id=f"{suffix}-{changes[0].key}")
    for suffix in ("yaml", "toml", "json", "py") for changes in CHANGES
    if suffix != "py" or changes[0].key not in INSIDE_A_REBOUND_NAME
])
def test_the_reference_in_every_format(suffix: str, changes: tuple[Change, ...]) -> None:
    path = REFERENCE / f"train.{suffix}"
    file = read(path.name, path.read_bytes())
    found = recognise(file, file.documents[0])
    assert found is not None
    operations = to_operations(file, file.documents[0], found, changes)
    assert not isinstance(operations, Refusal), operations.why
    edited = apply(file, operations)
    assert isinstance(edited, Edited), edited
    again = recognise(edited.file, edited.file.documents[0])
    assert again is not None
    expected = with_changes(found.runs[0], changes)
    if not expected.gradient_checkpointing:
        expected = replace(expected, use_reentrant=again.runs[0].use_reentrant)
    if suffix == "py" and not expected.gradient_checkpointing:
        expected = replace(expected, gradient_checkpointing=True)  # prepare_model_for_kbit_training turns it on again
    assert again.runs == (expected,)
    assert again.problems == ()
    before, after = file.text.splitlines(), edited.text.splitlines()
    assert sum(line not in before for line in after) <= 2 * len(changes)
    assert sum(line not in after for line in before) <= 2 * len(changes)


@pytest.mark.parametrize(("change", "line"), [
    (Change("lora_r", 8), "lora_r: 8  # rank"),
    (Change("dtype", "float16"), "torch_dtype: float16"),
    (Change("bnb_4bit_use_double_quant", True), "use_bnb_nested_quant: true"),
    (Change("gradient_accumulation_steps", 4), "gradient_accumulation_steps: 4"),
    (Change("max_length", 512), "max_length: 512"),
    (Change("activation_offloading", True), "activation_offloading: true"),
    (Change("lora_alpha", 64), "lora_alpha: 64"),
])
def test_trl_names(changed: Changed, change: Change, line: str) -> None:
    text, again = changed(TRL, change)
    assert line in text.splitlines()
    assert getattr(again.runs[0], change.key) == change.value


def test_a_new_key_stands_beside_its_relatives(changed: Changed) -> None:
    text, _ = changed(TRL, Change("gradient_accumulation_steps", 4), Change("lora_alpha", 64))
    lines = [line.partition(":")[0] for line in text.splitlines()]
    assert lines.index("lora_alpha") == lines.index("lora_r") + 1
    assert lines.index("gradient_accumulation_steps") == lines.index("per_device_train_batch_size") + 1


def test_what_already_holds_needs_no_edit(changed: Changed) -> None:
    text, _ = changed(TRL, Change("bnb_4bit_quant_type", "nf4"), Change("lora_r", 4))
    assert "quant_type" not in text


def test_a_deleted_key_falls_back_to_its_default(changed: Changed) -> None:
    text, again = changed(TRL, Change("per_device_train_batch_size", delete=True))
    assert "per_device_train_batch_size" not in text
    assert again.runs[0].per_device_train_batch_size == 8


def test_python_keeps_its_way_of_writing(changed: Changed) -> None:
    script = """\
        import torch
        LENGTH = 512
        SEQ_LEN = 512
        bnb = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.bfloat16)
        m = AutoModelForCausalLM.from_pretrained("a/b", quantization_config=bnb)
        prepare_model_for_kbit_training(m)
        get_peft_model(m, LoraConfig(r=8))
        Trainer(m, TrainingArguments("o", per_device_train_batch_size=8))
        """
    text, again = changed(
        script, Change("bnb_4bit_compute_dtype", "float16"), Change("max_length", 256), Change("lora_r", 4),
        Change("dtype", "float16"), Change("gradient_accumulation_steps", 2), kind="python",
    )
    assert "bnb_4bit_compute_dtype=torch.float16" in text
    assert "\nSEQ_LEN = 256\n" in text
    assert "r=4" in text
    assert 'from_pretrained("a/b", quantization_config=bnb, dtype="float16")' in text
    assert "per_device_train_batch_size=8, gradient_accumulation_steps=2" in text
    assert (again.runs[0].dtype, again.runs[0].max_length) == ("float16", 256)


@pytest.mark.parametrize(("text", "kind", "change", "says"), [
    ("Trainer(m, TrainingArguments('o'))\nprepare_model_for_kbit_training(m)", "python",
     Change("prepare_model_for_kbit_training", False), "would have to go"),
    ("Trainer(m, TrainingArguments('o'))", "python", Change("load_in_4bit", True), "no call here takes"),
    ("Trainer(m, TrainingArguments('o'))", "python", Change("dtype", "float16"), "no call here takes"),
    ("model_name_or_path: a/b\ntrainer: transformers\nlearning_rate: 1.0\n# vramlint: max_length=8\n", "yaml",
     Change("max_length", 4), "comment"),
    ("model_name_or_path: a/b\npacking: true\n", "yaml", Change("optim", "nosuch"), "cannot be nosuch"),
])
def test_refusals_say_why(refusal: Callable[..., str], text: str, kind: str, change: Change, says: str) -> None:
    assert says in refusal(text, change, kind=kind)


def test_a_group_takes_its_own_names(changed: Changed) -> None:
    text, again = changed(
        """\
        model: {name: a/b}
        trainer: transformers
        max_length: 64
        lora: {rank: 8}
        training:
          per_device_train_batch_size: 8
          learning_rate: 1.0e-4
        """,
        Change("lora_r", 4), Change("lora_alpha", 16), Change("gradient_checkpointing", True),
        Change("dtype", "float16"),
    )
    assert "lora: {rank: 4, lora_alpha: 16}" in text
    assert "  gradient_checkpointing: true\n" in text
    assert "model: {name: a/b, dtype: float16}" in text
    assert again.runs[0].gradient_checkpointing
