"""The first of several micro steps, read off the tape of a later one: the same as when it is played."""

from __future__ import annotations

import pytest

from lab.cases import architecture_of, run_of
from vramlint.dataclass import replace
from vramlint.memory import simulate
from vramlint.memory.micro_steps import first_micro_step
from vramlint.memory.replay import unroll
from vramlint.memory.step import play

WHOLE = 1 << 40
CASES = [
    {"arch": "qwen2.5-0.5b", "method": "qlora", "batch": 4, "grad_accum": 2},
    {"arch": "gpt2", "method": "full", "weights": "float32", "grad_accum": 4},
    {"arch": "llama-3.1-8b", "method": "full", "grad_accum": 2, "liger": True, "checkpointing": True},
    {"arch": "llama-3.2-1b", "method": "lora", "grad_accum": 2, "checkpointing": False, "trainer": "dpo"},
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['arch']}-{case['method']}")
def test_what_is_read_off_allocates_and_frees_as_what_is_played(case: dict) -> None:
    played = simulate._played(run_of(case), architecture_of(case), (8, 0))  # noqa: SLF001 — the plan is no result
    assert isinstance(played, simulate.Played)
    alone = play(replace(played.plan, accumulates=False, evaluation=None))
    events = unroll(played.tape, first_micro_step(played.tape), affordable=WHOLE)
    assert events == unroll(played.tape, alone, affordable=WHOLE)
    assert sum(size for _, size in events) > sum(size for _, size in unroll(alone, affordable=WHOLE))
