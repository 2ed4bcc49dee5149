"""From a run that does not fit to the fixes on its finding: plans that the file can take, estimated and tried on the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby

from vramlint.catalog import FoundModel, Target, all_targets, target_of_entry
from vramlint.dataclass import replace
from vramlint.dialects import Refusal, to_operations
from vramlint.examine import Subject, simulate
from vramlint.findings import ABOUT_THE_FIT, Finding, Fix, Outcome, Safety
from vramlint.memory import Estimate, NoEstimate
from vramlint.memory.verdict import verdict
from vramlint.plan import Allowed, Move, Plan, Plans, growth, moves_for, needed_moves, search
from vramlint.run import Change, Run, with_changes
from vramlint.sizes import in_gib
from vramlint.source import Operation, Refused, apply

Estimates = dict[tuple[tuple[Change, ...], tuple[int, int]], Estimate | NoEstimate]
SHOWN = 6
"""Plans, and single moves that help and are not enough, on one finding."""
SUGGESTED = ("datacenter", "workstation", "consumer")
"""No laptops and no boards: the suggestion is a card to rent or to buy."""
LEAST_CAPABILITY = (7, 0)
"""Older cards are not suggested: PyTorch 2.11's wheels begin there."""


class Estimator:
    """Outcomes of changes to one run of a document; estimates are shared by cards of the same compute capability."""

    __slots__ = ("_estimates", "_run", "_subject")

    def __init__(self, run: Run, subject: Subject) -> None:
        self._run = run
        self._subject = subject
        self._estimates: Estimates = {}

    def estimate(self, changes: tuple[Change, ...], target: Target | None) -> Estimate | NoEstimate:
        """The estimate of the run with the changes made."""
        key = (changes, target.compute_capability if target else (0, 0))
        if key not in self._estimates:
            self._estimates[key] = simulate(with_changes(self._run, changes), self._subject.model, target)
        return self._estimates[key]

    def on(self, target: Target | None) -> Callable[[tuple[Change, ...]], Outcome | None]:
        """What `plan` searches with: changes → outcome on that card."""

        def outcome_of(changes: tuple[Change, ...]) -> Outcome | None:
            result = self.estimate(changes, target)
            if isinstance(result, NoEstimate):
                return None
            judged = verdict(result.device, target.usable) if target else None
            return Outcome(result.device.low, result.device.typical, result.device.high, judged)

        return outcome_of


def plans_for(run: Run, subject: Subject, target: Target | None, allowed: Mapping[str, bool], estimator: Estimator) -> Plans:
    """The plans of moves that the dialect has keys for."""
    known = Allowed(**{name: allowed[name] for name in Allowed.__match_args__ if name in allowed})
    needed = needed_moves(run, known)
    after = with_changes(run, [change for move in needed for change in move.changes])
    moves = moves_for(after, known)
    sayable: list[Move] = []
    for _, axis in groupby(moves, key=lambda move: move.axis):
        steps = list(axis)
        if not isinstance(_operations(subject, steps[0].changes), Refusal):
            sayable += steps
    return search(sayable, estimator.on(target), always=needed)


def with_plans(finding: Finding, plans: Plans, target: Target, estimator: Estimator) -> Finding:
    """The finding about the fit with the best plans, then the single moves that help; or with why nothing does."""
    if finding.name not in ABOUT_THE_FIT:
        return finding
    chosen = [plan for plan in (plans.best, *plans.alternatives) if plan is not None]
    alone = [plan for plan in plans.singles if not any(plan.axes <= taken.axes for taken in chosen)]
    advice = finding.help
    if plans.best is None:
        advice = (*advice, *_nothing_fits(plans.nearest, target, estimator))
    return replace(finding, help=advice, fixes=tuple(_fix(plan) for plan in [*chosen, *alone][:SHOWN]))


def with_growth(finding: Finding, run: Run, subject: Subject, target: Target, estimator: Estimator) -> Finding:
    """The finding about headroom says what the spare memory would buy."""
    if finding.name != "headroom":
        return finding
    longest = subject.model.architecture.max_position_embeddings if isinstance(subject.model, FoundModel) else None
    grown = growth(run, estimator.on(target), longest=longest)
    return replace(finding, fixes=tuple(Fix(one.title, Safety.DISPLAY, one.changes, outcome=one.outcome) for one in grown))


def _fix(plan: Plan) -> Fix:
    return Fix(plan.title, plan.safety, plan.changes, outcome=plan.outcome)


def _nothing_fits(nearest: Plan | None, target: Target, estimator: Estimator) -> list[str]:
    """The nearest miss, and the smallest cards that would do."""
    lines = []
    if nearest is not None and nearest.moves:
        need = in_gib(nearest.outcome.device_typical)
        lines.append(f"nothing that could be changed here makes it fit; the nearest: {nearest.title} → needs {need}")
        card = smallest_card(nearest.changes, target, estimator)
        if card is not None:
            lines.append(f"the smallest card for that: {card.id} ({in_gib(card.usable)} usable)")
    else:
        lines.append("nothing that could be changed here makes it fit")
    card = smallest_card((), target, estimator)
    if card is not None:
        lines.append(f"the smallest card for the run as it is: {card.id} ({in_gib(card.usable)} usable)")
    return lines


def smallest_card(changes: tuple[Change, ...], above: Target, estimator: Estimator) -> Target | None:
    """The NVIDIA card with the least usable memory that fits the changed run, of those with more than `above` has."""
    nvidia = (entry for entry in all_targets() if entry["vendor"] == "nvidia" and entry.get("segment") in SUGGESTED)
    cards = [target_of_entry(entry) for entry in nvidia]
    larger = [
        card for card in cards
        if card.usable > above.usable and card.compute_capability >= LEAST_CAPABILITY and card.kernels_assumed is None
    ]
    for card in sorted(larger, key=lambda card: (card.usable, card.id)):
        outcome = estimator.on(card)(changes)
        if outcome is not None and outcome.verdict == "fits":
            return card
    return None


def settle(fix: Fix, subject: Subject, outcome_of: Callable[[tuple[Change, ...]], Outcome | None]) -> Fix:
    """The fix with the peak it leads to, and with its edit if the file takes it; else with the reason why not."""
    if fix.changes and fix.outcome is None and not any(change.delete for change in fix.changes):
        fix = replace(fix, outcome=outcome_of(fix.changes))
    if fix.changes and not fix.operations:
        operations = _operations(subject, fix.changes)
        if isinstance(operations, Refusal):
            return replace(fix, refused=operations.why)
        fix = replace(fix, operations=operations)
    if fix.operations:
        edited = apply(subject.file, fix.operations)
        if isinstance(edited, Refused):
            return replace(fix, refused=edited.why)
    return fix


def _operations(subject: Subject, changes: tuple[Change, ...]) -> tuple[Operation, ...] | Refusal:
    return to_operations(subject.file, subject.document, subject.recognised, changes)
