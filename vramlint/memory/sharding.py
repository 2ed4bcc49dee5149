"""How several cards train one model together, and what each of them keeps between steps.

After torch 2.11 (nn/parallel, distributed/fsdp/_fully_shard), accelerate 1.15 (utils/fsdp_utils.py) and DeepSpeed 0.19.8
(runtime/zero/stage_1_and_2.py); measured as the first process of a group that sends nothing (lab/sharding.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from vramlint.dataclass import dataclass, replace
from vramlint.memory.dtypes import BYTES
from vramlint.memory.parameters import Weight
from vramlint.run import Run


@dataclass(frozen=True, slots=True)
class Sharding:
    """`ways` cards.

    `ddp`: each has all of the model, and a copy of all gradients in buckets. `fsdp`: each has a part of every parameter, its
    gradient and its states; those of one unit are gathered while they are used. `zero`: each has all parameters, and a part
    of fp32 copies and their states (stages 1 and 2) and of the gradients (2).

    `mixed` is the dtype that mixed precision computes in, None without. `reshards`: whether FSDP gives a layer's gathered
    parameters back after its forward. `reduced`: the dtype that FSDP sends gradients in, None for their own. `kept`: the
    dtype that its parts stay in, None for fp32 where they are trained under mixed precision. `one_root`: whether all that is
    beside the layers is one unit, and the last layer stays gathered after its forward. `bucket`: elements
    that DeepSpeed reduces at once, in `buffers` buffers of that size.
    """

    kind: Literal["ddp", "fsdp", "zero"]
    ways: int
    stage: int = 0
    mixed: str | None = None
    reshards: bool = True
    reduced: str | None = None
    kept: str | None = None
    one_root: bool = False
    bucket: int = 0
    buffers: int = 1

    @property
    def keeps_gradients(self) -> bool:
        """Whether a card has whole gradients between micro batches, as one alone has."""
        return self.kind == "ddp" or self.stage == 1

    def stored(self, weights: Sequence[Weight]) -> list[Weight]:
        """The parameters as a card keeps them: FSDP cuts the first dimension, and trains parts in fp32."""
        if self.kind != "fsdp":
            return list(weights)
        return [self._part(weight) for weight in weights]

    def stepped(self, weights: Sequence[Weight]) -> list[Weight]:
        """What a card's optimizer updates: its parts, or DeepSpeed's flat fp32 copy of one part of all parameters."""
        trained = [weight for weight in weights if weight.trained]
        if self.kind == "zero" and trained:
            elements = -(-elements_of(trained) // self.ways)
            return [Weight("part of all parameters", (elements,), "float32", trained=True)]
        return [weight for weight in self.stored(weights) if weight.trained]

    def _part(self, weight: Weight) -> Weight:
        if weight.quantized:
            return weight
        rows = -(-weight.shape[0] // self.ways)
        dtype = self.kept or ("float32" if weight.trained and self.mixed else weight.dtype)
        return replace(weight, shape=(rows, *weight.shape[1:]), dtype=dtype)


def sharding_of(run: Run, hidden_size: int) -> Sharding | None:
    """How the run is shared out; None on one card."""
    ways = run.num_processes
    mixed = "bfloat16" if run.bf16 else "float16" if run.fp16 else None
    if run.trainer == "nemo-automodel":
        # FSDP2Config of 36044ad3 (components/distributed/config.py): computed in bf16, reduced in fp32; nothing on one card.
        return Sharding("fsdp", ways, mixed="bfloat16", reduced="float32", one_root=True) if ways > 1 else None
    if run.fsdp:
        return Sharding("fsdp", ways, mixed=mixed, reshards=run.fsdp_reshard_after_forward)
    if run.zero_stage:
        bucket = run.zero_reduce_bucket_size or hidden_size * hidden_size
        return Sharding("zero", ways, run.zero_stage, mixed, bucket=bucket, buffers=2 if run.zero_overlap_comm else 1)
    return Sharding("ddp", ways, mixed=mixed) if ways > 1 else None


def elements_of(weights: Iterable[Weight]) -> int:
    """Elements of all of them together."""
    return sum(weight.elements * weight.count for weight in weights)


def bytes_of(weights: Iterable[Weight]) -> int:
    """Bytes of all of them together, in their own dtypes; quantised ones are not sent."""
    return sum(weight.elements * weight.count * BYTES[weight.dtype] for weight in weights if not weight.quantized)
