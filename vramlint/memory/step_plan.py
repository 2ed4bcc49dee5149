"""All that a step needs to know, decided before it is played."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.dataclass import dataclass
from vramlint.memory.blocks import BlockShape
from vramlint.memory.encoders.model import Encoder
from vramlint.memory.operations import Setting
from vramlint.memory.optimizers import Optimizer
from vramlint.memory.parameters import Weight
from vramlint.memory.pieces import Pieces
from vramlint.memory.sharding import Sharding
from vramlint.memory.stacks import Stack
from vramlint.memory.trainers import WHOLE, Course


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a step needs to know."""

    architecture: Architecture
    block: BlockShape
    stacks: tuple[Stack, ...]
    """The decoder's layers from the first to the last; `block` is that of most of them."""
    weights: tuple[Weight, ...]
    setting: Setting
    optimizer: Optimizer
    checkpointing: bool
    loss: str
    accumulates: bool
    embeds_gradient: bool
    head: str
    workspace: int
    offloads: bool = False
    hosts: bool = False
    """Whether the host keeps the inputs of checkpointed layers, all but the last's."""
    stops_early: bool = True
    """Whether what a checkpoint plays again ends with the last thing saved."""
    keeps_products: bool = False
    """Whether checkpoints keep what attention gives and every other product of matrices (selective checkpointing by
    operation)."""
    runs_ahead: bool = False
    """Whether the end of a layer's backward may run before a checkpoint plays the layer again."""
    keeps_inputs: bool = False
    """Whether 8-bit layers keep their inputs beside what a checkpoint intercepts."""
    course: Course = WHOLE
    """What the trainer runs around the forward pass that is trained on."""
    sharding: Sharding | None = None
    """How several cards share the model; None on one."""
    evaluation: tuple[int, int, str] | None = None
    """Of an eval batch: rows and length as the model sees them, and how its loss is computed."""
    encoder: Encoder | None = None
    """The model where it is no decoder alone; then `block` and `stacks` say nothing."""
    holds_outputs: bool = False
    """Whether the loop holds what the model returned, logits and cached keys and values, until the backward pass is over."""
    clips_wide: bool = False
    """Whether the norm of each gradient is summed up in float64, one after the other."""
    expandable: bool = False
    """Whether the allocator has expandable segments."""
    spare: int = 0
    """Bytes that the run takes while there is room and does without where there is not."""
    pieces: Pieces | None = None
    """Those of the loss, where it is computed so."""
    buffers: tuple[tuple[str, int, int], ...] = ()
    """What the model keeps on the card besides parameters: what it is, bytes of one, how many."""
