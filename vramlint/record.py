"""The record of one document's estimate: the JSON contract of `vramlint estimate`, all sizes in bytes."""

from __future__ import annotations

from typing import Any

from vramlint.catalog import FoundModel, Target
from vramlint.examine import DEFAULT_CAPABILITY, Numbers, Subject, cards_left_open
from vramlint.memory import Band, Estimate, NoEstimate, Parts, Tensor
from vramlint.run import Run

Record = dict[str, object]


def record_of(subject: Subject, numbers: Numbers) -> Record:
    """What the simulation gave for a recognised document."""
    run, result = numbers.worst.run, numbers.worst.estimate
    target = numbers.target
    record: Record = {
        "path": subject.file.path,
        "document": subject.document.index,
        "dialect": subject.recognised.dialect,
        "model": _model_of(subject, run),
        "trainer": run.trainer,
        "stack": dict(run.stack),
        "target": None if target is None else {
            "id": target.id, "name": target.name, "total": target.total, "usable": target.usable,
            "compute_capability": ".".join(map(str, target.compute_capability)), "total_source": target.total_source,
        },
        "estimate": _estimate_of(result) if isinstance(result, Estimate) else None,
        "verdict": numbers.verdict,
        "assumptions": _assumptions_of(subject, numbers),
        "unknown": _unknown_of(subject, numbers),
        "error": result.why if isinstance(result, NoEstimate) else None,
    }
    if len(numbers.candidates) > 1:
        record["candidates"] = [
            {
                "trainer": c.run.trainer,
                "device": _band_of(c.estimate.device) if isinstance(c.estimate, Estimate) else None,
            }
            for c in numbers.candidates
        ]
    return record


def failed_record(path: str, error: str, document: int = 0) -> Record:
    """A file without a number: unreadable, or no training config."""
    return {
        "path": path, "document": document, "dialect": None, "model": None, "trainer": None, "stack": {},
        "target": None, "estimate": None, "verdict": None, "assumptions": [], "unknown": [], "error": error,
    }


def _model_of(subject: Subject, run: Run) -> Record | None:
    if isinstance(subject.model, FoundModel):
        return {"name": subject.model.name, "source": subject.model.source, "quantized": subject.model.quantized}
    return {"name": run.model_name_or_path, "source": None} if run.model_name_or_path else None


def _band_of(band: Band) -> Record:
    return {"low": band.low, "typical": band.typical, "high": band.high}


def _estimate_of(result: Estimate) -> Record:
    peak = result.peak
    return {
        "allocated": _band_of(result.allocated),
        "required": _band_of(result.required),
        "context": _band_of(result.context),
        "device": _band_of(result.device),
        "peak": {
            "phase": peak.phase,
            "parts": _as_dict(peak.parts),
            "tensors": [{**_as_dict(tensor), "shape": list(tensor.shape)} for tensor in peak.tensors],
            "next": None if peak.next_allocated is None
            else {"phase": peak.next_phase, "allocated": peak.next_allocated},
        },
        "trainable_parameters": result.trainable_parameters,
        "total_parameters": result.total_parameters,
        "kernels": result.kernels,
    }


def _assumptions_of(subject: Subject, numbers: Numbers) -> list[Record]:
    found: list[Record] = []
    if numbers.target is None:
        capability = ".".join(map(str, DEFAULT_CAPABILITY))
        found.append({
            "key": "target", "value": f"compute capability {capability}",
            "why": "no target is named: the kernels of a current data-centre card (A100) are assumed",
        })
    elif numbers.target.kernels_assumed:
        found.append({"key": "target", "value": numbers.target.name, "why": numbers.target.kernels_assumed})
    stack = ", ".join(f"{library} {version}" for library, version in numbers.worst.run.stack.items())
    if stack or subject.facts.stack_source:
        said_by = subject.facts.stack_source or "the dialect"
        found.append({"key": "stack", "value": stack or "current", "why": f"said by {said_by}"})
    else:
        why = "no lock, requirements or environment file says which library versions: the current ones are assumed"
        found.append({"key": "stack", "value": "current", "why": why})
    if numbers.target is not None and _cards_say(subject, numbers.target):
        found.append({
            "key": "num_processes", "value": str(numbers.worst.run.num_processes),
            "why": f"{numbers.target.name}: one process on each of its cards",
        })
    if isinstance(subject.model, FoundModel) and subject.model.assumed:
        found.append({"key": "model_name_or_path", "value": subject.model.name, "why": subject.model.assumed})
    if isinstance(numbers.worst.estimate, Estimate):
        found += [
            {"key": a.key, "value": stack if a.key == "stack" else a.value, "why": a.why}
            for a in numbers.worst.estimate.assumptions
        ]
    found += [{"key": "", "value": "", "why": note} for note in subject.recognised.notes]
    return found


def _cards_say(subject: Subject, target: Target) -> bool:
    """Whether it is the target that says on how many cards the run is trained."""
    return any(
        "num_processes" in run.unknown or (target.gpu_count > 1 and cards_left_open(run, subject.recognised))
        for run in subject.runs
    )


def _unknown_of(subject: Subject, numbers: Numbers) -> list[Record]:
    run = numbers.worst.run
    found: list[Record] = [{"key": key, "why": why} for key, why in run.unknown.items()]
    if subject.recognised.trainer_open:
        found.append({"key": "trainer", "why": subject.recognised.trainer_open})
    if isinstance(numbers.worst.estimate, NoEstimate):
        named = {entry["key"] for entry in found}
        found += [
            {"key": key, "why": numbers.worst.estimate.why} for key in numbers.worst.estimate.keys if key not in named
        ]
    return found


def _as_dict(value: Parts | Tensor) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__match_args__}
