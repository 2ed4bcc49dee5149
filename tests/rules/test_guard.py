"""A guard settles only what its condition would: where it stops a rule, the condition is not true."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vramlint.dialects import run_schema
from vramlint.linter import load_rules
from vramlint.rules import Expression, types_of
from vramlint.rules.expression import UNKNOWN
from vramlint.rules.guard import guard_of, lets_through

TYPES = types_of(run_schema())
RULES = [rule for rule in load_rules().rules if "when" in rule.data]
VALUES = {
    "bool": st.booleans(), "number": st.integers(0, 40), "bytes": st.integers(0, 1 << 36),
    "list": st.sampled_from([None, (), ("lm_head",), ("q_proj", "embed_tokens")]),
}


@pytest.mark.parametrize(("condition", "guard"), [
    ("run.bf16 and not run.fp16", [["run.bf16", [True]], ["run.fp16", [False]]]),
    ("run.optim in ['sgd', 'lion_32bit'] and (run.bf16 and run.tf32 == true)",
     [["run.optim", ["sgd", "lion_32bit"]], ["run.bf16", [True]], ["run.tf32", [True]]]),
    ("run.bf16 or run.fp16", []),
    ("not (run.bf16 and run.fp16)", []),
    ("run.optim not in ['sgd'] and run.max_length == run.lora_r and estimate.device.high > 1 * GiB", []),
    ("run.bf16 and (", []),
])
def test_guard(condition: str, guard: list[Any]) -> None:
    assert guard_of(condition) == guard


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_what_it_stops_is_not_true(data: st.DataObject) -> None:
    rule = data.draw(st.sampled_from(RULES))
    drawn: dict[str, Any] = {}

    def names(name: str) -> Any:
        if name not in drawn:
            kind = TYPES.get(name)
            words = kind.words if kind else ()
            known = st.sampled_from(words) if words else VALUES.get(kind.kind if kind else "bool", st.sampled_from([None, "sgd"]))
            drawn[name] = data.draw(st.one_of(st.just(UNKNOWN), known))
        return drawn[name]

    if not lets_through(guard_of(rule.data["when"]), names):
        assert Expression(rule.data["when"], TYPES)(names) is not True
