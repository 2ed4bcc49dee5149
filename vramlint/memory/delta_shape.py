"""Sizes of a gated delta net, and the order of layers of more than one kind."""

from __future__ import annotations

from itertools import groupby

from vramlint.catalog import Architecture
from vramlint.dataclass import dataclass

CHUNK = 64
"""Tokens that the delta rule takes at once (transformers 5.17, modeling_qwen3_5.py, `chunk_size`)."""
LINEAR = "linear_attention"
EVERY = 4
"""Each so-many-th layer attends, where a config does not say (configuration_qwen3_5.py, `full_attention_interval`)."""
DELTA_NAMES = ("in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a", "out_proj")
MOST = 6
"""Up to so many stretches of like layers are played where they are."""


@dataclass(frozen=True, slots=True)
class DeltaShape:
    """Heads and their widths; `kernel`: the tokens that the convolution sees."""

    key_heads: int
    value_heads: int
    key_width: int
    value_width: int
    kernel: int

    @property
    def keys(self) -> int:
        """The width of all keys."""
        return self.key_heads * self.key_width

    @property
    def repeated(self) -> int:
        """That of keys repeated for every head of the values."""
        return self.value_heads * self.key_width

    @property
    def values(self) -> int:
        """The width of all values."""
        return self.value_heads * self.value_width


def delta_of(a: Architecture) -> DeltaShape:
    """The sizes that a config names, else those of `Qwen3_5TextConfig`."""
    names = (
        ("linear_num_key_heads", 16), ("linear_num_value_heads", 32), ("linear_key_head_dim", 128),
        ("linear_value_head_dim", 128), ("linear_conv_kernel_dim", 4),
    )
    return DeltaShape(*(int(str(a.extra.get(name) or usual)) for name, usual in names))


def delta_rows(a: Architecture) -> list[tuple[int, int, bool]]:
    """Inputs, outputs and bias of each projection."""
    shape, hidden = delta_of(a), a.hidden_size
    return [
        (hidden, 2 * shape.keys + shape.values, False), (hidden, shape.values, False), (hidden, shape.value_heads, False),
        (hidden, shape.value_heads, False), (shape.values, hidden, False),
    ]


def delta_vectors(a: Architecture) -> list[int]:
    """Elements of what it has besides projections: the convolution, the decay's two numbers a head, the norm."""
    shape = delta_of(a)
    return [(2 * shape.keys + shape.values) * shape.kernel, shape.value_heads, shape.value_heads, shape.value_width]


def kinds_of(a: Architecture) -> tuple[str, ...]:
    """The kind of each layer."""
    if a.layer_types:
        return a.layer_types
    every = int(str(a.extra.get("full_attention_interval") or EVERY))
    return tuple("full_attention" if (index + 1) % every == 0 else LINEAR for index in range(a.num_hidden_layers))


def stretches(kinds: tuple[str, ...]) -> list[tuple[str, int]]:
    """Like layers in a row, as kind and count.

    Of many stretches the first of each kind stay in their places; those after them come together kind by kind, in the order of
    the last ones: the two ends of the backward pass, where memory is fullest, are what they were.
    """
    found = [(kind, len(list(group))) for kind, group in groupby(kinds)]
    if len(found) <= MOST:
        return found
    seen = len(set(kinds))
    first = next(end for end in range(1, len(found) + 1) if len({kind for kind, _ in found[:end]}) == seen)
    last = list(dict.fromkeys(kind for kind, _ in reversed(found[first:])))
    rest = {kind: sum(count for other, count in found[first:] if other == kind) for kind in last}
    return [*found[:first], *((kind, rest[kind]) for kind in reversed(last))]
