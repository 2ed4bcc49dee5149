"""The rule language: what it computes, what it refuses at load, and that unknown stays unknown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vramlint.dialects import run_schema
from vramlint.rules import Expression, RuleError, types_of
from vramlint.rules.expression import UNKNOWN

TYPES = types_of(run_schema())
VALUES = {
    "run.bf16": True, "run.per_device_train_batch_size": 8, "run.optim": "adamw_torch", "run.max_length": UNKNOWN,
    "estimate.device.high": 9 << 30, "target.usable": 8 << 30, "verdict": "tight", "run.lora_modules_to_save": None,
}


def value_of(source: str) -> object:
    return Expression(source, TYPES)(VALUES.__getitem__)


@pytest.mark.parametrize(("source", "expected"), [
    ("run.bf16 and run.per_device_train_batch_size > 4", True),
    ("not run.bf16", False),
    ("estimate.device.high > target.usable", True),
    ("estimate.device.high > 8 * GiB and verdict == 'tight'", True),
    ("run.optim in ['adamw_torch', 'sgd']", True),
    ("run.optim not in ['sgd']", True),
    ("run.per_device_train_batch_size // 3", 2),
    ("estimate.device.high / target.usable", 1.125),
    ("max(1, run.per_device_train_batch_size - 9)", 1),
    ("startswith(run.optim, 'adamw')", True),
    ("run.lora_modules_to_save == null", True),
    ("4 if run.bf16 else 2", 4),
])
def test_value(source: str, expected: object) -> None:
    assert value_of(source) == expected


@pytest.mark.parametrize(("source", "expected"), [
    ("run.max_length > 512", UNKNOWN),
    ("run.max_length > 512 or run.bf16", True),
    ("run.max_length > 512 and not run.bf16", False),
    ("run.max_length > 512 and run.bf16", UNKNOWN),
    ("known(run.max_length)", False),
    ("known(run.bf16)", True),
    ("1 / 0", UNKNOWN),
])
def test_unknown_is_kept_unless_it_does_not_matter(source: str, expected: object) -> None:
    assert value_of(source) is expected


@pytest.mark.parametrize(("source", "message"), [
    ("run.gradient_checkpoint", "did you mean 'run.gradient_checkpointing'?"),
    ("estimate.device.high > 8", "write it as N*GiB"),
    ("run.trainer == 'trl-sff'", "did you mean 'trl-sft'?"),
    ("run.bf16 && run.fp16", "write 'and'"),
    ("1 < 2 < 3", "not chained"),
    ("run.bf16 + 1", "no arithmetic"),
    ("__import__('os')", "there is no"),
    ("run.optim.upper()", "there is no"),
    ("[x for x in [1]]", "not part of the rule language"),
    ("2 ** 99", "not possible"),
    ("(lambda: 1)()", "there is no"),
])
def test_refused_when_compiled(source: str, message: str) -> None:
    with pytest.raises(RuleError, match=None) as caught:
        Expression(source, TYPES)
    assert message in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_compiles_or_is_refused(source: str) -> None:
    try:
        expression = Expression(source, TYPES)
    except RuleError:
        return
    expression(lambda _: UNKNOWN)
