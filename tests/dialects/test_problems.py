"""What is wrong is said at its place, with what was meant and the edit that mends it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised, SchemaProblem, recognise
from vramlint.findings import Safety
from vramlint.source import Edited, apply

from .conftest import file_of

Recognise = Callable[..., Recognised]
SFT = "model_name_or_path: a/b\npacking: true\n"
ACCUMULATION = "gradient_accumulation_steps"
TRAIN_BATCH = "per_device_train_batch_size"
PLAIN = "model_name_or_path: a/b\ntrainer: transformers\nmax_length: 8\nlearning_rate: 1.0e-4\n"


def only(found: Recognised) -> SchemaProblem:
    (problem,) = found.problems
    return problem


def text_at(text: str, problem: SchemaProblem) -> str:
    assert problem.span is not None
    return text[problem.span.start : problem.span.end]


@pytest.mark.parametrize(("line", "kind", "at", "says", "suggestion"), [
    ("per_device_batch_size: 4", "unknown-key", "per_device_batch_size", "unknown key", TRAIN_BATCH),
    ("per_device_train_batchsize: 4", "unknown-key", "per_device_train_batchsize", "unknown", TRAIN_BATCH),
    ("gradient_acumulation_step: 4", "unknown-key", "gradient_acumulation_step", "unknown", ACCUMULATION),
    ("my_own_key: 4", "unknown-key", "my_own_key", "unknown key", None),
    ("micro_batch_size: 2", "foreign-key", "micro_batch_size", f"axolotl name; here it is {TRAIN_BATCH}", TRAIN_BATCH),
    ("cutoff_len: 2", "foreign-key", "cutoff_len", "LLaMA-Factory name; here it is max_length", "max_length"),
    ("batch_size: 2", "foreign-key", "batch_size", f"here it is {TRAIN_BATCH}", TRAIN_BATCH),
    ("torch_dtype: bfloat16", "renamed-key", "torch_dtype", "called dtype since", "dtype"),
    ("evaluation_strategy: steps", "renamed-key", "evaluation_strategy", "called eval_strategy", "eval_strategy"),
    ("max_seq_length: 64", "renamed-key", "max_seq_length", "called max_length", "max_length"),
    ("overwrite_output_dir: true", "renamed-key", "overwrite_output_dir", "taken out", None),
    ("bf16: 'yes'", "type", "'yes'", "true or false", "true"),
    ("bf16: 3", "type", "3", "true or false", None),
    ("per_device_train_batch_size: four", "type", "four", "an integer from 1", None),
    ("per_device_train_batch_size: [4]", "type", "[4]", "an integer", None),
    ("per_device_train_batch_size:", "type", "per_device_train_batch_size", "an integer", None),
    ("learning_rate: 2e-5", "number-as-text", "2e-5", "YAML 1.1 reads 2e-5 as text", "2.0e-05"),
    ("per_device_train_batch_size: '8'", "number-as-text", "'8'", "as text", "8"),
    ("optim: adamw_8bits", "enum", "adamw_8bits", "does not take", "adamw_8bit"),
    ("optim: xyzzy", "enum", "xyzzy", "does not take", None),
    ("eval_strategy: no", "enum", "no", "reads no as false", '"no"'),
    ("per_device_train_batch_size: 0", "minimum", "0", "is 0", None),
    ("per_device_train_batch_size: -8", "minimum", "-8", "is -8", None),
    ("per_device_train_batch_size: 99999999999", "minimum", "99999999999", "is 99999999999", None),
    ("gradient_accumulation_steps: 0", "minimum", "0", "is 0", None),
    ("max_length: 0", "minimum", "0", "is 0", None),
    ("lora_dropout: 1.5", "minimum", "1.5", "is 1.5", None),
    ("gradient_checkpointing_kwargs: {use_reentrant: 'no'}", "type", "'no'", "use_reentrant takes true or", "false"),
    ("lora_target_modules: [1, 2]", "type", "1", "a string", None),
])
def test_one_thing_wrong(
    recognised: Recognise, line: str, kind: str, at: str, says: str, suggestion: str | None,
) -> None:
    text = SFT + line + "\n"
    found = recognised(text)
    problem = found.problems[0]
    assert (problem.kind, text_at(text, problem), problem.suggestion) == (kind, at, suggestion)
    assert says in problem.message


def test_a_valid_file_has_none(recognised: Recognise) -> None:
    assert recognised(SFT).problems == recognised(PLAIN).problems == ()


@pytest.mark.parametrize("line", [
    "per_device_train_batch_size: ${B}", "bf16: ${BF16}", "learning_rate: ${LR}", "optim: '{{ optim }}'",
    "lora_target_modules: ['${M}']", "learning_rate: 1", "per_device_train_batch_size: 8.0", "max_length: null",
    "warmup_steps: 0.1", "report_to: [wandb]", "deepspeed: {zero_optimization: {stage: 3}}", "dtype: null",
    "gradient_checkpointing_kwargs: null", "callbacks: [a]", "loss_type: nll", "save_strategy: 'no'",
])
def test_what_the_framework_takes_is_none(recognised: Recognise, line: str) -> None:
    assert recognised(SFT + line + "\n").problems == ()


def test_a_missing_model_is_said_once(recognised: Recognise) -> None:
    problem = only(recognised("per_device_train_batch_size: 2\nlearning_rate: 1.0e-4\npacking: true\n"))
    assert (problem.kind, problem.message, problem.span) == ("required", "missing 'model_name_or_path'", None)


def test_scripts_of_ones_own_may_have_other_keys(recognised: Recognise) -> None:
    assert recognised(PLAIN + "my_data_file: x.jsonl\nwandb: {project: y}\n").problems == ()
    near = recognised(PLAIN + "per_device_train_batchsize: 4\n")
    assert only(near).suggestion == "per_device_train_batch_size"


def test_groups_named_for_a_class_are_closed(recognised: Recognise) -> None:
    text = '{"model_name_or_path": "a/b", "lora_config": {"r": 8, "rang": 9, "padding": true}, "learning_rate": 1}'
    assert only(recognised(text, "json")).path == ("lora_config", "rang")


def test_calls_are_closed(recognised: Recognise) -> None:
    text = "TrainingArguments('o', per_device_train_batchsize=4, job=TaskType.X, micro_batch_size=2, optim=Names.A)"
    kinds = [(p.kind, p.path[-1]) for p in recognised(text, "python").problems if p.kind != "required"]
    assert kinds == [
        ("unknown-key", "per_device_train_batchsize"), ("unknown-key", "job"), ("foreign-key", "micro_batch_size"),
    ]
    wrong = "TrainingArguments('o', learning_rate='2e-5')"
    assert recognised(wrong, "python").problems[0].kind == "number-as-text"


@pytest.mark.parametrize(("line", "after", "safety"), [
    ("learning_rate: 2e-5", "learning_rate: 2.0e-05", Safety.SAFE),
    ("eval_strategy: no", 'eval_strategy: "no"', Safety.SAFE),
    ("torch_dtype: bfloat16", "dtype: bfloat16", Safety.UNSAFE),
    ("per_device_train_batchsize: 4", "per_device_train_batch_size: 4", Safety.UNSAFE),
    ("optim: adamw_8bits", "optim: adamw_8bit", Safety.UNSAFE),
    ("bf16: 'no'", "bf16: false", Safety.UNSAFE),
])
def test_the_fix_mends_it(line: str, after: str, safety: Safety) -> None:
    file = file_of(SFT + line + "\n")
    found = recognise(file, file.documents[0])
    assert found is not None
    (fix,) = found.problems[0].fixes
    assert fix.safety == safety
    edited = apply(file, fix.operations)
    assert isinstance(edited, Edited)
    assert edited.text == SFT + after + "\n"
    again = recognise(edited.file, edited.file.documents[0])
    assert again is not None
    assert again.problems == ()


def test_a_number_as_text_still_counts_as_the_number(recognised: Recognise) -> None:
    assert recognised(SFT + "learning_rate: 2e-5\n").runs[0].learning_rate == 2e-5


def test_a_name_of_the_past_counts_unless_todays_is_there(recognised: Recognise) -> None:
    assert recognised(SFT + "torch_dtype: bfloat16\n").runs[0].dtype == "bfloat16"
    assert recognised(SFT + "torch_dtype: bfloat16\ndtype: float16\n").runs[0].dtype == "float16"


@pytest.mark.parametrize(("line", "name"), [
    ("bnb_4bit_use_double_quant: true", "use_bnb_nested_quant"), ("r: 8", "lora_r"),
    ("target_modules: [q]", "lora_target_modules"),
])
def test_names_of_classes_that_the_command_line_does_not_read(recognised: Recognise, line: str, name: str) -> None:
    problem = only(recognised(SFT + line + "\n"))
    assert (problem.kind, problem.suggestion) == ("foreign-key", name)
    assert recognised(PLAIN + line + "\n").problems == ()


def test_another_frameworks_key_changes_nothing(recognised: Recognise) -> None:
    assert recognised(SFT + "micro_batch_size: 2\n").runs[0].per_device_train_batch_size == 8
