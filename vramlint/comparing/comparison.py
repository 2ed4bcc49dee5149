"""A recorded run beside the estimate of its configuration: figure by figure, part by part, and what to report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vramlint.catalog import FoundModel, Target, library_facts
from vramlint.comparing.recording import Recording
from vramlint.dataclass import replace
from vramlint.examine import Facts, Numbers, Subject, numbers_of, subjects_of
from vramlint.memory import Band, Estimate, NoEstimate
from vramlint.memory.verdict import verdict
from vramlint.run import Change, Run, with_changes

TRAINER_OF = {
    "TrainingArguments": "transformers", "SFTConfig": "trl-sft", "DPOConfig": "trl-dpo", "KTOConfig": "trl-kto",
    "RewardConfig": "trl-reward", "GRPOConfig": "trl-grpo",
}
"""The trainer that goes with a class of arguments."""
STAYING = ("weights", "adapters", "optimizer")
PASSING = ("gradients", "activations", "logits", "workspace")
BACKWARD = "backward"


class NothingToCompare(Exception):  # noqa: N818  # said to the user as it stands
    """The configuration has no estimate; the message says why."""


def comparison(path: str, data: bytes, facts: Facts, recording: Recording) -> dict[str, Any]:
    """The comparison as plain data, sizes in bytes. Raises `NothingToCompare`, and `SourceError` for an unreadable file.

    The card, the library versions and, where the file leaves it open, the trainer are those of the recording.
    """
    subject, notes = _subject(path, data, facts, recording)
    target = Target(
        "recorded", recording.device, "nvidia", recording.total, 0, recording.capability, "as PyTorch saw it then",
    )
    numbers = numbers_of(subject, target)
    configured = _estimate_of(numbers, path)
    run = numbers.worst.run
    settings = _settings(run, recording.arguments)
    length = _shorter(run, recording)
    made = configured
    if length is not None:
        shorter = tuple(with_changes(one, (Change("max_length", length),)) for one in subject.runs)
        made = _estimate_of(numbers_of(replace(subject, runs=shorter), target), path)
        rows = recording.longest_batch or (0, 0)
        notes.append(
            f"the longest batch was {rows[0]}×{rows[1]} tokens, the file allows {run.max_length}: estimated for {length}",
        )
    figures = _figures(made, recording, target.usable)
    phases = _phases(made, recording)
    trained = None
    if recording.trainable is not None and recording.trainable != made.trainable_parameters:
        trained = {"estimated": made.trainable_parameters, "measured": recording.trainable}
    agrees = all(figure["within"] for figure in figures) and not settings and trained is None
    parts = _parts(made, recording)
    if not recording.is_whole:
        notes.append("the recording has no end: the process was killed or is still running")
    elif recording.error is not None:
        notes.append(f"the training ended with {recording.error}")
    return {
        "file": path, "run": recording.path, "device": recording.device, "total": recording.total,
        "capability": ".".join(map(str, recording.capability)), "versions": dict(recording.versions), "trainer": run.trainer,
        "steps": recording.steps, "figures": figures, "parts": parts, "phases": phases, "settings": settings,
        "trainable_parameters": trained, "configured": None if length is None else _band(configured.allocated),
        "notes": notes, "agrees": agrees, "report": _report(figures, parts, settings, trained, recording),
    }


def _subject(path: str, data: bytes, facts: Facts, recording: Recording) -> tuple[Subject, list[str]]:
    """The document that was run, with the recorded versions where they behave otherwise than current ones."""
    subjects = subjects_of(path, data, facts)
    if not subjects:
        raise NothingToCompare(f"{path}: it is no training config that vramlint knows")
    notes = []
    trainer = TRAINER_OF.get(recording.arguments_class or "")
    if trainer and subjects[0].recognised.trainer_open and "trainer" not in facts.overrides:
        facts = replace(facts, overrides={**facts.overrides, "trainer": trainer})
        notes.append(f"the file leaves the trainer open; the recording says {recording.arguments_class}: {trainer}")
        subjects = subjects_of(path, data, facts)
    model = subjects[0].model
    kind = model.architecture.model_type if isinstance(model, FoundModel) else ""
    if not facts.stack and library_facts(recording.versions, kind):
        subjects = subjects_of(path, data, replace(facts, stack=dict(recording.versions)))
        notes.append("estimated for the versions of the recording")
    return subjects[0], notes


def _estimate_of(numbers: Numbers, path: str) -> Estimate:
    result = numbers.worst.estimate
    if isinstance(result, NoEstimate):
        raise NothingToCompare(f"{path}: no estimate: {result.why}")
    return result


def _settings(run: Run, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where the run was another than the file says."""
    found = []
    for key, there in arguments.items():
        if key not in Run.__match_args__ or key in run.unknown:
            continue
        here = getattr(run, key)
        if here is not None and not isinstance(here, (tuple, Mapping)) and here != there:
            found.append({"key": key, "file": here, "run": there})
    return found


def _shorter(run: Run, recording: Recording) -> int | None:
    """The tokens of the longest batch, where no batch was as long as the file allows and rows are not laid end to end."""
    if recording.longest_batch is None or run.max_length is None or run.packing or run.padding_free:
        return None
    rows, tokens = recording.longest_batch
    return tokens if rows == run.per_device_train_batch_size and tokens < run.max_length else None


def _band(band: Band) -> dict[str, int]:
    return {"low": band.low, "typical": band.typical, "high": band.high}


def _figures(made: Estimate, recording: Recording, usable: int) -> list[dict[str, Any]]:
    """What decides whether estimate and run agree."""
    if recording.ran_out:
        judged = verdict(made.device, usable)
        said = {"fits": "the estimate says that it fits", "tight": "the estimate calls it tight"}
        return [{
            "figure": "device", "estimated": _band(made.device), "measured": None, "error": None, "within": judged != "fits",
            "why": f"the run ran out of memory: {said.get(judged, 'the estimate says so too')}",
        }]
    allocated, reserved = recording.peak_allocated, recording.peak_reserved
    found = [
        {
            "figure": "allocated", "estimated": _band(made.allocated), "measured": allocated,
            "error": _error(made.allocated.typical, allocated),
            "within": made.allocated.low <= allocated <= made.allocated.high, "why": "the peak of live tensors",
        },
        {
            "figure": "required", "estimated": _band(made.required), "measured": reserved,
            "error": None, "within": made.required.low <= reserved,
            "why": "measured is what was reserved: it may be more than a run requires, never less",
        },
    ]
    smi, then = recording.smi.get("process"), recording.smi.get("reserved")
    if smi is not None and then is not None and smi > then:
        context = smi - then
        found.append({
            "figure": "context", "estimated": _band(made.context), "measured": context,
            "error": _error(made.context.typical, context), "within": made.context.low <= context <= made.context.high,
            "why": "nvidia-smi's figure of the process, less what was reserved",
        })
    return found


def _error(estimated: int, measured: int) -> float | None:
    return round(estimated / measured - 1, 5) if measured else None


def _parts(made: Estimate, recording: Recording) -> list[dict[str, Any]]:
    """What stays through a step, each for itself, and what comes and goes together."""
    if not recording.parts:
        return []
    found = []
    for name in STAYING:
        here, there = getattr(made.peak.parts, name), recording.parts.get(name, 0)
        if here or there:
            found.append({"part": name, "estimated": here, "measured": there, "error": _error(here, there)})
    if recording.parts.get("weights") and not recording.ran_out:  # else it did not come to the peak
        here = sum(getattr(made.peak.parts, name) for name in PASSING)
        there = max(0, recording.peak_allocated - sum(recording.parts.get(name, 0) for name in STAYING))
        found.append({"part": ", ".join(PASSING), "estimated": here, "measured": there, "error": _error(here, there)})
    return found


def _phases(made: Estimate, recording: Recording) -> list[dict[str, Any]]:
    """The highest peak of each phase that both know."""
    by_phase: dict[str, int] = {}
    for phase, size in made.peak.phases:
        name = BACKWARD if phase.startswith(BACKWARD) else "forward" if phase in ("forward", "fused loss") else phase
        by_phase[name] = max(size, by_phase.get(name, 0))
    if "forward and backward" in recording.phases:
        by_phase["forward and backward"] = max(by_phase.get("forward", 0), by_phase.get(BACKWARD, 0))
    return [
        {"phase": phase, "estimated": by_phase[phase], "measured": size, "error": _error(by_phase[phase], size)}
        for phase, size in recording.phases.items() if phase in by_phase
    ]


def _report(
    figures: list[dict[str, Any]], parts: list[dict[str, Any]], settings: list[dict[str, Any]], trained: dict[str, int] | None,
    recording: Recording,
) -> list[str]:
    """What to do about a difference, the likeliest reason first."""
    if settings:
        said = ", ".join(f"{each['key']} {each['run']} (the file: {each['file']})" for each in settings)
        return [f"the run was not the one that the file says: it had {said}. Compare the file that was run"]
    off = [figure for figure in figures if not figure["within"]]
    if not off and trained is None:
        return []
    found = []
    if trained is not None:
        found.append(
            f"the run trained {trained['measured']:,} parameters, the estimate {trained['estimated']:,}: "
            "look at the target modules, the rank and what is frozen",
        )
    if off:
        found.append(f"outside the range of the estimate: {', '.join(figure['figure'] for figure in off)}")
    worst = max(parts, key=lambda part: abs(part["estimated"] - part["measured"]), default=None)
    if worst is not None and off:
        found.append(f"most of it is in {worst['part']}")
    found.append(
        f"please report it with the configuration, {recording.path} and this comparison as --output-format json",
    )
    return found
