"""Encoders and encoder-decoders against runs measured on the phantom GPU, and what has no number."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from lab.compare import Compared, Row, compare, errors, rows
from vramlint.catalog import Architecture, FoundModel, find_model
from vramlint.memory import Estimate, NoEstimate, estimate
from vramlint.run import Run

TYPES = ("bert", "roberta", "xlm-roberta", "distilbert", "electra", "modernbert", "t5", "mt5", "bart")


@functools.cache
def measured() -> tuple[Row, ...]:
    return tuple(row for row in rows() if row.file == "encoders")


@functools.cache
def compared() -> tuple[Compared, ...]:
    return tuple(compare(row) for row in measured())


def architecture(name: str) -> Architecture:
    found = find_model(name, base_directory=None, isolated=True)
    assert isinstance(found, FoundModel)
    return found.architecture


def run(name: str, **more: Any) -> Estimate | NoEstimate:
    given = {"model_name_or_path": name, "dtype": "float32", "bf16": True, "max_length": 256, **more}
    return estimate(Run(**given), architecture(name))


def test_every_measured_run_has_a_number() -> None:
    assert len(compared()) >= 60
    assert [one.why for one in compared() if one.allocated is None] == []


@pytest.mark.parametrize("held_out", [True, False])
def test_what_is_allocated_is_what_was_measured(held_out: bool) -> None:
    found = errors([one for one in compared() if one.held_out is held_out], "allocated")
    assert found is not None
    assert found.count >= 30
    assert found.median <= 0.01
    assert found.percentile95 <= 0.03
    assert found.worst <= 0.08


def test_the_least_capacity_is_near_what_was_measured() -> None:
    found = errors(compared(), "required")
    assert found is not None
    assert found.count >= 15
    assert found.median <= 0.02


def test_as_many_parameters_are_trained_as_in_the_real_model() -> None:
    from lab.cases import architecture_of, run_of

    for row in measured():
        result = estimate(run_of(row.case), architecture_of(row.case), replay=False)
        assert isinstance(result, Estimate)
        assert result.trainable_parameters == row.measured["trainable"], row.case


def test_which_head_is_taken_for_granted_is_said() -> None:
    unstated, stated = run("google-bert/bert-base-uncased"), run("google-bert/bert-base-uncased", task="seq-cls")
    assert isinstance(unstated, Estimate)
    assert isinstance(stated, Estimate)
    assert [a.value for a in unstated.assumptions if a.key == "task"] == ["masked-lm"]
    assert not [a for a in stated.assumptions if a.key == "task"]
    assert unstated.allocated.typical > 1.2 * stated.allocated.typical  # the logits over the vocabulary


def test_a_shorter_target_takes_less() -> None:
    long, short = run("google-t5/t5-base"), run("google-t5/t5-base", max_target_length=64)
    assert isinstance(long, Estimate)
    assert isinstance(short, Estimate)
    assert [a.value for a in long.assumptions if a.key == "max_target_length"] == ["256"]
    assert short.allocated.typical < long.allocated.typical


@pytest.mark.parametrize(("name", "more", "reason"), [
    ("google-bert/bert-base-uncased", {"max_length": 513}, "beyond the model's 512 positions"),
    ("FacebookAI/roberta-base", {"max_length": 513}, "beyond the model's 512 positions"),
    ("facebook/bart-base", {"max_target_length": 1025}, "beyond the model's 1024 positions"),
    ("google-bert/bert-base-uncased", {"task": "causal-lm"}, "not simulated under this head"),
    ("google-bert/bert-base-uncased", {"task": "other"}, "not simulated under this head"),
    ("google-t5/t5-base", {"task": "seq-cls"}, "not simulated under this head"),
    ("Qwen/Qwen2.5-0.5B", {"task": "token-cls"}, "not simulated under this head"),
    ("google-bert/bert-base-uncased", {"trainer": "trl-sft"}, "not simulated under the trainer"),
    ("google-bert/bert-base-uncased", {"use_peft": True, "lora_target_modules": ("q_proj",)}, "match nothing in bert"),
    ("google-bert/bert-base-cased", {"use_peft": True, "task": "token-cls", "lora_target_modules": "all-linear"}, "in an error"),
    ("google-bert/bert-base-uncased", {"num_labels": 0, "task": "seq-cls"}, "labels are none"),
    ("google-bert/bert-base-uncased", {"packing": True}, "not packed"),
    ("microsoft/deberta-v3-base", {}, "not simulated yet"),
])
def test_what_cannot_run_or_is_not_simulated_gives_no_number(name: str, more: dict[str, Any], reason: str) -> None:
    result = run(name, **more)
    assert isinstance(result, NoEstimate)
    assert reason in result.why


def test_relative_and_rotary_positions_have_no_end() -> None:
    for name in ("google-t5/t5-small", "answerdotai/ModernBERT-base"):
        assert isinstance(run(name, max_length=2048), Estimate)


def test_a_decoder_that_classifies_has_no_logits_over_the_vocabulary() -> None:
    written, classified = run("Qwen/Qwen2.5-0.5B"), run("Qwen/Qwen2.5-0.5B", task="seq-cls")
    assert isinstance(written, Estimate)
    assert isinstance(classified, Estimate)
    assert classified.peak.parts.logits == 0
    assert classified.allocated.typical < written.allocated.typical
