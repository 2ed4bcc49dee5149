"""The search over moves, with an estimating function whose answers are known."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from vramlint.findings import Outcome, Safety
from vramlint.plan import Allowed, Move, growth, moves_for, needed_moves, search
from vramlint.plan.search import MOST_ESTIMATES
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
    plans = search([move("a", 1), move("a", 2), move("a", 3)], outcome_with(20, 14))
    assert plans.best is not None
    assert plans.best.title == "a2"


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


def test_what_it_cannot_run_without_is_in_every_plan_once() -> None:
    needed = Move("precision", "fp16", Safety.UNSAFE, 0.0, (Change("precision", 0),))
    moves = [move("a", strength) for strength in (1, 2, 3)] + [move("b", 1, Safety.UNSAFE)]
    outcome_of = outcome_with(20, 10)

    def with_precision(changes: tuple[Change, ...]) -> Outcome | None:
        assert [change.key for change in changes].count("precision") == 1
        return outcome_of(tuple(change for change in changes if change.key != "precision"))

    plans = search(moves, with_precision, always=[needed])
    assert plans.best is not None
    assert [m.title for m in plans.best.moves].count("fp16") == 1
    assert {m.title for m in plans.best.moves} == {"fp16", "b1", "a2"}


SETS = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.tuples(st.integers(1, 4), st.integers(0, 6), st.sampled_from([Safety.SAFE, Safety.UNSAFE]), st.integers(0, 4)),
    max_size=8,
)


@given(SETS, st.integers(0, 30))
def test_every_plan_fits_and_none_is_missed(axes: dict[str, tuple[int, int, Safety, int]], limit: int) -> None:
    """Against all combinations: a plan exists iff the strongest of all fits; a safe one iff the strongest safe ones do."""
    moves = [
        Move(axis, f"{axis}{step}", safety, 0.1, (Change(axis, step),), harm)
        for axis, (steps, _, safety, harm) in axes.items() for step in range(1, steps + 1)
    ]
    asked = 0

    def outcome_of(changes: tuple[Change, ...]) -> Outcome:
        nonlocal asked
        asked += 1
        left = 40 - sum(axes[change.key][1] * change.value for change in changes)
        return Outcome(left, left, left, "fits" if left <= limit else "does-not-fit")

    def strongest(safety: Safety) -> int:
        return 40 - sum(steps * saving for steps, saving, own, _ in axes.values() if own >= safety)

    plans = search(moves, outcome_of)
    assert asked <= MOST_ESTIMATES
    if limit >= 40:
        return
    if strongest(Safety.UNSAFE) > limit:
        assert plans.best is None
        return
    assert plans.best is not None
    assert (plans.best.safety is Safety.SAFE) == (strongest(Safety.SAFE) <= limit)
    for plan in (plans.best, *plans.alternatives):
        assert outcome_of(plan.changes).verdict == "fits"
        assert plan.outcome == outcome_of(plan.changes)
        assert len({m.axis for m in plan.moves}) == len(plan.moves)


def test_a_card_without_bf16_needs_fp16_and_full_training_fp32_weights_then() -> None:
    t4 = Allowed(bf16=False)
    (qlora,) = needed_moves(Run(bf16=True, use_peft=True, load_in_4bit=True, bnb_4bit_compute_dtype="bfloat16"), t4)
    assert {c.key: c.value for c in qlora.changes} == {"bf16": False, "fp16": True, "bnb_4bit_compute_dtype": "float16"}
    (full,) = needed_moves(Run(bf16=True, dtype="bfloat16"), t4)
    assert {c.key: c.value for c in full.changes} == {"bf16": False, "fp16": True, "dtype": "float32"}
    assert not needed_moves(Run(bf16=True), Allowed(bf16=True))


def test_spare_memory_buys_the_largest_doubling_that_fits() -> None:
    def outcome_of(changes: tuple[Change, ...]) -> Outcome:
        values = {change.key: change.value for change in changes}
        need = values.get("per_device_train_batch_size", 2) * values.get("max_length", 512)
        return Outcome(need, need, need, "fits" if need <= 9000 else "does-not-fit")

    grown = growth(Run(per_device_train_batch_size=2, gradient_accumulation_steps=4, max_length=512), outcome_of, longest=2048)
    assert [one.title for one in grown] == ["batch 16 (an effective batch of 16)", "sequences of 2048 tokens"]
    assert [one.outcome.device_typical for one in grown] == [8192, 4096]


def test_what_a_version_of_trl_does_not_have_is_not_offered() -> None:
    def offered(**more: object) -> bool:
        return any(m.axis == "offload" for m in moves_for(Run(**more), Allowed()))  # type: ignore[arg-type]

    assert offered(trainer="trl-sft")
    assert offered(trainer="trl-sft", stack={"trl": "0.18.1"})
    assert not offered(trainer="trl-sft", stack={"trl": "0.13.0"})
    assert not offered(trainer="trl-grpo")


def test_states_that_are_small_already_can_still_move_to_the_host() -> None:
    (move,) = [m for m in moves_for(Run(optim="adamw_8bit"), Allowed()) if m.axis == "optimizer-state"]
    assert [change.value for change in move.changes] == ["paged_adamw_8bit"]
    assert not [m for m in moves_for(Run(optim="paged_adamw_8bit"), Allowed()) if m.axis == "optimizer-state"]
    assert not [m for m in moves_for(Run(optim="adamw_8bit", deepspeed="zero2.json"), Allowed()) if m.axis == "optimizer-state"]


def test_fewer_adapters_are_those_that_peft_makes_unless_told() -> None:
    allowed = Allowed(attention_targets=("query_key_value",))
    (move,) = [m for m in moves_for(Run(use_peft=True, lora_target_modules="all-linear"), allowed) if m.axis == "targets"]
    assert move.changes == (Change("lora_target_modules", ("query_key_value",)),)
    named = Run(use_peft=True, lora_target_modules=("query_key_value",))
    assert not [m for m in moves_for(named, allowed) if m.axis == "targets"]


def test_sharding_is_a_move_where_several_cards_train_alike() -> None:
    run = Run(num_processes=8, bf16=True)
    (move,) = [move for move in moves_for(run, Allowed()) if move.axis == "sharding"]
    assert (move.safety, [change.key for change in move.changes]) == (Safety.UNSAFE, ["fsdp"])
    for other in (
        Run(), Run(num_processes=8, deepspeed="z.json"), Run(num_processes=8, fsdp="full_shard"),
        Run(num_processes=8, optim="adamw_bnb_8bit"), Run(num_processes=8, trainer="trl-dpo"),
    ):
        assert not [move for move in moves_for(other, Allowed()) if move.axis == "sharding"]


def test_kto_is_never_told_to_train_on_single_rows() -> None:
    """KTOTrainer of TRL 1.16 raises ValueError for a micro batch of 1; a drawn plan had it, and did not start."""
    def batches(trainer: str) -> set[object]:
        run = Run(trainer=trainer, per_device_train_batch_size=8, max_length=512)  # type: ignore[arg-type]  # a trainer's name
        moves = moves_for(run, Allowed())
        return {c.value for m in moves if m.axis == "batch" for c in m.changes if c.key == "per_device_train_batch_size"}

    assert batches("trl-kto") == {4, 2}
    assert batches("trl-dpo") == {4, 2, 1}
