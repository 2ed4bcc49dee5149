"""One training config on many cards: what each has, whether it fits, the largest batch there, and the plan where it does not."""

from __future__ import annotations

from collections.abc import Iterable

from vramlint.catalog import FoundModel, Target, all_targets, allowances, target_of_entry
from vramlint.examine import Subject, numbers_of
from vramlint.memory import NoEstimate
from vramlint.plan import Plan, largest_batch
from vramlint.planning import Estimator, plans_for
from vramlint.record import Record


def cards(reserve: int = 0) -> list[Target]:
    """Every card of the catalogue, the smallest first."""
    found = [target_of_entry(entry, reserve) for entry in all_targets()]
    return sorted(found, key=lambda target: (target.usable, target.id))


def survey(subject: Subject, targets: Iterable[Target]) -> Record:
    """The record of one document: `error` where there is no estimate, else a row per card. All sizes in bytes."""
    subject_model = subject.model.architecture if isinstance(subject.model, FoundModel) else None
    estimators: dict[int, Estimator] = {}
    rows: list[Record] = []
    error = None
    for target in targets:
        numbers = numbers_of(subject, target)
        run, result = numbers.worst.run, numbers.worst.estimate
        if isinstance(result, NoEstimate):
            error = result.why
            break
        estimator = estimators.setdefault(id(run), Estimator(run, subject.model))
        outcome_of = estimator.on(target)
        allowed = allowances(subject_model, target.compute_capability, target.vendor)
        plan = None
        if numbers.verdict != "fits" or (run.bf16 and not allowed["bf16"]):
            plan = plans_for(run, subject, target, allowed, estimator).best
        batch = largest_batch(run, outcome_of)
        rows.append({
            "target": {
                "id": target.id, "name": target.name, "total": target.total, "usable": target.usable,
                "compute_capability": ".".join(map(str, target.compute_capability)),
            },
            "verdict": numbers.verdict,
            "allocated": _band(result.allocated), "required": _band(result.required), "device": _band(result.device),
            "largest_batch": None if batch is None else {
                "micro_batch": batch.micro_batch, "gradient_accumulation_steps": batch.accumulation,
                "device": batch.outcome.device_typical,
            },
            "plan": None if plan is None else _plan(plan),
        })
    run = subject.runs[0]
    return {
        "path": subject.file.path, "document": subject.document.index, "dialect": subject.recognised.dialect,
        "model": run.model_name_or_path, "targets": [] if error else rows, "error": error,
    }


def _band(band: object) -> Record:
    return {name: getattr(band, name) for name in ("low", "typical", "high")}


def _plan(plan: Plan) -> Record:
    return {
        "title": plan.title, "safety": plan.safety.name.lower(), "device": plan.outcome.device_typical,
        "changes": [{"key": change.key, "value": change.value} for change in plan.changes],
    }


