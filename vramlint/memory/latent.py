"""Latent attention (MLA) of deepseek_v2 and deepseek_v3: queries, keys and values that come out of narrow projections."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Latent:
    """Widths of latent attention, under their config names; `query_rank` is 0 where queries come straight."""

    query_rank: int
    rank: int
    rope: int
    nope: int
    value: int


def latent_of(a: Architecture) -> Latent | None:
    """The widths that a config names, or None where one is missing."""
    names = ("kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
    found = [a.extra.get(name) for name in names]
    rank, rope, nope, value = (width if isinstance(width, int) else 0 for width in found)
    query = a.extra.get("q_lora_rank")
    if not (rank and rope and nope and value):
        return None
    return Latent(query if isinstance(query, int) else 0, rank, rope, nope, value)


def latent_names(latent: Latent) -> tuple[str, ...]:
    """The projections' module names."""
    queries = ("q_a_proj", "q_b_proj") if latent.query_rank else ("q_proj",)
    return (*queries, "kv_a_proj_with_mqa", "kv_b_proj", "o_proj")


def latent_rows(a: Architecture, latent: Latent) -> list[tuple[int, int, bool]]:
    """Inputs, outputs and bias of each projection (transformers 5.17, modeling_deepseek_v3.py)."""
    hidden, heads, bias = a.hidden_size, a.num_attention_heads, a.attention_bias
    wide = heads * (latent.nope + latent.rope)
    queries = [(hidden, latent.query_rank, bias), (latent.query_rank, wide, False)] if latent.query_rank else [
        (hidden, wide, False),
    ]
    return [
        *queries, (hidden, latent.rank + latent.rope, bias), (latent.rank, heads * (latent.nope + latent.value), False),
        (heads * latent.value, hidden, bias),
    ]


def latent_norms(latent: Latent) -> list[int]:
    """The elements of its norms of the narrow states."""
    return [*([latent.query_rank] if latent.query_rank else []), latent.rank]
