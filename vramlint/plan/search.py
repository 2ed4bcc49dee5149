"""The search: safe before unsafe, then fewest changes, then least loss of speed; every plan is estimated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from vramlint.dataclass import dataclass
from vramlint.findings import Outcome, Safety
from vramlint.plan.moves import Move
from vramlint.run import Change

OutcomeOf = Callable[[tuple[Change, ...]], "Outcome | None"]
"""Estimates the run with the changes made; None where there is no estimate."""

MOST_UNSAFE_MOVES = 3
MOST_ESTIMATES = 400


@dataclass(frozen=True, slots=True)
class Plan:
    """Moves that go in together, and what the run then takes."""

    moves: tuple[Move, ...]
    outcome: Outcome

    @property
    def changes(self) -> tuple[Change, ...]:
        """All changes of the plan."""
        return _changes(self.moves)

    @property
    def safety(self) -> Safety:
        """That of its least safe move."""
        return min((move.safety for move in self.moves), default=Safety.SAFE)

    @property
    def title(self) -> str:
        """What to do, in a line."""
        return "; ".join(move.title for move in self.moves)

    @property
    def slowdown(self) -> float:
        """Rough share of speed lost."""
        return sum(move.slowdown for move in self.moves)


@dataclass(frozen=True, slots=True)
class Plans:
    """The best plan that fits and up to two of another kind; where nothing fits, `nearest` is the nearest miss."""

    best: Plan | None
    alternatives: tuple[Plan, ...] = ()
    nearest: Plan | None = None


def singles(moves: Iterable[Move], outcome_of: OutcomeOf) -> list[Plan]:
    """One plan per axis: its mildest move that fits, else its strongest; those that fit first, the safe before the unsafe."""
    estimated = _Estimated(outcome_of)
    found = [plan for axis in _axes(moves) if (plan := _single(axis, estimated))]
    return sorted(
        found, key=lambda plan: (not _fits(plan.outcome), -plan.safety, plan.slowdown, plan.outcome.device_typical),
    )


def _single(axis: Sequence[Move], estimated: _Estimated) -> Plan | None:
    strongest = estimated((axis[-1],))
    if strongest is None:
        return None
    if not _fits(strongest.outcome):
        return strongest
    return _mildest((), axis, (), estimated) or strongest


def search(moves: Iterable[Move], outcome_of: OutcomeOf) -> Plans:
    """The best plans that fit: per tier of safety, all subsets of axes in order of size, strongest moves first."""
    estimated = _Estimated(outcome_of)
    axes = _axes(moves)
    safe = [axis for axis in axes if axis[-1].safety is Safety.SAFE]
    unsafe = [axis for axis in axes if axis[-1].safety is not Safety.SAFE]
    nearest: Plan | None = None
    for count in range(min(len(unsafe), MOST_UNSAFE_MOVES) + 1):
        fitting: list[Plan] = []
        for chosen in combinations(unsafe, count):
            widest = estimated(_strongest([*safe, *chosen]))
            if widest is None:
                continue
            if nearest is None or widest.outcome.device_typical < nearest.outcome.device_typical:
                nearest = widest
            if _fits(widest.outcome):
                fitting += _fewest(safe, chosen, estimated)
        if fitting:
            return _ranked(fitting, axes, estimated)
    return Plans(None, (), nearest)


def _fewest(safe: Sequence[Sequence[Move]], chosen: Sequence[Sequence[Move]], estimated: _Estimated) -> list[Plan]:
    """With the `chosen` unsafe axes, the fewest safe ones that make it fit, each at its mildest."""
    for size in range(len(safe) + 1):
        found = []
        for subset in combinations(safe, size):
            axes = [*subset, *chosen]
            plan = estimated(_strongest(axes))
            if plan is not None and _fits(plan.outcome):
                found.append(_loosened(axes, estimated) or plan)
        if found:
            return found
    return []


def _loosened(axes: Sequence[Sequence[Move]], estimated: _Estimated) -> Plan | None:
    """Each axis in turn at the mildest move with which the whole still fits, the others at their strongest so far."""
    picked = [axis[-1] for axis in axes]
    plan = estimated(tuple(picked))
    for position, axis in enumerate(axes):
        mild = _mildest(picked[:position], axis, picked[position + 1 :], estimated)
        if mild is not None:
            plan = mild
            picked = list(mild.moves)
    return plan


def _mildest(
    before: Sequence[Move], axis: Sequence[Move], after: Sequence[Move], estimated: _Estimated,
) -> Plan | None:
    """By bisection: the mildest move of an axis that fits beside the others (strength is monotone in memory)."""
    low, high, best = 0, len(axis) - 1, None
    while low <= high:
        middle = (low + high) // 2
        plan = estimated((*before, axis[middle], *after))
        if plan is not None and _fits(plan.outcome):
            best, high = plan, middle - 1
        else:
            low = middle + 1
    return best


def _ranked(fitting: list[Plan], axes: Sequence[Sequence[Move]], estimated: _Estimated) -> Plans:
    """The best, and up to two alternatives: one with fewer changes though less safe, one that goes another way."""
    ordered = sorted(
        fitting, key=lambda plan: (-plan.safety, len(plan.moves), plan.slowdown, plan.outcome.device_typical),
    )
    best, others = ordered[0], ordered[1:]
    if len(best.moves) > 1 or best.safety is Safety.SAFE:
        others += [
            plan for axis in axes
            if axis[-1].safety is not Safety.SAFE and (plan := _single(axis, estimated)) and _fits(plan.outcome)
        ]
    alternatives: list[Plan] = []
    for plan in others:
        ways = [{move.axis for move in taken.moves} for taken in (best, *alternatives)]
        if {move.axis for move in plan.moves} not in ways:
            alternatives.append(plan)
    return Plans(best, tuple(alternatives[:2]), None)


class _Estimated:
    """`OutcomeOf` with a memory and a limit, giving plans."""

    __slots__ = ("_known", "_left", "_outcome_of")

    def __init__(self, outcome_of: OutcomeOf) -> None:
        self._outcome_of = outcome_of
        self._known: dict[tuple[Change, ...], Plan | None] = {}
        self._left = MOST_ESTIMATES

    def __call__(self, moves: tuple[Move, ...]) -> Plan | None:
        changes = _changes(moves)
        if changes not in self._known:
            if self._left == 0:
                return None
            self._left -= 1
            outcome = self._outcome_of(changes)
            self._known[changes] = None if outcome is None else Plan(moves, outcome)
        return self._known[changes]


def _changes(moves: Sequence[Move]) -> tuple[Change, ...]:
    return tuple(change for move in moves for change in move.changes)


def _strongest(axes: Sequence[Sequence[Move]]) -> tuple[Move, ...]:
    return tuple(axis[-1] for axis in axes)


def _axes(moves: Iterable[Move]) -> list[list[Move]]:
    axes: dict[str, list[Move]] = {}
    for move in moves:
        axes.setdefault(move.axis, []).append(move)
    return list(axes.values())


def _fits(outcome: Outcome) -> bool:
    return outcome.verdict == "fits"
