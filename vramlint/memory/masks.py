"""Which attention masks a model builds, and how large (transformers 5.17, masking_utils.py, `sdpa_mask`, `eager_mask`)."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.dataclass import dataclass
from vramlint.memory.autograd import Graph, Tensor

ALTERNATING = frozenset({
    "gemma2", "gemma3_text", "gemma3n_text", "gemma4_text", "cohere2", "olmo3", "gpt_oss", "exaone4", "modernbert",
})
"""Model types in which some layers see a window and others everything, where a config does not list its `layer_types`."""


ALWAYS = frozenset({"falcon"})
"""Model types that build a mask of full rows too (`allow_is_causal_skip=False` in transformers 5.17)."""


@dataclass(frozen=True, slots=True)
class Masks:
    """What is built for each batch: `count` masks of `rows` (or 1) × 1 × length × length; `used` by the usual layer."""

    count: int
    dtype: str
    per_row: bool
    used: bool


NO_MASKS = Masks(0, "bool", per_row=False, used=False)


def masks_of(
    a: Architecture, *, length: int, attention: str, dtype: str, padded: bool, flat: bool, facts: frozenset[str],
) -> Masks:
    """The masks of a model for batches of `length` tokens.

    `attention` is the kernel: flash takes none, eager adds one in `dtype` to its scores and always has it, sdpa has one only
    where rows are padded or laid end to end (`flat`), or where a window ends before the row does.
    """
    if attention == "flash":
        return NO_MASKS
    if "additive-mask" in facts:
        return Masks(1, dtype, per_row=True, used=True) if padded or flat else NO_MASKS
    kinds = _kinds(a)
    if attention == "eager":
        return Masks(len(kinds), dtype, per_row=True, used=True)
    whole = padded or flat or a.model_type in ALWAYS
    built = [kind for kind in kinds if whole or (kind == "window" and length >= (a.sliding_window or length + 1))]
    if not built:
        return NO_MASKS
    return Masks(len(built), "bool", per_row=padded and not flat, used=len(built) == len(kinds) or "window" in built)


def build(graph: Graph, masks: Masks, rows: int, length: int) -> list[Tensor]:
    """The masks on the card."""
    shape = (rows if masks.per_row else 1, 1, length, length)
    return [graph.tensor(shape, masks.dtype, "attention mask", needs_grad=False) for _ in range(masks.count)]


def _kinds(a: Architecture) -> tuple[str, ...]:
    """`whole` and `window`, as far as layers of the model attend so."""
    if a.sliding_window is None:
        return ("whole",)
    if a.layer_types:
        windowed = {kind == "sliding_attention" for kind in a.layer_types}
        return tuple(word for word, there in (("whole", False in windowed), ("window", True in windowed)) if there)
    return ("whole", "window") if a.model_type in ALTERNATING else ("window",)
