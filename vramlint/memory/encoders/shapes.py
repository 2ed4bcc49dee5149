"""Layers of encoders and of decoders that read one, as data, model type by model type, after transformers 5.17."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.dataclass import dataclass, replace


@dataclass(frozen=True, slots=True)
class LayerShape:
    """One layer: the paths of its linear layers within it, and in which order it runs them.

    `attends`: queries, keys, values and output, or all three at once and output. `reads`: the same of the attention over an
    encoder's output. `feeds`: of the feed-forward part. `norm`: layer (torch's kernel) or rms. `norm_first`: norms come ahead
    of attention and feed-forward part, else behind them. `gated`: the feed-forward part has a gate (`feeds` of two: in one
    projection). `drops_attended`, `drops_inside`: whether what attention gives and what the activation gives is dropped out.
    `biased_scores`: T5's relative positions are added to the scores.
    """

    attends: tuple[str, ...]
    feeds: tuple[str, ...]
    reads: tuple[str, ...] = ()
    norm: str = "layer"
    norm_first: bool = False
    bias: bool = True
    norm_bias: bool = True
    gated: bool = False
    rope: bool = False
    drops_attended: bool = True
    drops_inside: bool = False
    biased_scores: bool = False
    holds_wide: bool = False
    """Whether what the last linear layer of a part reads is a variable until that part's norm is done (bert's modules)."""
    holds_inputs: bool = False
    """Whether queries, keys and values are variables of the function that runs the output projection too."""


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A whole model: its layers, and what stands before and behind them.

    `positions`: learned ones, to which `more` are added; `positions_by_row`: each row looks up its own.
    `token_types`: an embedding for them. `embedding_norm`, `final_norm`: a norm ahead of the layers and behind each stack.
    `upcasts_loss`: the loss is computed on an fp32 copy of the logits (`ForMaskedLMLoss`), else on the logits themselves.
    `head`: names a row of encoder_heads.py.
    """

    layer: LayerShape
    decoder: LayerShape | None = None
    positions: bool = True
    positions_by_row: bool = False
    more: int = 0
    token_types: bool = False
    embedding_norm: bool = True
    final_norm: bool = False
    upcasts_loss: bool = False
    head: str = ""


BERT_LAYER = LayerShape(
    attends=("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"),
    feeds=("intermediate.dense", "output.dense"), holds_wide=True,
)
BART_LAYER = LayerShape(
    attends=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"), feeds=("fc1", "fc2"),
    holds_inputs=True,
)
T5_LAYER = LayerShape(
    attends=tuple(f"layer.0.SelfAttention.{name}" for name in "qkvo"),
    feeds=("layer.1.DenseReluDense.wi", "layer.1.DenseReluDense.wo"),
    norm="rms", norm_first=True, bias=False, drops_inside=True, biased_scores=True, holds_inputs=True,
)
BERT = ModelShape(BERT_LAYER, token_types=True, head="pooled")
ROBERTA = ModelShape(BERT_LAYER, token_types=True, positions_by_row=True, head="dense")
T5 = ModelShape(
    T5_LAYER,
    decoder=replace(
        T5_LAYER, reads=tuple(f"layer.1.EncDecAttention.{name}" for name in "qkvo"),
        feeds=("layer.2.DenseReluDense.wi", "layer.2.DenseReluDense.wo"),
    ),
    positions=False, embedding_norm=False, final_norm=True, head="tied",
)
SHAPES: dict[str, ModelShape] = {
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "electra": replace(BERT, head="narrow"),
    "distilbert": ModelShape(
        LayerShape(
            attends=("attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin"),
            feeds=("ffn.lin1", "ffn.lin2"), drops_attended=False,
        ),
        head="pre_classifier",
    ),
    "modernbert": ModelShape(
        LayerShape(
            attends=("attn.Wqkv", "attn.Wo"), feeds=("mlp.Wi", "mlp.Wo"), norm_first=True, bias=False, norm_bias=False,
            gated=True, rope=True, holds_inputs=True,
        ),
        positions=False, final_norm=True, upcasts_loss=True, head="head",
    ),
    "t5": T5,
    "mt5": T5,
    "bart": ModelShape(
        BART_LAYER,
        decoder=replace(BART_LAYER, reads=tuple(f"encoder_attn.{name}" for name in ("q_proj", "k_proj", "v_proj", "out_proj"))),
        positions_by_row=True, more=2, head="biased",
    ),
}
TASKS = ("masked-lm", "seq-cls", "token-cls")
"""What is simulated of models that are encoders alone; those with a decoder are trained to write a target (`seq2seq-lm`)."""


def shape_of(architecture: Architecture) -> ModelShape | None:
    """The model of that type, or None if it is no encoder that is described here."""
    shape = SHAPES.get(architecture.model_type)
    if shape is None or shape.decoder is None or not gated_of(architecture):
        return shape
    return replace(
        shape, layer=replace(shape.layer, feeds=_gated("layer.1"), gated=True),
        decoder=replace(shape.decoder, feeds=_gated("layer.2"), gated=True),
    )


def _gated(part: str) -> tuple[str, ...]:
    return tuple(f"{part}.DenseReluDense.{name}" for name in ("wi_0", "wi_1", "wo"))


def gated_of(a: Architecture) -> bool:
    """Whether T5's feed-forward part has a gate (`feed_forward_proj`, transformers 5.17, configuration_t5.py)."""
    return str(a.extra.get("feed_forward_proj", "")).startswith("gated-")


def activation_of(a: Architecture) -> str:
    """The activation's name in transformers' ACT2FN; that of `gated-gelu` is gelu_new."""
    written = str(a.extra.get("feed_forward_proj", ""))
    if written:
        return "gelu_new" if written == "gated-gelu" else written.removeprefix("gated-")
    return a.hidden_act


def dropout_of(a: Architecture) -> float:
    """The share dropped from hidden states."""
    if a.model_type in ("t5", "mt5"):
        return _share(a, "dropout_rate", 0.1)
    return _share(a, "mlp_dropout", 0.0) if a.model_type == "modernbert" else a.hidden_dropout


def attention_dropout_of(a: Architecture) -> float:
    """The share dropped from attention's probabilities."""
    return _share(a, "dropout_rate", 0.1) if a.model_type in ("t5", "mt5") else a.attention_dropout


def _share(a: Architecture, name: str, default: float) -> float:
    value = a.extra.get(name, default)
    return float(value) if isinstance(value, int | float) else default


def decoder_layers_of(a: Architecture) -> int:
    """Layers of the decoder: as many as the encoder has where nothing else is said."""
    for name in ("decoder_layers", "num_decoder_layers"):
        value = a.extra.get(name)
        if isinstance(value, int):
            return value
    return a.num_hidden_layers


def embedding_width_of(a: Architecture) -> int:
    """The width of the embeddings, which electra's small models widen behind them."""
    value = a.extra.get("embedding_size")
    return value if isinstance(value, int) else a.hidden_size
