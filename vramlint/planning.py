"""From a run that does not fit to the fixes on its finding: plans that the file can take, estimated and tried on the text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice

from vramlint.catalog import (
    PEFT_DEFAULT_TARGETS,
    Architecture,
    FoundModel,
    MissingModel,
    Target,
    all_targets,
    target_of_entry,
)
from vramlint.dataclass import replace
from vramlint.dialects import Refusal, to_operations
from vramlint.examine import SMALL_CARD, Subject, numbers_of, simulate, subject_of
from vramlint.findings import ABOUT_THE_FIT, Finding, Fix, Outcome, Safety
from vramlint.memory import Band, Estimate, NoEstimate
from vramlint.memory.verdict import verdict
from vramlint.plan import NOTICEABLE, Allowed, Move, OutcomeOf, Plan, Plans, growth, moves_for, needed_moves, search
from vramlint.run import Change, Run, with_changes
from vramlint.sizes import in_gib
from vramlint.source import Operation, Refused, apply

MARGINS = (-0.06, 0.0, 0.04, 0.1)
"""Added to the needs that are searched with, the next where no plan fitted when it was estimated in full. The first is below
zero: the share taken from the unchanged run is often too large for what is changed, and the plan then harsher than needed."""
SHOWN = 6
"""Plans, and single moves that help and are not enough, on one finding."""
SUGGESTED = ("datacenter", "workstation", "consumer")
"""No laptops and no boards: the suggestion is a card to rent or to buy."""
WITH_ADAPTERS = ("axolotl", "llamafactory", "ms-swift", "oumi")
"""Dialects in which a key of the file makes adapters; elsewhere the script does."""
WITH_LIGER = ("axolotl",)
"""Dialects whose framework installs liger-kernel with itself (pyproject.toml of axolotl)."""
LEAST_CAPABILITY = (7, 0)
"""Older cards are not suggested: PyTorch 2.11's wheels begin there."""


class Estimator:
    """Outcomes of changes to one run of a document; estimates are shared by cards of the same compute capability.

    `rough` outcomes are for searching: the allocator is not replayed, its share is that of the unchanged run.
    """

    __slots__ = ("_exact", "_model", "_quick", "_run")

    def __init__(
        self, run: Run, model: FoundModel | MissingModel | None, known: Estimate | NoEstimate | None = None,
        target: Target | None = None,
    ) -> None:
        """`known`: the estimate of the unchanged run on `target`, if it is there already."""
        self._run = run
        self._model = model
        self._exact: dict[tuple[tuple[Change, ...], tuple[int, int, bool]], Estimate | NoEstimate] = {}
        if known is not None:
            self._exact[(), _capability(target)] = known
        self._quick: dict[tuple[tuple[Change, ...], tuple[int, int, bool]], Estimate | NoEstimate] = {}

    def estimate(self, changes: tuple[Change, ...], target: Target | None, *, replay: bool = True) -> Estimate | NoEstimate:
        """The estimate of the run with the changes made."""
        known = self._exact if replay else self._quick
        key = (changes, _capability(target))
        if key not in known:
            run = _as_read_again(with_changes(self._run, changes), self._run)
            known[key] = self._exact.get(key) or simulate(run, self._model, target, replay=replay)
        return known[key]

    def on(self, target: Target | None) -> OutcomeOf:
        """Changes → outcome on that card."""

        def outcome_of(changes: tuple[Change, ...]) -> Outcome | None:
            result = self.estimate(changes, target)
            return None if isinstance(result, NoEstimate) else _outcome(result.device, target)

        return outcome_of

    def beyond(self, changes: tuple[Change, ...], target: Target) -> bool:
        """Whether what is allocated alone is more than the card has: known at a third of the cost of an estimate in full."""
        result = self.estimate(changes, target, replay=False)
        return isinstance(result, Estimate) and result.allocated.typical + result.context.high > target.usable

    def rough(self, target: Target, margin: float) -> OutcomeOf:
        """What `plan` searches with; `margin` is added to the need, as a share."""
        start = self.estimate((), target)

        def outcome_of(changes: tuple[Change, ...]) -> Outcome | None:
            if not changes:
                return self.on(target)(())
            result = self.estimate(changes, target, replay=False)
            if isinstance(result, NoEstimate) or isinstance(start, NoEstimate):
                return None
            low, typical, high = (
                int(getattr(result.allocated, end) * getattr(start.required, end) / getattr(start.allocated, end) * (1 + margin))
                + getattr(result.context, end) for end in ("low", "typical", "high")
            )
            return _outcome(Band(low, typical, max(typical, high)), target)

        return outcome_of


def _capability(target: Target | None) -> tuple[int, int, bool]:
    """What of a card an estimate depends on."""
    return (*target.compute_capability, target.total <= SMALL_CARD) if target else (0, 0, True)


def _as_read_again(run: Run, before: Run) -> Run:
    """A run that becomes a quantised one, as its file will then be read.

    Whether the script of a plain Trainer calls `prepare_model_for_kbit_training` is then open, and the larger answer counts.
    """
    becomes = run.load_in_4bit and not before.load_in_4bit
    if becomes and run.trainer == "transformers" and not run.prepare_model_for_kbit_training:
        return replace(run, prepare_model_for_kbit_training=True)
    return run


def _outcome(device: Band, target: Target | None) -> Outcome:
    judged = verdict(device, target.usable) if target else None
    return Outcome(device.low, device.typical, device.high, judged)


def plans_for(run: Run, subject: Subject, target: Target, allowed: Mapping[str, bool], estimator: Estimator) -> Plans:
    """The plans of moves that the document's dialect has keys for."""

    def sayable(move: Move) -> bool:
        return not isinstance(_operations(subject, move.changes), Refusal)

    def outcome_of(changes: tuple[Change, ...]) -> Outcome | None:
        return _read_again(changes, subject, target, estimator)

    model = subject.model.architecture if isinstance(subject.model, FoundModel) else None
    known = allowed_of(allowed, model, subject.recognised.dialect, subject.facts.installed)
    return plans_of(run, target, known, estimator, sayable, outcome_of)


def allowed_of(
    allowances: Mapping[str, bool], model: Architecture | None, dialect: str = "", installed: frozenset[str] = frozenset(),
) -> Allowed:
    """What a plan may use, of what the card and the libraries allow, the dialect's framework has and the project installs."""
    known = Allowed(
        **{name: allowances[name] for name in Allowed.__match_args__ if name in allowances},
        liger_installed="liger-kernel" in installed or dialect in WITH_LIGER, adapters=dialect in WITH_ADAPTERS,
        attention_targets=PEFT_DEFAULT_TARGETS.get(model.model_type, ()) if model else (),
    )
    return known if allowances.get("triton", True) else replace(known, liger=False)


def plans_of(
    run: Run, target: Target, known: Allowed, estimator: Estimator, sayable: Callable[[Move], bool],
    outcome_of: OutcomeOf | None = None,
) -> Plans:
    """The plans of a run on a card; `sayable` is asked of the first move of each axis.

    Each is estimated in full, and counts only if it fits by `outcome_of` too: what the edited file is then read to be.
    """
    outcome_of = outcome_of or estimator.on(target)
    needed = needed_moves(run, known)
    after = with_changes(run, [change for move in needed for change in move.changes])
    moves: list[Move] = []
    for _, axis in groupby(moves_for(after, known), key=lambda move: move.axis):
        steps = list(axis)
        if sayable(steps[0]):
            moves += steps
    proven: list[Plan] = []
    found = Plans(None)
    for margin in MARGINS:
        found = search(moves, estimator.rough(target, margin), always=needed)
        likely = [plan for plan in (found.best, *found.alternatives) if plan is not None]
        proven = [exact for plan in likely if (exact := _exact(plan, outcome_of)).fits]
        if proven or not likely:
            break
    nearest = found.nearest or found.best
    return Plans(
        proven[0] if proven else None, tuple(proven[1:]),
        _exact(nearest, estimator.on(target)) if nearest and not proven else None,
        tuple(islice(_helping(_alone(found.singles, proven), estimator.on(target)), SHOWN - len(proven))),
    )


def _alone(singles: Iterable[Plan], chosen: Sequence[Plan]) -> Iterator[Plan]:
    """The single moves that no chosen plan makes in its own way."""
    return (plan for plan in singles if not any(plan.axes <= taken.axes for taken in chosen))


def _helping(plans: Iterable[Plan], outcome_of: OutcomeOf) -> Iterator[Plan]:
    """The plans in full, those that save nothing after all left out."""
    start = outcome_of(())
    for plan in plans:
        exact = _exact(plan, outcome_of)
        if start is None or exact.outcome.device_typical < (1 - NOTICEABLE) * start.device_typical:
            yield exact


def _exact(plan: Plan, outcome_of: OutcomeOf) -> Plan:
    """The plan with the outcome of a full estimate; as it is where there is none, which then does not count as fitting."""
    outcome = outcome_of(plan.changes)
    return Plan(plan.moves, outcome or replace(plan.outcome, verdict=None))


def _read_again(changes: tuple[Change, ...], subject: Subject, target: Target, estimator: Estimator) -> Outcome | None:
    """What the document takes on the card once the changes are written into it: edited, read and recognised anew.

    Where the file takes no edit, or the command line overrides what is changed: the outcome of the changed run itself.
    """
    operations = _operations(subject, changes)
    edited = apply(subject.file, operations) if not isinstance(operations, Refusal) else None
    if edited is None or isinstance(edited, Refused) or any(change.key in subject.facts.overrides for change in changes):
        return estimator.on(target)(changes)
    again = subject_of(edited.file, edited.file.documents[subject.document.index], subject.facts)
    result = numbers_of(again, target).worst.estimate if again is not None else None
    return _outcome(result.device, target) if isinstance(result, Estimate) else None


def with_plans(finding: Finding, plans: Plans, target: Target, estimator: Estimator) -> Finding:
    """The finding about the fit with the best plans, then the single moves that help; or with why nothing does."""
    if finding.name not in ABOUT_THE_FIT:
        return finding
    chosen = [plan for plan in (plans.best, *plans.alternatives) if plan is not None]
    advice = finding.help
    if plans.best is None:
        advice = (*advice, *_nothing_fits(plans.nearest, target, estimator))
    return replace(finding, help=advice, fixes=tuple(_fix(plan) for plan in (*chosen, *plans.singles)))


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
        if estimator.beyond(changes, card):
            continue
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
