"""The search over moves, with an estimating function whose answers are known."""

from __future__ import annotations

from collections.abc import Callable

from vramlint.findings import Outcome, Safety
from vramlint.plan import Allowed, Move, moves_for, search, singles
from vramlint.run import Change, Run

SAVINGS = {"a": 3, "b": 4, "c": 9}


def move(axis: str, strength: int, safety: Safety = Safety.SAFE, slowdown: float = 0.0) -> Move:
    return Move(axis, f"{axis}{strength}", safety, slowdown, (Change(axis, strength),))


def outcome_with(need: int, limit: int) -> Callable[[tuple[Change, ...]], Outcome]:
    def outcome_of(changes: tuple[Change, ...]) -> Outcome:
        left = need - sum(SAVINGS[change.key] * change.value for change in changes)
        return Outcome(left, left, left, "fits" if left <= limit else "does-not-fit")

    return outcome_of


def test_the_mildest_move_of_an_axis_that_fits_is_taken() -> None:
    plans = singles([move("a", 1), move("a", 2), move("a", 3)], outcome_with(20, 14))
    assert [plan.title for plan in plans] == ["a2"]


def test_safe_moves_come_before_fewer_unsafe_ones() -> None:
    moves = [move("a", 1), move("b", 1), move("c", 1, Safety.UNSAFE)]
    plans = search(moves, outcome_with(20, 13))
    assert plans.best is not None
    assert {m.title for m in plans.best.moves} == {"a1", "b1"}
    assert [plan.title for plan in plans.alternatives] == ["c1"]


def test_one_change_is_enough_where_one_is() -> None:
    plans = search([move("a", 1), move("b", 1)], outcome_with(20, 16))
    assert plans.best is not None
    assert plans.best.title == "b1"


def test_an_unsafe_move_is_taken_only_where_it_must_be() -> None:
    moves = [move("a", 1), move("c", 1, Safety.UNSAFE)]
    plans = search(moves, outcome_with(20, 9))
    assert plans.best is not None
    assert {m.title for m in plans.best.moves} == {"a1", "c1"}
    assert plans.best.safety is Safety.UNSAFE


def test_where_nothing_fits_the_nearest_miss_is_named() -> None:
    plans = search([move("a", 1), move("b", 1)], outcome_with(20, 1))
    assert plans.best is None
    assert plans.nearest is not None
    assert plans.nearest.outcome.device_typical == 13


def test_a_smaller_batch_keeps_the_effective_batch() -> None:
    run = Run(per_device_train_batch_size=6, gradient_accumulation_steps=2)
    batches = [m for m in moves_for(run, Allowed()) if m.axis == "batch"]
    assert [tuple(change.value for change in m.changes) for m in batches] == [(3, 4), (2, 6), (1, 12)]


def test_what_is_unknown_is_not_changed() -> None:
    run = Run(per_device_train_batch_size=8, unknown={"gradient_accumulation_steps": "${steps}"})
    assert not [m for m in moves_for(run, Allowed()) if m.axis == "batch"]


def test_liger_only_where_it_knows_the_architecture_and_safe_only_where_it_is_installed() -> None:
    run = Run(trainer="transformers")
    assert not [m for m in moves_for(run, Allowed(liger=False)) if m.axis == "loss"]
    assert [m.safety for m in moves_for(run, Allowed(liger=True)) if m.axis == "loss"] == [Safety.UNSAFE]
    assert [m.safety for m in moves_for(run, Allowed(liger=True, liger_installed=True)) if m.axis == "loss"] == [Safety.SAFE]
