"""The facts that a file leaves unstated and that would turn the verdict: each one's other answers, estimated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from vramlint.catalog import Target
from vramlint.dataclass import dataclass, replace
from vramlint.examine import Facts, Numbers, Subject, numbers_of, simulate, subject_of
from vramlint.memory import Band, Estimate, NoEstimate
from vramlint.memory.verdict import verdict
from vramlint.run import Change, Run, Value, with_changes

ENDS = ("low", "typical", "high")
NOT_SURE = (0.93, 1.0, 1.07)
"""A quick estimate so much off would still give the verdict that it gives; otherwise it is made in full."""
OLDER_STACK = MappingProxyType({
    "torch": "2.4.1", "transformers": "4.48.1", "peft": "0.13.2", "trl": "0.13.0", "bitsandbytes": "0.43.3",
})
"""The older versions that lab/data/measured has runs of."""
KBIT = "prepare_model_for_kbit_training"
LENGTHS = (512, 1024, 2048, 4096)
"""What a length that nobody stated is tried as."""
PREFERENCE = frozenset({"trl-dpo", "trl-kto", "trl-reward", "trl-grpo", "trl-rloo"})


@dataclass(frozen=True, slots=True)
class Answer:
    """Another answer to what is not stated: `taken` is what the estimate rests on, `other` what it might be."""

    key: str
    taken: str
    other: str
    changes: tuple[Change, ...] = ()
    overrides: Mapping[str, Value] | None = None
    stack: Mapping[str, str] | None = None


def turning_facts(subject: Subject, numbers: Numbers, facts: Facts) -> list[dict[str, Any]]:
    """The entries `turning` of a record: other answers under which the verdict, or having none, would be another."""
    if isinstance(numbers.worst.estimate, NoEstimate):
        answers, turns = list(_for_want_of(subject, numbers)), True
    elif numbers.target is None:
        return []
    else:
        answers, turns = list(_others(subject, numbers)), False
    found = []
    for answer in answers:
        other = _with(answer, subject, facts)
        if not turns and _stays(other, numbers):
            continue
        made = numbers_of(other, numbers.target)
        result = made.worst.estimate
        if isinstance(result, Estimate) and (turns or made.verdict != numbers.verdict):
            found.append({
                "key": answer.key, "taken": answer.taken, "other": answer.other, "device": _band(result.device),
                "verdict": made.verdict,
            })
    return found


def _band(band: Band) -> dict[str, int]:
    return {"low": band.low, "typical": band.typical, "high": band.high}


def _for_want_of(subject: Subject, numbers: Numbers) -> Iterator[Answer]:
    """What there would be if the length that keeps the estimate away were known."""
    result = numbers.worst.estimate
    if not isinstance(result, NoEstimate) or result.keys != ("max_length",):
        return
    positions = getattr(getattr(subject.model, "architecture", None), "max_position_embeddings", None) or LENGTHS[-1]
    for length in LENGTHS:
        if length <= positions:
            yield Answer("max_length", "not stated", str(length), (Change("max_length", length),))


def _others(subject: Subject, numbers: Numbers) -> Iterator[Answer]:
    """Every fact that the file does not state, with each other answer."""
    run, target = numbers.worst.run, numbers.target

    def is_open(key: str) -> bool:
        # What was inferred follows from what is stated, but for the trainer, which the file may mean otherwise.
        origin = subject.recognised.origins.get(key)
        return origin is None or origin.kind == "default" or (key == "trainer" and origin.kind == "inferred")

    if is_open("trainer") and subject.recognised.dialect == "huggingface":
        for trainer in ("transformers", "trl-sft"):
            if trainer != run.trainer or len(subject.runs) > 1:
                taken = run.trainer if len(subject.runs) == 1 else "open"
                yield Answer("trainer", taken, trainer, overrides={"trainer": trainer})
    own = subject.recognised.dialect == "huggingface"  # other frameworks decide by themselves what they prepare
    yield from (
        answer for answer in _of_values(run, target) if is_open(answer.key) and (own or answer.key != KBIT)
    )
    if run.padding and not run.packing and run.max_length and run.max_length >= 64:
        half = run.max_length // 2
        yield Answer(
            "max_length", f"batches reach all {run.max_length} tokens", f"no batch is longer than {half}",
            (Change("max_length", half),),
        )
    if not run.stack:
        yield Answer("stack", "current", "transformers 4.48, trl 0.13, torch 2.4", stack=OLDER_STACK)


def _of_values(run: Run, target: Target | None) -> Iterator[Answer]:
    """The answers that are another value of one key."""
    for key in ("padding", "gradient_checkpointing"):
        yield _flipped(run, key)
    if run.trainer == "trl-sft" or run.trainer in ("axolotl", "llamafactory"):
        yield _flipped(run, "packing")
    if run.load_in_4bit or run.load_in_8bit:
        yield _flipped(run, KBIT)
    if run.trainer in PREFERENCE and run.reference_model is not None and not run.use_peft:
        yield _flipped(run, "reference_model")
    if not (run.bf16 or run.fp16):
        yield _flipped(run, "bf16")
    kernels = ["eager"] if run.attn_implementation in (None, "sdpa") else ["sdpa"]
    if target is not None and target.compute_capability >= (8, 0) and run.attn_implementation != "flash_attention_2":
        kernels.append("flash_attention_2")
    for kernel in kernels:
        yield _valued(run, "attn_implementation", kernel, "sdpa")
    for dtype in ("bfloat16", "float32"):
        if dtype != run.dtype:
            yield _valued(run, "dtype", dtype)
    if run.optim != "adamw_torch":
        yield _valued(run, "optim", "adamw_torch")
    if run.per_device_train_batch_size > 1:
        yield _valued(run, "per_device_train_batch_size", 1)


def _flipped(run: Run, key: str) -> Answer:
    taken = bool(getattr(run, key))
    return Answer(key, str(taken).lower(), str(not taken).lower(), (Change(key, not taken),))


def _valued(run: Run, key: str, value: Value, taken: str = "") -> Answer:
    return Answer(key, str(getattr(run, key) or taken), str(value), (Change(key, value),))


def _with(answer: Answer, subject: Subject, facts: Facts) -> Subject:
    """The document if that were the answer; what another trainer or stack implies is the dialect's to say."""
    if answer.changes:
        return replace(subject, runs=tuple(with_changes(run, answer.changes) for run in subject.runs))
    asked = replace(
        facts, overrides={**facts.overrides, **(answer.overrides or {})}, stack={**facts.stack, **(answer.stack or {})},
    )
    return subject_of(subject.file, subject.document, asked) or subject


def _stays(other: Subject, numbers: Numbers) -> bool:
    """Whether quick estimates are far enough from the line to say that the verdict stays, or there is none."""
    target, start = numbers.target, numbers.worst.estimate
    quick = [simulate(run, other.model, target, replay=False) for run in other.runs]
    made = [each for each in quick if isinstance(each, Estimate)]
    if len(made) < len(quick) or not isinstance(start, Estimate) or target is None:
        return True
    worst = max(made, key=lambda each: each.allocated.typical)
    share = {end: getattr(start.required, end) / max(1, getattr(start.allocated, end)) for end in ENDS}
    for off in NOT_SURE:
        low, typical, high = (
            int(getattr(worst.allocated, end) * share[end] * off) + getattr(worst.context, end) for end in ENDS
        )
        if verdict(Band(low, typical, high), target.usable) != numbers.verdict:
            return False
    return True
