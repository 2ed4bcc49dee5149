"""Whatever a document holds, recognising it raises nothing and every value of the run fits its key."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from vramlint.dialects import Refusal, recognise, run_schema, to_operations
from vramlint.dialects.tables import tables
from vramlint.run import Change, Run
from vramlint.source import apply, read

TABLES = tables("huggingface")
KEYS = sorted(TABLES.keys(TABLES.at("#")))
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4),
        st.sampled_from([8, 0.5, "auto", "no", "trl-sft", "2e-5", "${x}", "${oc.env:X}", "{{ y }}", "nf4"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([*KEYS, "r"]), inner, max_size=3),
    ),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1, max_size=10)
RUN = jsonschema.Draft202012Validator(run_schema())
CHANGES = [
    Change("per_device_train_batch_size", 2), Change("lora_r", 4), Change("load_in_4bit", True),
    Change("dtype", "float16"),
]


def as_data(run: Run) -> dict[str, Any]:
    values = {key: getattr(run, key) for key in run_schema()["properties"]}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


@given(DOCUMENTS)
@settings(max_examples=300, deadline=None)
def test_a_run_is_always_of_the_schemas_types(data: dict[str, Any]) -> None:
    file = read("a.json", json.dumps({"model_name_or_path": "a/b", "learning_rate": 1.0, **data}).encode())
    found = recognise(file, file.documents[0], dialect="huggingface")
    assert found is not None
    for run in found.runs:
        errors = [e for e in RUN.iter_errors(as_data(run)) if e.path[0] not in run.unknown]
        assert not errors, errors[0]
    for problem in found.problems:
        assert problem.message
        for fix in problem.fixes:
            apply(file, fix.operations)
    for change in CHANGES:
        operations = to_operations(file, file.documents[0], found, [change])
        if not isinstance(operations, Refusal):
            apply(file, operations)


@given(st.lists(st.sampled_from([
    "TrainingArguments('o', bf16=x, **y)", "SFTConfig(*a, max_length=None)", "LoraConfig(r=r, target_modules=[a, 'b'])",
    "AutoModelForCausalLM.from_pretrained(*n)", "prepare_model_for_kbit_training(model, **k)", "MAX_LENGTH = f()",
    "DPOTrainer(m, r, args=TrainingArguments())", "BitsAndBytesConfig(load_in_4bit=not x)", "MAX_LEN = 'x'",
    "tokenizer(x, max_length=2**70)", "seq_len = x.size(0)",
    "x = TrainingArguments", "class A(TrainingArguments): bf16: bool = True", "SFTTrainer(SFTTrainer(SFTConfig()))",
]), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_scripts_of_any_kind(lines: list[str]) -> None:
    file = read("a.py", "\n".join(lines).encode())
    found = recognise(file, file.documents[0])
    if found is not None:
        for run in found.runs:
            assert not [e for e in RUN.iter_errors(as_data(run)) if e.path[0] not in run.unknown]
