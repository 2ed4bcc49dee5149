"""The heads that encoders are trained under: their linear layers and norms, after transformers 5.17's modeling files."""

from __future__ import annotations

from vramlint.catalog import Architecture
from vramlint.dataclass import dataclass
from vramlint.memory.encoders.shapes import ModelShape, embedding_width_of

VOCABULARIES = ("masked-lm", "seq2seq-lm")
"""Tasks whose head is as large as the vocabulary, and the embedding's where they are tied."""


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer of a head. `saved`: peft trains a copy of it whole, for tasks of classification (`modules_to_save`)."""

    path: str
    inputs: int
    outputs: int
    bias: bool = True
    saved: bool = False
    norm: int = 0
    """Parameters of the norm behind it."""


def head_of(a: Architecture, shape: ModelShape, task: str, labels: int) -> tuple[Linear, ...]:
    """The linear layers of the task's head in order, without a vocabulary's, which is the embedding's or counted as `head`."""
    width = a.hidden_size
    if task == "masked-lm":
        return _transform(a, shape)
    if task == "token-cls":
        first = (Linear("head.dense", width, width, bias=False, norm=width),) if shape.head == "head" else ()
        return (*first, Linear("classifier", width, labels, saved=True))
    if task != "seq-cls":
        return ()
    if shape.head == "pooled":
        return (Linear("pooler.dense", width, width), Linear("classifier", width, labels, saved=True))
    if shape.head == "pre_classifier":
        return (Linear("pre_classifier", width, width, saved=True), Linear("classifier", width, labels, saved=True))
    if shape.head == "head":
        return (Linear("head.dense", width, width, bias=False, norm=width), Linear("classifier", width, labels, saved=True))
    return (Linear("classifier.dense", width, width, saved=True), Linear("classifier.out_proj", width, labels, saved=True))


def _transform(a: Architecture, shape: ModelShape) -> tuple[Linear, ...]:
    """What stands ahead of the vocabulary: a linear layer to the embedding's width, and a norm."""
    width = embedding_width_of(a)
    if shape.head == "head":
        return (Linear("head.dense", a.hidden_size, width, bias=False, norm=width),)
    path = {"pooled": "cls.predictions.transform.dense", "dense": "lm_head.dense", "narrow": "generator_predictions.dense"}
    return (Linear(path.get(shape.head, "vocab_transform"), a.hidden_size, width, norm=2 * width),)
