"""From one document to its numbers: recognise it, find its model, simulate each run that it may mean."""

from __future__ import annotations

import os
from collections.abc import Mapping

from vramlint.catalog import FoundModel, MissingModel, Target, described_model, find_model
from vramlint.dataclass import dataclass, field, replace
from vramlint.dialects import Recognised, recognise
from vramlint.memory import Band, Estimate, NoEstimate, estimate, unsimulated_trainer
from vramlint.memory.verdict import Verdict, verdict
from vramlint.references import companions_of
from vramlint.run import Run, Value
from vramlint.source import Document, SourceFile, format_of, read

DEFAULT_CAPABILITY = (8, 0)
SMALL_CARD = int(24.5 * 2**30)
"""Bytes of the largest card that unsloth takes for a small one."""
"""The kernels of a current data-centre card, assumed where no target is named."""
FIRST_WITH_BF16 = (8, 0)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the command line adds to what the files say. `installed`: the libraries that files of the project name."""

    overrides: Mapping[str, Value] = field(default_factory=dict)
    dialect: str | None = None
    model_config: str | None = None
    isolated: bool = False
    stack: Mapping[str, str] = field(default_factory=dict)
    stack_source: str = ""
    installed: frozenset[str] = frozenset()
    companions: tuple[SourceFile, ...] = ()
    hub: bool = False
    """Whether the config of a model that is not known may be fetched from the Hugging Face hub."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One document taken for a training config, and the model it trains (None: it names none)."""

    file: SourceFile
    document: Document
    recognised: Recognised
    model: FoundModel | MissingModel | None
    runs: tuple[Run, ...]
    facts: Facts = field(default_factory=Facts)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One run that the document may mean, with its estimate or the reason why there is none."""

    run: Run
    estimate: Estimate | NoEstimate


@dataclass(frozen=True, slots=True)
class Numbers:
    """All candidates of a document on one target; `worst` speaks for them, its bands spanning them all."""

    target: Target | None
    candidates: tuple[Candidate, ...]
    worst: Candidate
    verdict: Verdict | None


def subjects_of(path: str, data: bytes, facts: Facts) -> list[Subject]:
    """The training configs in a file. Raises `SourceError` for one that cannot be read."""
    file = read(path, data, None if path == "-" else format_of(path))
    found = (subject_of(file, document, facts) for document in file.documents)
    return [subject for subject in found if subject is not None]


def subject_of(file: SourceFile, document: Document, facts: Facts) -> Subject | None:
    """The document as a training config, or None if it is not one."""
    recognised = recognise(
        file, document, overrides=facts.overrides, dialect=facts.dialect, stack=facts.stack,
        companions=companions_of(file.path, facts.companions),
    )
    if recognised is None:
        return None
    names = {run.model_name_or_path for run in recognised.runs if "model_name_or_path" not in run.unknown}
    name = names.pop() if len(names) == 1 else None
    model: FoundModel | MissingModel | None = None
    if recognised.model_config is not None and facts.model_config is None:
        model = described_model(name or "", recognised.model_config, os.path.basename(file.path))
    elif name or facts.model_config:
        model = _model_of(name or "", os.path.dirname(file.path) if file.path not in ("", "-") else None, facts)
    runs = tuple(_loaded_as(run, model) for run in recognised.runs)
    return Subject(file, document, recognised, model, runs, facts)


def _model_of(name: str, directory: str | None, facts: Facts) -> FoundModel | MissingModel:
    def found() -> FoundModel | MissingModel:
        return find_model(name, base_directory=directory, model_config=facts.model_config, isolated=facts.isolated)

    model = found()
    if not facts.hub or isinstance(model, FoundModel):
        return model
    from vramlint.hub import HubError, fetch  # noqa: PLC0415  # the network is touched by this flag alone

    try:
        fetch(name, directory or "")
    except HubError as error:
        return MissingModel(name, f"{model.why}; --hub: {error}", model.suggestions)
    return found()


def _loaded_as(run: Run, model: FoundModel | MissingModel | None) -> Run:
    """The run as its checkpoint makes it: one stored in bitsandbytes 4-bit is loaded so whatever the config says."""
    if isinstance(model, FoundModel) and model.quantized == "bnb-4bit" and not run.load_in_4bit:
        return replace(
            run, load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype="bfloat16",
        )
    return run


def simulate(
    run: Run, model: FoundModel | MissingModel | None, target: Target | None, *, replay: bool = True,
) -> Estimate | NoEstimate:
    """The estimate of one run; without a target, on `DEFAULT_CAPABILITY`. `replay` as in `memory.estimate`."""
    if "model_name_or_path" in run.unknown:
        return NoEstimate(f"the model is not known: {run.unknown['model_name_or_path']}", ("model_name_or_path",))
    if (refused := unsimulated_trainer(run)) is not None:
        return refused
    if model is None:
        return NoEstimate("no model is named", ("model_name_or_path",))
    if isinstance(model, MissingModel):
        return NoEstimate(f"unknown model {model.name!r}: {model.why}", ("model_name_or_path",))
    if model.quantized not in (None, "bnb-4bit"):
        why = f"{model.name} is stored quantised ({model.quantized}), which is not simulated yet"
        return NoEstimate(why, ("model_name_or_path",))
    capability = target.compute_capability if target else DEFAULT_CAPABILITY
    small = target is None or target.total <= SMALL_CARD
    return estimate(run, model.architecture, capability=capability, replay=replay, small_card=small)


def numbers_of(subject: Subject, target: Target | None) -> Numbers:
    """Every candidate simulated; the one that needs most speaks, or the first without a number."""
    asks = subject.recognised.asks_card
    runs = [_shared(on_card(run, asks, target), subject.recognised, target) for run in subject.runs]
    candidates = tuple(Candidate(run, _simulated(run, subject, target)) for run in runs)
    missing = [c for c in candidates if isinstance(c.estimate, NoEstimate)]
    if missing:
        return Numbers(target, candidates, missing[0], None)
    worst = max(candidates, key=_need)
    if len(candidates) > 1:
        worst = Candidate(worst.run, _spanning(worst, candidates))
    judged = verdict(worst.estimate.device, target.usable) if target and isinstance(worst.estimate, Estimate) else None
    return Numbers(target, candidates, worst, judged)


def on_card(run: Run, asks_card: frozenset[str], target: Target | None) -> Run:
    """The run as the card makes it: what a script lets the card decide is fp16 on one without bf16 (before 8.0)."""
    if not asks_card or target is None or target.compute_capability >= FIRST_WITH_BF16:
        return run
    made: dict[str, object] = {"bf16": False, "fp16": run.bf16 or run.fp16}
    for key in ("dtype", "bnb_4bit_compute_dtype"):
        made[key] = "float16" if getattr(run, key) == "bfloat16" else getattr(run, key)
    return replace(run, **{key: value for key, value in made.items() if key in asks_card})  # type: ignore[arg-type]  # those above


def _simulated(run: Run, subject: Subject, target: Target | None) -> Estimate | NoEstimate:
    """The estimate; where the trainer is not simulated, with how it is known to be that one."""
    result = simulate(run, subject.model, target)
    if isinstance(result, NoEstimate) and result.keys == ("trainer",):
        origin = subject.recognised.origins["trainer"]
        if origin.kind == "inferred" and origin.why != "stated":
            return replace(result, why=f"{result.why} ({origin.why})")
    return result


def _shared(run: Run, recognised: Recognised, target: Target | None) -> Run:
    """The run on all cards of the target, one process each, where nothing says on how many it is trained."""
    if target is None or not cards_left_open(run, recognised):
        return run
    if "num_processes" in run.unknown:
        unknown = {key: why for key, why in run.unknown.items() if key != "num_processes"}
        return replace(run, num_processes=target.gpu_count, unknown=unknown)
    if run.trainer == "nemo-automodel":  # it states the batch of all cards
        each = max(1, run.gradient_accumulation_steps // target.gpu_count)
        return replace(run, num_processes=target.gpu_count, gradient_accumulation_steps=each)
    if not run.trainer.startswith(("transformers", "trl-")):
        return run  # a recipe for one card
    return replace(run, num_processes=target.gpu_count)


def cards_left_open(run: Run, recognised: Recognised) -> bool:
    """Whether only the launch, or the target, says on how many cards the run is trained."""
    origin = recognised.origins.get("num_processes")
    return "num_processes" in run.unknown or origin is None or origin.kind == "default"


def _need(candidate: Candidate) -> int:
    return candidate.estimate.device.typical if isinstance(candidate.estimate, Estimate) else 0


def _spanning(worst: Candidate, candidates: tuple[Candidate, ...]) -> Estimate | NoEstimate:
    """The worst candidate's estimate with bands from the least low to the greatest high of all."""
    estimates = [c.estimate for c in candidates if isinstance(c.estimate, Estimate)]
    if not isinstance(worst.estimate, Estimate):
        return worst.estimate

    def span(bands: list[Band], own: Band) -> Band:
        return Band(min(b.low for b in bands), own.typical, max(b.high for b in bands))

    return replace(
        worst.estimate,
        allocated=span([e.allocated for e in estimates], worst.estimate.allocated),
        required=span([e.required for e in estimates], worst.estimate.required),
        context=span([e.context for e in estimates], worst.estimate.context),
        device=span([e.device for e in estimates], worst.estimate.device),
    )
