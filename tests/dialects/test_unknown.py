"""What cannot be known stays unknown, with the reason; what is inherited is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vramlint.dialects import Recognised

Recognise = Callable[..., Recognised]
PLAIN = "model_name_or_path: a/b\ntrainer: transformers\nmax_length: 128\n"


@pytest.mark.parametrize(("line", "key", "says"), [
    ("per_device_train_batch_size: ${BATCH}", "per_device_train_batch_size", "${BATCH}"),
    ("per_device_train_batch_size: '{{ batch }}'", "per_device_train_batch_size", "{{ batch }}"),
    ("lora_target_modules: [q_proj, '${X}']", "lora_target_modules", "a part"),
    ("per_device_train_batch_size: 0", "per_device_train_batch_size", "from 1"),
    ("per_device_train_batch_size: -4", "per_device_train_batch_size", "from 1"),
    ("per_device_train_batch_size: 10000000000", "per_device_train_batch_size", "from 1"),
    ("per_device_train_batch_size: 1.5", "per_device_train_batch_size", "an integer"),
    ("per_device_train_batch_size: .inf", "per_device_train_batch_size", "an integer"),
    ("per_device_train_batch_size: [8]", "per_device_train_batch_size", "an integer"),
    ("dtype: int3", "dtype", "one of"),
    ("deepspeed: ds.json", "zero_stage", "ds.json"),
])
def test_it_is_named_with_the_reason(recognised: Recognise, line: str, key: str, says: str) -> None:
    (run,) = recognised(PLAIN + "learning_rate: 1.0e-4\n" + line + "\n").runs
    assert says in run.unknown[key]


@pytest.mark.parametrize(("text", "unknown"), [
    ("trainer: transformers\n", True), ("trainer: transformers\nmax_length: null\n", True),
    ("trainer: trl-sft\nmax_length: null\n", True), ("trainer: trl-sft\n", False), ("trainer: trl-grpo\n", True),
    ("trainer: trl-grpo\nmax_prompt_length: 256\nmax_completion_length: 128\n", False),
    ("trainer: trl-grpo\nmax_length: 700\n", False),
])
def test_when_the_length_is_not_known(recognised: Recognise, text: str, unknown: bool) -> None:
    (run,) = recognised("model_name_or_path: a/b\nlearning_rate: 1.0e-4\n" + text).runs
    assert ("max_length" in run.unknown) is unknown
    if "max_prompt_length" in text:
        assert run.max_length == 384


def test_anchors_merges_and_references_are_followed(recognised: Recognise) -> None:
    found = recognised("""\
        common: &common {per_device_train_batch_size: 4, bf16: true}
        model_name_or_path: &name a/b
        tokenizer_name: *name
        learning_rate: 1.0e-4
        trainer: transformers
        length: 256
        max_length: ${length}
        <<: *common
        """)
    (run,) = found.runs
    assert (run.per_device_train_batch_size, run.bf16, run.max_length) == (4, True, 256)
    origin = found.origins["per_device_train_batch_size"]
    assert origin.kind == "written"
    assert origin.value_span is not None


def test_a_value_in_two_groups_that_differ_is_not_known(recognised: Recognise) -> None:
    (run,) = recognised("""\
        model_name_or_path: a/b
        trainer: transformers
        per_device_train_batch_size: 2
        training: {per_device_train_batch_size: 4, learning_rate: 1.0e-4}
        """).runs
    assert "2 places" in run.unknown["per_device_train_batch_size"]


def test_a_comment_states_what_the_file_has_no_place_for(recognised: Recognise) -> None:
    found = recognised(PLAIN + "learning_rate: 1.0e-4\n# vramlint: padding=false max_length=64  blocks\n")
    (run,) = found.runs
    assert (run.padding, run.max_length) == (False, 64)
    assert found.origins["padding"].path is None


def test_a_comment_with_a_wrong_value_is_a_problem(recognised: Recognise) -> None:
    found = recognised(PLAIN + "learning_rate: 1.0e-4\n# vramlint: trainer=trl-sfd\n")
    (problem,) = found.problems
    assert "trl-sft" in problem.message


def test_comments_belong_to_their_document() -> None:
    from vramlint.dialects import recognise
    from vramlint.source import read

    plain = f"{PLAIN}learning_rate: 1.0e-4\n"
    text = f"{plain}padding: true\n---\n# vramlint: padding=false\n{plain}"
    file = read("a.yaml", text.encode())
    first, second = (recognise(file, document) for document in file.documents)
    assert first is not None
    assert second is not None
    assert (first.runs[0].padding, second.runs[0].padding) == (True, False)
