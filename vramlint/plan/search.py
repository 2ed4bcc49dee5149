"""The search: safe before unsafe, then least harm, fewest changes and least loss of speed; every plan is estimated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from vramlint.dataclass import dataclass
from vramlint.findings import Outcome, Safety
from vramlint.plan.moves import Move
from vramlint.run import Change

OutcomeOf = Callable[[tuple[Change, ...]], "Outcome | None"]
"""Estimates the run with the changes made; None where there is no estimate."""

MOST_ESTIMATES = 120
NOTICEABLE = 0.005
"""Share of the need below which a move is taken to save nothing."""
PAIRS_TRIED = 12
ALTERNATIVES = 2


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
    def order(self) -> tuple[int, int, int, float, int]:
        """The better plan is the lesser: number of unsafe moves, harm, number of moves, loss of speed, memory."""
        return (
            sum(move.safety is not Safety.SAFE for move in self.moves), sum(move.harm for move in self.moves), len(self.moves),
            sum(move.slowdown for move in self.moves), self.outcome.device_typical,
        )

    @property
    def fits(self) -> bool:
        """Whether even the high end of its estimate fits."""
        return self.outcome.verdict == "fits"

    @property
    def axes(self) -> frozenset[str]:
        """What it changes, whatever to."""
        return frozenset(move.axis for move in self.moves)


@dataclass(frozen=True, slots=True)
class Plans:
    """The best plan that fits and up to two that go another way; where nothing fits, `nearest` is the nearest miss.

    `singles` are the single moves that help and are not enough alone, the strongest of each axis.
    """

    best: Plan | None
    alternatives: tuple[Plan, ...] = ()
    nearest: Plan | None = None
    singles: tuple[Plan, ...] = ()


def search(moves: Iterable[Move], outcome_of: OutcomeOf, *, always: Sequence[Move] = ()) -> Plans:
    """The plans for a run. `always` are moves without which it does not run at all; they are in every plan."""
    estimated = _Estimated(outcome_of, tuple(always))
    start = estimated(())
    if start is None:
        return Plans(None)
    if always and start.fits:
        return Plans(_with(always, start))
    alone = {axis[0].axis: plan for axis in _axes(moves) if (plan := estimated((axis[-1],))) is not None}
    axes = [axis for axis in _axes(moves) if axis[0].axis in alone]
    safe = [axis for axis in axes if axis[-1].safety is Safety.SAFE]
    unsafe = sorted((axis for axis in axes if axis[-1].safety is Safety.UNSAFE), key=lambda axis: axis[-1].harm)
    found = _safe_plans(safe, estimated)
    safest = bool(found)
    found += _lone_plans(unsafe, alone, estimated)
    if not safest:
        found += _mixed_plans(safe, unsafe, estimated)
    helping = tuple(
        plan for plan in alone.values()
        if not plan.fits and plan.outcome.device_typical < (1 - NOTICEABLE) * start.outcome.device_typical
    )
    short = tuple(sorted(helping, key=lambda plan: (-plan.safety, plan.outcome.device_typical)))
    ordered = sorted((plan for plan in found if plan.fits), key=lambda plan: plan.order)
    if not ordered:
        widest = [plan for plan in (estimated(_strongest([*safe, *unsafe])), *alone.values()) if plan is not None]
        nearest = min(widest, key=lambda plan: plan.outcome.device_typical, default=None)
        nearest = _slimmed(nearest, estimated) if nearest else None
        return Plans(None, (), _with(always, nearest) if nearest else None, tuple(_with(always, plan) for plan in short))
    alternatives: list[Plan] = []
    for plan in ordered[1:]:
        ways = [taken.axes for taken in (ordered[0], *alternatives)]
        if not any(way <= plan.axes for way in ways):
            alternatives.append(plan)
    best, *others = (_with(always, plan) for plan in (ordered[0], *alternatives[:ALTERNATIVES]))
    return Plans(best, tuple(others), None, tuple(_with(always, plan) for plan in short))


def _with(always: Sequence[Move], plan: Plan) -> Plan:
    return Plan((*always, *plan.moves), plan.outcome)


def _safe_plans(safe: Sequence[Sequence[Move]], estimated: _Estimated) -> list[Plan]:
    """All smallest sets of safe moves that fit, each move as mild as it may be."""
    widest = estimated(_strongest(safe))
    if widest is None or not widest.fits or not safe:
        return []
    for size in range(1, len(safe) + 1):
        found = []
        for subset in combinations(safe, size):
            plan = estimated(_strongest(subset))
            if plan is not None and plan.fits:
                found.append(_loosened(subset, estimated))
        if found:
            return found
    return []


def _lone_plans(unsafe: Sequence[Sequence[Move]], alone: dict[str, Plan], estimated: _Estimated) -> list[Plan]:
    """The unsafe moves that are enough alone, as mild as they may be."""
    return [
        _mildest((), axis, (), estimated) or alone[axis[0].axis] for axis in unsafe if alone[axis[0].axis].fits
    ]


def _mixed_plans(safe: Sequence[Sequence[Move]], unsafe: Sequence[Sequence[Move]], estimated: _Estimated) -> list[Plan]:
    """Plans of unsafe moves with safe ones: one unsafe axis, then the likeliest pairs, then all less what can be left out."""
    found = []
    wide: list[tuple[int, Sequence[Move]]] = []
    for axis in unsafe:
        plan = estimated(_strongest([*safe, axis]))
        if plan is None:
            continue
        wide.append((plan.outcome.device_typical, axis))
        if plan.fits:
            found.append(_narrowed(safe, [axis], estimated))
    if found:
        return found
    wide.sort(key=lambda pair: pair[0])
    likeliest = sorted(combinations(range(len(wide)), 2), key=sum)[:PAIRS_TRIED]
    for first, second in likeliest:
        pair = [wide[first][1], wide[second][1]]
        plan = estimated(_strongest([*safe, *pair]))
        if plan is not None and plan.fits:
            found.append(_narrowed(safe, pair, estimated))
    if found:
        return found
    everything = estimated(_strongest([*safe, *unsafe]))
    if everything is None or not everything.fits:
        return []
    kept = list(unsafe)
    for axis in reversed(unsafe):
        fewer = [other for other in kept if other is not axis]
        plan = estimated(_strongest([*safe, *fewer]))
        if plan is not None and plan.fits:
            kept = fewer
    return [_narrowed(safe, kept, estimated)]


def _narrowed(safe: Sequence[Sequence[Move]], unsafe: Sequence[Sequence[Move]], estimated: _Estimated) -> Plan:
    """A set that fits: the unsafe moves as mild as all safe ones allow, then without the safe ones that it can spare."""
    everything = [*unsafe, *safe]
    loosened = _loosened(everything, estimated, only=len(unsafe))
    mild = [[move] for move in loosened.moves[: len(unsafe)]]
    kept = list(safe)
    for axis in sorted(safe, key=lambda axis: -axis[-1].slowdown):
        fewer = [other for other in kept if other is not axis]
        plan = estimated(_strongest([*mild, *fewer]))
        if plan is not None and plan.fits:
            kept = fewer
    return _loosened([*mild, *kept], estimated)


def _slimmed(plan: Plan, estimated: _Estimated) -> Plan:
    """The nearest miss without the moves that bring it no nearer."""
    for move in plan.moves:
        fewer = estimated(tuple(other for other in plan.moves if other is not move))
        if fewer and fewer.outcome.device_typical <= (1 + NOTICEABLE) * plan.outcome.device_typical:
            plan = fewer
    return plan


def _loosened(axes: Sequence[Sequence[Move]], estimated: _Estimated, *, only: int | None = None) -> Plan:
    """Of axes that fit together at their strongest, each in turn at the mildest move with which the whole still fits.

    `only` so many of the axes, from the first. Raises `ValueError` if the whole has no estimate.
    """
    picked = [axis[-1] for axis in axes]
    plan = estimated(tuple(picked))
    if plan is None:
        raise ValueError("these moves have no estimate together")
    for position, axis in enumerate(axes[:only]):
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
        if plan is not None and plan.fits:
            best, high = plan, middle - 1
        else:
            low = middle + 1
    return best


class _Estimated:
    """`OutcomeOf` with a memory and a limit, giving plans; the moves that are in every plan are not named in them."""

    __slots__ = ("_always", "_known", "_left", "_outcome_of")

    def __init__(self, outcome_of: OutcomeOf, always: tuple[Move, ...]) -> None:
        self._outcome_of = outcome_of
        self._always = always
        self._known: dict[tuple[Change, ...], Plan | None] = {}
        self._left = MOST_ESTIMATES

    def __call__(self, moves: tuple[Move, ...]) -> Plan | None:
        changes = _changes((*self._always, *moves))  # the same in whichever order the moves are named
        if changes not in self._known:
            if self._left == 0:
                return None
            self._left -= 1
            outcome = self._outcome_of(changes)
            self._known[changes] = None if outcome is None else Plan(moves, outcome)
        plan = self._known[changes]
        return None if plan is None else Plan(moves, plan.outcome)


def _changes(moves: Sequence[Move]) -> tuple[Change, ...]:
    """The last word on each key counts."""
    by_key = {change.key: change for move in moves for change in move.changes}
    return tuple(by_key[key] for key in sorted(by_key))


def _strongest(axes: Sequence[Sequence[Move]]) -> tuple[Move, ...]:
    return tuple(axis[-1] for axis in axes)


def _axes(moves: Iterable[Move]) -> list[list[Move]]:
    axes: dict[str, list[Move]] = {}
    for move in moves:
        axes.setdefault(move.axis, []).append(move)
    return list(axes.values())
