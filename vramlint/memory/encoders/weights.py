"""Every parameter of an encoder under its head, and of the decoder that reads it."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.memory.encoders.heads import head_of
from vramlint.memory.encoders.model import Encoder, Linears
from vramlint.memory.encoders.shapes import LayerShape, embedding_width_of
from vramlint.memory.parameters import Projection, Weight
from vramlint.run import Run

BUCKETS = 32
"""T5's `relative_attention_num_buckets`."""


def inventory(a: Architecture, encoder: Encoder, run: Run, dtype: str, adapter: str) -> list[Weight]:
    """Every parameter on the card, alike ones counted together."""
    shape, width, trained = encoder.shape, embedding_width_of(a), not run.use_peft
    found = [Weight("embedding", (a.vocab_size, width), dtype, trained)]
    stacks = 2 if encoder.decoder else 1
    if shape.positions:
        found.append(Weight("positions", ((a.max_position_embeddings or 512) + shape.more, width), dtype, trained, stacks))
    if shape.token_types:
        types = a.extra.get("type_vocab_size", 2)
        found.append(Weight("token types", (int(str(types)), width), dtype, trained))
    norms = 2 if shape.layer.norm == "layer" and shape.layer.norm_bias else 1
    if shape.embedding_norm or shape.head == "head":
        found.append(Weight("embedding norm", (width,), dtype, trained, stacks * norms))
    if encoder.wider is not None:
        found += _of_linear(encoder.wider, run, dtype, adapter, 1, "")
    found += _of_layers(a, shape.layer, encoder.linears, encoder.layers, run, dtype, adapter, "")
    if encoder.decoder is not None and shape.decoder is not None:
        found += _of_layers(a, shape.decoder, encoder.decoder, encoder.decoder_layers, run, dtype, adapter, "decoder.")
    if shape.layer.biased_scores:
        found.append(Weight("relative positions", (BUCKETS, a.num_attention_heads), dtype, trained, stacks))
    if shape.final_norm:
        found.append(Weight("final norm", (a.hidden_size,), dtype, trained, stacks * norms))
    found += _of_head(a, encoder, run, dtype, adapter)
    return found


def _of_layers(
    a: Architecture, layer: LayerShape, linears: Linears, count: int, run: Run, dtype: str, adapter: str, prefix: str,
) -> list[Weight]:
    trained = not run.use_peft
    each = 3 if layer.reads else 2
    norms = each * (2 if layer.norm == "layer" and layer.norm_bias else 1)
    found = []
    own = norms * count
    if layer.norm_first and layer.norm == "layer":
        own -= norms // each  # modernbert's first layer has none ahead of its attention
    found.append(Weight(f"{prefix}norm", (a.hidden_size,), dtype, trained, own))
    for projection in linears.all:
        # T5 keeps these in fp32 where the rest is loaded in float16 (`_keep_in_fp32_modules`).
        kept = "float32" if dtype == "float16" and projection.name.endswith(".wo") else dtype
        found += _of_linear(projection, run, kept, adapter, count, prefix)
    return found


def _of_linear(
    projection: Projection, run: Run, dtype: str, adapter: str, count: int, prefix: str, *, trained: bool | None = None,
) -> list[Weight]:
    learns = not run.use_peft if trained is None else trained
    name = f"{prefix}{projection.name}"
    found = [Weight(name, (projection.outputs, projection.inputs), dtype, learns, count)]
    if projection.bias:
        found.append(Weight(f"{name} bias", (projection.outputs,), dtype, learns, count))
    if projection.adapted:
        found += [
            Weight(f"{name}.lora_A", (run.lora_r, projection.inputs), adapter, True, count, role="adapters"),
            Weight(f"{name}.lora_B", (projection.outputs, run.lora_r), adapter, True, count, role="adapters"),
        ]
    return found


def _of_head(a: Architecture, encoder: Encoder, run: Run, dtype: str, adapter: str) -> list[Weight]:
    """The head's, and the copies of a classifier that peft trains (`modules_to_save` of its classes for such tasks)."""
    trained = not run.use_peft
    found: list[Weight] = []
    for linear, projection in zip(head_of(a, encoder.shape, encoder.task, encoder.labels), encoder.head, strict=True):
        found += _of_linear(projection, run, dtype, adapter, 1, "")
        if linear.norm:
            found.append(Weight(f"{linear.path} norm", (linear.norm,), dtype, trained))
        if linear.saved and run.use_peft:
            found += _of_linear(projection, run, adapter, adapter, 1, "trained ", trained=True)
    if encoder.task == "masked-lm":
        found.append(Weight("head bias", (a.vocab_size,), dtype, trained))
    if encoder.task in ("masked-lm", "seq2seq-lm") and not a.tie_word_embeddings:
        found.append(Weight("head", (a.vocab_size, embedding_width_of(a)), dtype, trained))
    if encoder.shape.head == "biased":  # a buffer of bart's: final_logits_bias
        found.append(Weight("bias of the logits", (a.vocab_size,), dtype, trained=False))
    return found
