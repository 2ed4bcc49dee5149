"""What a model is, as its `config.json` says it: the fields that decide how much memory it takes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vramlint.dataclass import dataclass, field

LEARNED_POSITIONS = {
    "gpt2": 0, "opt": 0, "gpt_neo": 0, "gpt_bigcode": 0, "bert": 0, "distilbert": 0, "electra": 0, "bart": 0, "roberta": 2,
    "xlm-roberta": 2,
}
"""Model types with an embedding for positions, and how many of its rows stand for no token (transformers 5.17)."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A model's shape. Field names are those of Hugging Face's config classes, aliases (n_embd, ffn_dim …) resolved.

    `dtype` is the dtype of the published checkpoint (what `dtype="auto"` loads). `parameters` is the exact published
    or instantiated count where one is known. `extra` holds whatever else the model type has (experts, MLA ranks …),
    under its own Hugging Face names.
    """

    model_type: str
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    intermediate_size: int
    vocab_size: int
    tie_word_embeddings: bool
    hidden_act: str
    max_position_embeddings: int | None = None
    dtype: str | None = None
    attention_bias: bool = False
    attention_output_bias: bool = False
    mlp_bias: bool = False
    sliding_window: int | None = None
    layer_types: tuple[str, ...] | None = None
    attention_dropout: float = 0.0
    hidden_dropout: float = 0.0
    num_experts: int = 0
    num_experts_per_tok: int = 0
    moe_intermediate_size: int = 0
    parameters: int | None = None
    kind: str = "causal-lm"
    extra: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def learned_positions(self) -> int:
        """The tokens that its embedding for positions has rows for: a longer row is an index beyond its end. 0 if it has none."""
        reserved = LEARNED_POSITIONS.get(self.model_type)
        return 0 if reserved is None or not self.max_position_embeddings else self.max_position_embeddings - reserved


@dataclass(frozen=True, slots=True)
class FoundModel:
    """An architecture and where it came from: `catalog`, `config.json beside …`, `Hugging Face cache`, `--model-config`.

    `quantized` names the quantisation that the checkpoint already has (`bnb-4bit`, `awq` …), `assumed` says what was
    taken for granted (a local path matched by its last part).
    """

    name: str
    architecture: Architecture
    source: str
    quantized: str | None = None
    assumed: str | None = None


@dataclass(frozen=True, slots=True)
class MissingModel:
    """Why no architecture is known, and catalogue names that are near."""

    name: str
    why: str
    suggestions: tuple[str, ...] = ()
