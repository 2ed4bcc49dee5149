"""What of an encoder's plan the decoders' has no place for: its shape, its task, the linear layers by their paths."""

from __future__ import annotations

from vramlint.catalog import PEFT_DEFAULT_TARGETS, Architecture
from vramlint.dataclass import dataclass
from vramlint.memory.encoders.heads import head_of
from vramlint.memory.encoders.shapes import LayerShape, ModelShape, decoder_layers_of, embedding_width_of, shape_of
from vramlint.memory.parameters import Projection
from vramlint.run import Run


@dataclass(frozen=True, slots=True)
class Linears:
    """The linear layers of one layer, in the order in which they run."""

    attends: tuple[Projection, ...]
    reads: tuple[Projection, ...]
    feeds: tuple[Projection, ...]

    @property
    def all(self) -> tuple[Projection, ...]:
        """Every one of them."""
        return (*self.attends, *self.reads, *self.feeds)


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder, perhaps with a decoder, under a task's head. `target`: tokens of a row that the decoder is to write."""

    shape: ModelShape
    task: str
    labels: int
    target: int
    linears: Linears
    decoder: Linears | None
    head: tuple[Projection, ...]
    layers: int
    decoder_layers: int
    wider: Projection | None = None
    """What makes narrow embeddings as wide as the layers."""

    @property
    def adapted(self) -> bool:
        """Whether LoRA is on any linear layer."""
        every = (*self.linears.all, *(self.decoder.all if self.decoder else ()), *self.head)
        return any(projection.adapted for projection in every)


def task_of(run: Run, shape: ModelShape) -> str:
    """What is trained: as stated, else what the model was made for."""
    if run.task is not None:
        return run.task
    return "seq2seq-lm" if shape.decoder is not None else "masked-lm"


def encoder_of(run: Run, a: Architecture) -> Encoder | None:
    """The encoder that `run` trains, None where the architecture is none that is described here."""
    shape = shape_of(a)
    if shape is None:
        return None
    task, targets = task_of(run, shape), _targets(run, a)
    both = shape.decoder
    return Encoder(
        shape, task, run.num_labels, run.max_target_length or run.max_length or 0,
        _linears(a, shape.layer, targets, "encoder_ffn_dim"),
        None if both is None else _linears(a, both, targets, "decoder_ffn_dim"),
        tuple(
            Projection(
                linear.path, linear.inputs, linear.outputs, linear.bias,
                adapted=not linear.saved and matches(linear.path, targets),
            )
            for linear in head_of(a, shape, task, run.num_labels)
        ),
        a.num_hidden_layers, decoder_layers_of(a) if both else 0, _wider(a, targets),
    )


def _wider(a: Architecture, targets: tuple[str, ...]) -> Projection | None:
    width = embedding_width_of(a)
    if width == a.hidden_size:
        return None
    return Projection("embeddings_project", width, a.hidden_size, bias=True, adapted=matches("embeddings_project", targets))


def _targets(run: Run, a: Architecture) -> tuple[str, ...]:
    if not run.use_peft:
        return ()
    wanted = run.lora_target_modules
    if wanted is None:
        return PEFT_DEFAULT_TARGETS.get(a.model_type, ())
    return (wanted,) if isinstance(wanted, str) else wanted


def matches(path: str, targets: tuple[str, ...]) -> bool:
    """Whether LoRA is put on a module of that path: its whole name or its last parts are named, or every linear layer is."""
    if targets == ("all-linear",):
        return True
    if len(targets) == 1 and any(character in targets[0] for character in "*|(["):
        return path.rpartition(".")[2] in targets[0]
    return any(path == target or path.endswith(f".{target}") for target in targets)


def _linears(a: Architecture, layer: LayerShape, targets: tuple[str, ...], inner_name: str) -> Linears:
    hidden, heads = a.hidden_size, a.num_attention_heads * a.head_dim
    own = a.extra.get(inner_name)
    inner = own if isinstance(own, int) else a.intermediate_size

    def made(path: str, inputs: int, outputs: int) -> Projection:
        return Projection(path, inputs, outputs, layer.bias, adapted=matches(path, targets))

    attends: tuple[Projection, ...]
    if len(layer.attends) == 2:
        attends = (made(layer.attends[0], hidden, 3 * heads), made(layer.attends[1], heads, hidden))
    else:
        attends = (*(made(path, hidden, heads) for path in layer.attends[:3]), made(layer.attends[3], heads, hidden))
    reads = (*(made(path, hidden, heads) for path in layer.reads[:3]), *(made(path, heads, hidden) for path in layer.reads[3:]))
    *wide, last = layer.feeds
    double = 2 if layer.gated and len(wide) == 1 else 1
    feeds = (*(made(path, hidden, double * inner) for path in wide), made(last, inner, hidden))
    return Linears(attends, reads, feeds)
