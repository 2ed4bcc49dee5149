"""A file with findings in it, made by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from vramlint.findings import Finding, Fix, Outcome, Related, Safety
from vramlint.run import Change
from vramlint.source import Insert, Set, SourceFile, Span, read

GIB = 1 << 30
TEXT = """\
model_name_or_path: Qwen/Qwen2.5-0.5B
max_length: 4096
per_device_train_batch_size: 8
gradient_accumulation_steps: 2
"""


@dataclass(frozen=True)
class Rule:
    """What a format is told of a rule."""

    code: str
    name: str
    severity: str
    what: str


@pytest.fixture
def file() -> SourceFile:
    return read("train.yaml", TEXT.encode())


@pytest.fixture
def span_of(file: SourceFile) -> Callable[[str], Span]:
    """Where a piece of the text stands."""

    def find(text: str) -> Span:
        start = file.text.index(text)
        return Span(start, start + len(text), file.path)

    return find


@pytest.fixture
def does_not_fit(span_of: Callable[[str], Span]) -> Finding:
    batch, accumulation = ("per_device_train_batch_size",), ("gradient_accumulation_steps",)
    return Finding(
        code="VRM201", name="does-not-fit", severity="error",
        message="needs 13.3 GiB, rtx3070 has 7.8 GiB usable", path="train.yaml",
        span=Span(span_of("8\n").start, span_of("8\n").start + 1, "train.yaml"),
        key="per_device_train_batch_size", label="8 sequences at once",
        help=("the logits take 6.9 GiB of it",),
        related=(Related(span_of("4096"), "of 4096 tokens each"),),
        fixes=(
            Fix(
                "batch 8 → 4, accumulation 2 → 4", Safety.SAFE,
                (Change("per_device_train_batch_size", 4), Change("gradient_accumulation_steps", 4)),
                (Set(batch, 4), Set(accumulation, 4)),
                Outcome(7 * GIB, 15 * GIB // 2, 15 * GIB // 2, "fits"),
            ),
            Fix(
                "LoRA rank 8", Safety.UNSAFE, (Change("lora_r", 8),), (Insert((), "lora_r", 8),),
                Outcome(12 * GIB, 12 * GIB, 12 * GIB, "does-not-fit"),
            ),
            Fix("a smaller model", Safety.DISPLAY),
            Fix(
                "gradient checkpointing on", Safety.SAFE, (Change("gradient_checkpointing", True),), (),
                Outcome(8 * GIB, 8 * GIB, 8 * GIB, "tight"), refused="the mapping is shared by two anchors",
            ),
        ),
    )


@pytest.fixture
def unsafe_only(span_of: Callable[[str], Span]) -> Finding:
    fix = Fix("sequences of 2048 tokens", Safety.UNSAFE, (Change("max_length", 2048),), (Set(("max_length",), 2048),))
    return Finding(
        code="VRM310", name="long-sequences", severity="warning", message="long", path="train.yaml",
        span=span_of("4096"), fixes=(fix,),
    )


@pytest.fixture
def rules() -> tuple[Rule, ...]:
    return (
        Rule("VRM201", "does-not-fit", "error", "The run needs more memory than the card has."),
        Rule("VRM310", "long-sequences", "warning", "Sequences are long."),
    )


@pytest.fixture
def record() -> Callable[..., dict[str, object]]:
    """A record of `vramlint estimate` with some of its entries set."""

    def make(**changes: object) -> dict[str, object]:
        def band(low: int, typical: int, high: int) -> dict[str, int]:
            return {"low": low * GIB, "typical": typical * GIB, "high": high * GIB}

        parts = {
            "weights": 1, "adapters": 0, "gradients": 1, "optimizer": 2, "activations": 2, "logits": 4, "workspace": 0,
        }
        estimate = {
            "allocated": band(10, 10, 10), "required": band(10, 11, 12), "context": band(1, 1, 1),
            "device": band(11, 12, 13),
            "peak": {
                "phase": "backward of the loss, step 2",
                "parts": {name: size * GIB for name, size in parts.items()},
                "tensors": [{
                    "what": "logits in fp32", "shape": [8, 512, 151936], "dtype": "float32", "count": 2,
                    "size": 4 * GIB, "part": "logits",
                }],
                "next": {"phase": "optimizer step", "allocated": 6 * GIB},
            },
        }
        return {
            "path": "train.yaml", "document": 0, "dialect": "huggingface",
            "model": {"name": "Qwen/Qwen2.5-0.5B", "source": "catalogue"}, "trainer": "trl-sft", "stack": {},
            "target": None, "estimate": estimate, "verdict": None,
            "assumptions": [{"key": "padding", "value": "true", "why": "batches are padded by default"}],
            "unknown": [], "error": None, **changes,
        }

    return make
